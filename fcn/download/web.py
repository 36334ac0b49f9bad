"""A file from the web, gone on with where a break left it.

pooch carries the bytes and shows the progress, but begins anew after a break. What stands here is
HTTP's Range and If-Range (RFC 9110, sections 13.1.5 and 14.2): a part is gone on with when it is
of the same URL and the server says that its file is still the same.
"""

import sys
import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pooch
import requests

from fcn.common import files, messages

TIMEOUT = (10.0, 60.0)
"""Seconds until a server takes the connection, and between two pieces of its answer."""
WAITS = (1.0, 5.0)
"""Seconds before the second and the third try; after a try that got farther they start again."""
CHUNK = 2**14
"""Bytes; a break loses at most so many."""
PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Besides 5xx: what another try may not meet again."""
BROWSER = "open the address in a browser: there may be a login or a notice"


class Unreachable(ValueError):
    """A source does not have the file, or not now; another one may."""


class Broken(Unreachable):
    """The connection failed, or the server did: the same source may have the file later."""


def download(url: str, partial: Path) -> None:
    """Bring the file at `url` to `partial`, of which a beginning may be there already.

    Raises:
        Unreachable: it is not there, or a web page is.
        Broken: the connection or the server fails three times in a row.
    """
    messages.say(f"fetching {url}")
    farthest, waits = 0, iter(WAITS)
    while True:
        try:
            return _go_on(url, partial)
        except requests.RequestException as error:
            size = partial.stat().st_size
            if size > farthest:
                farthest, waits = size, iter(WAITS)
            wait, problem = next(waits, None), f"{url}: {_words(error, size)}"
            if not _passing(error):
                raise Unreachable(problem) from None
            if wait is None:
                raise Broken(problem) from None
            messages.say(f"{problem}; next try in {wait:.0f} s")
            if _status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                forget(partial)
        time.sleep(wait)


def forget(partial: Path) -> None:
    """Remove a part and what is known of it."""
    files.remove(partial)
    files.remove(_origin(partial))


def _go_on(url: str, partial: Path) -> None:
    """Ask for what is missing in `partial` and append it; begin anew where that cannot be had."""
    start, known = _begun(url, partial)
    if start and start == known["bytes"]:
        return
    # The bytes as they lie there: an archive is compressed already.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if known["validator"]:
            headers["If-Range"] = known["validator"]

    def answered(response: requests.Response, **_: Any) -> None:
        done.callback(response.close)  # pooch leaves it open when something goes wrong.
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return  # A redirection goes on, an error is raised by pooch.
        if "text/html" in response.headers.get("Content-Type", ""):
            raise Unreachable(f"{url}: a web page came instead of the file; {BROWSER}")
        # Some servers call a .gz a compressed something, and it would arrive unpacked.
        response.raw.headers.pop("Content-Encoding", None)
        if response.status_code == HTTPStatus.OK:
            file.truncate(0)
            files.write_json(_origin(partial), {"url": url} | _identity(response))
        elif not start or response.headers.get("Content-Range") != _rest(start, known["bytes"]):
            file.truncate(0)
            raise requests.ConnectionError("the server's file has changed meanwhile")

    with ExitStack() as done, partial.open("ab") as file:
        pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=CHUNK,
            timeout=TIMEOUT,
            headers=headers,
            hooks={"response": answered},
        )(url, file, None)


def _origin(partial: Path) -> Path:
    """Return the file that says where a part came from."""
    return partial.with_name(f"{partial.name}.json")


def _begun(url: str, partial: Path) -> tuple[int, dict[str, Any]]:
    """Return how many bytes can be gone on with, and what is known of the server's file."""
    if partial.is_file() and _origin(partial).is_file():
        known = files.read_json(_origin(partial))
        # Without a length, nobody could tell whether the rest belongs to it.
        if known["url"] == url and known["bytes"] is not None:
            return partial.stat().st_size, known
    return 0, {}


def _identity(response: requests.Response) -> dict[str, Any]:
    """Return what tells whether the server's file is still the same: a validator and its bytes."""
    etag = response.headers.get("ETag", "")
    # A weak one (W/…) means that the bytes may differ.
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    length = response.headers.get("Content-Length")
    return {"validator": validator, "bytes": None if length is None else int(length)}


def _rest(start: int, total: int) -> str:
    return f"bytes {start}-{total - 1}/{total}"


def _status(error: requests.RequestException) -> int | None:
    return error.response.status_code if error.response is not None else None


def _passing(error: requests.RequestException) -> bool:
    """Return whether another try may go better."""
    status = _status(error)
    if status is not None:
        return status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, broken)


def _words(error: requests.RequestException, size: int) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    cause: BaseException = error
    while cause.__context__ is not None:  # What the socket said, without three libraries' words.
        cause = cause.__context__
    if size:
        return f"broke off after {size:,} bytes ({cause}), which are kept to go on from"
    return f"the connection failed ({cause})"
