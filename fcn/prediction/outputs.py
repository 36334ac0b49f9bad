"""Names of the files that the commands write, their progress and their exit code."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import AbstractContextManager
from pathlib import Path

from fcn.common import messages
from fcn.pictures import photos
from fcn.prediction.predictor import Failure, Segmentation

SOME_FAILED = 3
"""The exit code when some pictures are done and others failed."""
LONGEST = 120
"""Bytes of a stem; file systems allow names of 255, and the endings hold the name of a class."""


def stems(pictures: Mapping[str, Path], beside: bool = False) -> dict[str, Path]:
    """Return the path of each picture's files without their endings, unique whatever the case.

    The files have the picture's name. Where two pictures have the same, theirs has the folders too,
    then the suffix, then a hash.

    Args:
        pictures: from `photos.find`, with their paths below what the user named.
        beside: whether the files are written beside each picture, not into one folder.

    Returns:
        Paths below the output folder; with `beside`, paths of the pictures' folders.
    """
    result: dict[str, Path] = {}
    for form in _forms(pictures, beside):
        paths = {name: _fitting(form[name]) for name in pictures if name not in result}
        count = Counter(map(_folded, [*paths.values(), *result.values()]))
        result |= {name: path for name, path in paths.items() if count[_folded(path)] == 1}
        if len(result) == len(pictures):
            break
    return {name: result[name] for name in pictures}


def _forms(pictures: Mapping[str, Path], beside: bool) -> Iterator[dict[str, Path]]:
    """Yield a stem for each picture, each time with more of the picture's name."""
    paths = dict(pictures)
    if beside:
        paths |= {name: Path(name) for name in pictures if name != photos.STDIN}
    yield _without_suffix(paths)
    if not beside:
        paths |= _below_common_folder(name for name in pictures if name != photos.STDIN)
        yield _without_suffix(paths)
    yield paths
    yield {name: path.parent / f"{path.name}-{_digest(name)}" for name, path in paths.items()}


def _without_suffix(paths: Mapping[str, Path]) -> dict[str, Path]:
    return {name: path.parent / path.stem for name, path in paths.items()}


def _below_common_folder(names: Iterable[str]) -> dict[str, Path]:
    """Return the path of each picture below the deepest folder that holds them all."""
    paths = {name: Path(os.path.normpath(Path(name).absolute())) for name in names}
    common = os.path.commonpath([path.parent for path in paths.values()])
    return {name: path.relative_to(common) for name, path in paths.items()}


def _folded(path: Path) -> str:
    """Return a path as file systems that ignore upper and lower case compare it."""
    return str(path).casefold()


def _fitting(path: Path) -> Path:
    """Return a path with a name of about `LONGEST` bytes; a hash keeps long names different."""
    encoded = os.fsencode(path.name)
    if len(encoded) <= LONGEST:
        return path
    return path.with_name(f"{encoded[:LONGEST].decode(errors='ignore')}-{_digest(path.name)}")


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def interruptible(done: Sized, total: int) -> AbstractContextManager[None]:
    """Let Ctrl-C in the block end with the number of pictures whose files are complete."""
    return messages.interruptible(lambda: f"{len(done)} of {total} done")


def with_progress(
    results: Iterable[Segmentation | Failure], total: int
) -> Iterator[Segmentation | Failure]:
    """Yield the results, and show the number and the name of each."""
    for number, result in enumerate(results, start=1):
        messages.say(f"{number} of {total}: {result.name}", last=False)
        yield result


def summarise(done: int, failures: list[Failure], where: str) -> int:
    """Print how many pictures are done and why the others failed; return the exit code."""
    for failure in failures:
        messages.say(f"skipped {failure.name}: {failure.reason}")
    rest = f"; {len(failures)} skipped" if failures else ""
    messages.say(f"{done} picture(s) done, {where}{rest}")
    return 0 if not failures else SOME_FAILED if done else 1
