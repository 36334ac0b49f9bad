"""Names of the files that the commands write, their progress and their exit code."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from fcn.common import messages
from fcn.common.text import file_name
from fcn.pictures import photos
from fcn.prediction.predictor import Failure, Segmentation

SOME_FAILED = 3
"""The exit code when some pictures are done and others failed."""


def stems(pictures: Iterable[str], beside: bool = False) -> dict[str, str]:
    """Return the stem of each picture's files, unique in the folder where they are written.

    Args:
        pictures: as the user named them.
        beside: whether the files are written beside each picture, not into one folder.
    """
    pictures = list(pictures)
    short = {name: Path(name).stem if name != photos.STDIN else "stdin" for name in pictures}
    paths = {
        name: f"{Path(name).parent if beside else ''}/{stem}".lower()
        for name, stem in short.items()
    }
    count = Counter(paths.values())
    return {
        name: file_name(stem if count[paths[name]] == 1 else name) for name, stem in short.items()
    }


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
