"""A file from the web; an interrupted download resumes.

pooch transfers the bytes and shows the progress, but cannot resume. This module adds HTTP's Range
and If-Range (RFC 9110, sections 13.1.5 and 14.2): a partial file resumes if it is of the same URL
and the server confirms that its file is still the same.
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
"""Seconds to connect, and between two pieces of the answer."""
WAITS = (1.0, 5.0)
"""Seconds before the second and the third attempt; progress resets them."""
CHUNK = 2**14
"""Bytes written at once: an interruption loses at most this many."""
RETRYABLE = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Statuses that another attempt may not get, besides 5xx."""
BROWSER = "open the address in a browser: there may be a login or a notice"


class Unreachable(ValueError):
    """A source does not have the file, or not now; another source may."""


class Broken(Unreachable):
    """The connection or the server failed: the same source may have the file later."""


def download(url: str, partial: Path) -> None:
    """Download the file at `url` to `partial`, which may hold its beginning already.

    Raises:
        Unreachable: there is no such file, or a web page instead.
        Broken: the connection or the server fails three times in a row.
    """
    messages.say(f"fetching {url}")
    farthest, waits = 0, iter(WAITS)
    while True:
        try:
            return _resume(url, partial)
        except requests.RequestException as error:
            size = partial.stat().st_size
            if size > farthest:
                farthest, waits = size, iter(WAITS)
            wait, problem = next(waits, None), f"{url}: {_describe(error, size)}"
            if not _retryable(error):
                raise Unreachable(problem) from None
            if wait is None:
                raise Broken(problem) from None
            messages.say(f"{problem}; next attempt in {wait:.0f} s")
            if _status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                discard(partial)
        time.sleep(wait)


def discard(partial: Path) -> None:
    """Remove a partial file and the record of its origin."""
    files.remove(partial)
    files.remove(_origin_file(partial))


def _resume(url: str, partial: Path) -> None:
    """Request what `partial` lacks and append it; start over if the server cannot resume."""
    start, origin = _resumable(url, partial)
    if start and start == origin["bytes"]:
        return
    # Without further compression: an archive is compressed already.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if origin["validator"]:
            headers["If-Range"] = origin["validator"]

    def check(response: requests.Response, **_: Any) -> None:
        cleanup.callback(response.close)  # pooch leaves it open when something goes wrong.
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return  # pooch follows redirections and raises errors.
        if "text/html" in response.headers.get("Content-Type", ""):
            raise Unreachable(f"{url}: a web page instead of the file; {BROWSER}")
        # Some servers declare a .gz as compressed content; it would be unpacked on arrival.
        response.raw.headers.pop("Content-Encoding", None)
        if response.status_code == HTTPStatus.OK:
            file.truncate(0)
            files.write_json(_origin_file(partial), {"url": url} | _identity(response))
        elif not start or response.headers.get("Content-Range") != _range(start, origin["bytes"]):
            file.truncate(0)
            raise requests.ConnectionError("the server's file changed during the download")

    with ExitStack() as cleanup, partial.open("ab") as file:
        pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=CHUNK,
            timeout=TIMEOUT,
            headers=headers,
            hooks={"response": check},
        )(url, file, None)


def _origin_file(partial: Path) -> Path:
    """Return the path of the record of a partial file's origin."""
    return partial.with_name(f"{partial.name}.json")


def _resumable(url: str, partial: Path) -> tuple[int, dict[str, Any]]:
    """Return the number of bytes from which to resume, and the recorded origin."""
    if partial.is_file() and _origin_file(partial).is_file():
        origin = files.read_json(_origin_file(partial))
        # Without a length, the rest cannot be matched to the partial file.
        if origin["url"] == url and origin["bytes"] is not None:
            return partial.stat().st_size, origin
    return 0, {}


def _identity(response: requests.Response) -> dict[str, Any]:
    """Return what identifies the server's version of the file: a validator and its bytes."""
    etag = response.headers.get("ETag", "")
    # A weak one (W/…) means that the bytes may differ.
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    length = response.headers.get("Content-Length")
    return {"validator": validator, "bytes": None if length is None else int(length)}


def _range(start: int, total: int) -> str:
    return f"bytes {start}-{total - 1}/{total}"


def _status(error: requests.RequestException) -> int | None:
    return error.response.status_code if error.response is not None else None


def _retryable(error: requests.RequestException) -> bool:
    """Return whether another attempt may succeed."""
    status = _status(error)
    if status is not None:
        return status in RETRYABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, broken)


def _describe(error: requests.RequestException, size: int) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    cause: BaseException = error
    while (
        cause.__context__ is not None
    ):  # The socket's own error, without those of three libraries.
        cause = cause.__context__
    if size:
        return (
            f"interrupted after {size:,} bytes ({cause}); they are kept, and the next run resumes"
        )
    return f"the connection failed ({cause})"
