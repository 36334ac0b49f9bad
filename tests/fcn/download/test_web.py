import fcntl
import os
import pty
import random
import resource
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from fcn.download import web
from tests.publisher import (
    Answer,
    Publisher,
    closed_port,
    cut,
    deaf,
    page,
    publisher,
    serve,
    stall,
    status,
)

ROOT = Path(__file__).parents[3]
CONTENT = random.Random(1).randbytes(700_000)


@pytest.fixture
def server() -> Iterator[Publisher]:
    with publisher() as one:
        one.files["a.zip"] = CONTENT
        yield one


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / ".a.zip.partial"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(web.time, "sleep", seconds.append)
    return seconds


def sizes(server: Publisher) -> list[int]:
    return [sent for _, _, sent in server.asked]


def test_a_file_arrives(server: Publisher, partial: Path) -> None:
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT
    assert server.asked == [("a.zip", None, len(CONTENT))]


def test_a_cut_connection_resumes(server: Publisher, partial: Path, waited: list[float]) -> None:
    server.next = [cut(300_000), cut(200_000)]
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT
    (_, first, _), (_, second, _), (_, third, rest) = server.asked
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").rstrip("-")) > 300_000 - web.CHUNK
    assert third is not None
    assert int(third.removeprefix("bytes=").rstrip("-")) == len(CONTENT) - rest
    assert sum(sizes(server)) < len(CONTENT) + 2 * web.CHUNK
    assert waited == [web.WAITS[0]] * 2, "a try that got farther begins the waits again"


def test_a_later_run_resumes(server: Publisher, partial: Path) -> None:
    server.next = [cut(300_000), status(503), status(503), status(503)]
    with pytest.raises(web.Unreachable, match="503 Service Unavailable"):
        web.download(f"{server.url}/a.zip", partial)
    had = partial.stat().st_size
    assert CONTENT.startswith(partial.read_bytes())
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT
    assert server.asked[-1] == ("a.zip", f"bytes={had}-", len(CONTENT) - had)


def test_a_complete_file_is_not_requested_again(server: Publisher, partial: Path) -> None:
    for _ in range(2):
        web.download(f"{server.url}/a.zip", partial)
    assert len(server.asked) == 1


@pytest.mark.parametrize("etag", ['"2"', None], ids=["a validator", "only its length"])
def test_a_partial_file_of_another_version_does_not_resume(
    etag: str | None, server: Publisher, partial: Path
) -> None:
    server.etag = etag and '"1"'
    server.next = [cut(300_000), *[status(500)] * 3]
    with pytest.raises(web.Unreachable):
        web.download(f"{server.url}/a.zip", partial)
    new = CONTENT[::-1] + (b"" if etag else b"longer")
    server.files["a.zip"], server.etag = new, etag
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == new


def test_a_partial_file_of_another_url_does_not_resume(server: Publisher, partial: Path) -> None:
    server.files["b.zip"] = CONTENT[::-1]
    server.next = [cut(300_000), *[status(500)] * 3]
    with pytest.raises(web.Unreachable):
        web.download(f"{server.url}/a.zip", partial)
    web.download(f"{server.url}/b.zip", partial)
    assert partial.read_bytes() == CONTENT[::-1]


def test_a_part_longer_than_the_file_is_begun_anew(server: Publisher, partial: Path) -> None:
    web.download(f"{server.url}/a.zip", partial)
    partial.write_bytes(CONTENT + b"more")
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT


def test_a_server_without_range_sends_everything_again(server: Publisher, partial: Path) -> None:
    server.next = [cut(300_000), deaf]
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT
    assert sizes(server) == [300_000, len(CONTENT)]


def test_an_unrequested_range_is_refused(server: Publisher, partial: Path) -> None:
    server.next = [lambda handler, _: handler.reply(206, CONTENT[5:])]
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(
    server: Publisher, partial: Path, waited: list[float]
) -> None:
    server.next = [lambda handler, one: serve(handler, one, most=300_000, deaf=True)] * 9
    with pytest.raises(web.Unreachable, match=r"interrupted after [\d,]+ bytes .*; they are kept"):
        web.download(f"{server.url}/a.zip", partial)
    assert waited == list(web.WAITS)


@pytest.mark.parametrize("passing", [500, 502, 503, 429, 408])
def test_a_passing_error_is_tried_again(
    passing: int, server: Publisher, partial: Path, waited: list[float]
) -> None:
    server.next = [status(passing)] * 2
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT
    assert waited == list(web.WAITS)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status(404), "404 Not Found"),
        (status(403), "403 Forbidden"),
        (page, "a web page instead of the file; open the address in a browser"),
    ],
    ids=["404", "403", "a web page"],
)
def test_a_permanent_error_is_reported_at_once(
    answer: Answer, said: str, server: Publisher, partial: Path, waited: list[float]
) -> None:
    server.next = [answer]
    with pytest.raises(web.Unreachable) as caught:
        web.download(f"{server.url}/a.zip", partial)
    assert str(caught.value).startswith(f"{server.url}/a.zip: {said}")
    assert waited == []


def test_a_web_page_does_not_cost_the_part_that_is_there(server: Publisher, partial: Path) -> None:
    server.next = [cut(300_000), page]
    with pytest.raises(web.Unreachable, match="a web page instead of the file"):
        web.download(f"{server.url}/a.zip", partial)
    assert partial.stat().st_size > 300_000 - web.CHUNK


def test_without_network_it_says_so(partial: Path, waited: list[float]) -> None:
    url = f"{closed_port()}/a.zip"
    with pytest.raises(web.Unreachable, match=r"connection failed .*refused") as no:
        web.download(url, partial)
    assert str(no.value).startswith(url)
    assert waited == list(web.WAITS)


def test_a_silent_server_is_not_waited_for_for_ever(
    server: Publisher, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "TIMEOUT", (1.0, 0.1))
    server.next = [stall] * 3
    with pytest.raises(web.Unreachable, match=r"connection failed .*timed out"):
        web.download(f"{server.url}/a.zip", partial)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://127.0.0.1:99999999/a"])
def test_an_address_that_is_none_is_named(url: str, partial: Path, waited: list[float]) -> None:
    with pytest.raises(web.Unreachable) as caught:
        web.download(url, partial)
    assert str(caught.value).startswith(url)


def test_a_compressed_file_arrives_as_it_lies_there(server: Publisher, partial: Path) -> None:
    server.headers = {"Content_Encoding": "gzip"}  # Apache's AddEncoding does so with .gz files.
    web.download(f"{server.url}/a.zip", partial)
    assert partial.read_bytes() == CONTENT


def test_a_redirection_is_followed(server: Publisher, partial: Path) -> None:
    server.next = [lambda handler, _: handler.reply(302, b"", Location="/a.zip")]
    web.download(f"{server.url}/elsewhere", partial)
    assert partial.read_bytes() == CONTENT


def test_a_full_disk_is_no_trouble_of_the_network(
    server: Publisher, partial: Path, waited: list[float]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            web.download(f"{server.url}/a.zip", partial)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not isinstance(caught.value, requests.RequestException)
    assert waited == []


def test_nothing_is_left_of_a_part_that_is_forgotten(server: Publisher, partial: Path) -> None:
    web.download(f"{server.url}/a.zip", partial)
    web.discard(partial)
    assert list(partial.parent.iterdir()) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_at_a_terminal_only(
    terminal: bool, server: Publisher, partial: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from fcn.download import web;"
        "web.download(sys.argv[1], Path(sys.argv[2]))"
    )
    url = f"{server.url}/a.zip"
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    subprocess.run(
        [sys.executable, "-c", code, url, str(partial)], cwd=ROOT, stderr=theirs, check=True
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # A terminal whose other end is closed ends with an error.
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert ("100%" in shown.decode()) is terminal
    assert terminal or shown.decode() == f"fetching {url}\n"
