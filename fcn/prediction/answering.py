"""Pictures in, answers out: what `predict`, `sticker` and `submit` share.

A picture goes through the network as it is. The networks take any height and width, so nothing is
stretched or filled up, and the mask is the one that `evaluate` would measure.
"""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fcn.common import messages
from fcn.inference import refine, tiles
from fcn.network import backend
from fcn.pictures import photos
from fcn.pictures.overlay import file_name
from fcn.prediction import trained
from fcn.records.record import Labels
from fcn.settings import reader

TILE = 1024
"""Side of the default tile in pixels: VGG-16 with fc6 and fc7 of 1,024 needs 2 GiB for it."""
BATCH = 8
SOME_LEFT_OUT = 3
"""Exit code when at least one thing was made and at least one was not."""


@dataclass(frozen=True)
class Opened:
    """A model ready to answer."""

    network: Callable[[np.ndarray], np.ndarray]
    labels: Labels
    facts: dict[str, str]
    refine: bool = False
    """Whether masks' edges shall follow the picture's (`fcn.inference.refine`)."""
    scale: float = 1.0
    """Of a picture's sides, what the network makes of them first."""


@dataclass(frozen=True)
class Answer:
    """What a network says of one picture."""

    name: str
    """The picture as it was named."""
    image: np.ndarray
    """As the network saw it, uint8 H W C."""
    mask: np.ndarray
    """The class with the largest score, the first of equals, uint8 H W."""
    probabilities: np.ndarray | None
    """Softmax, float16 H W K, where it was asked for."""


@dataclass(frozen=True)
class Skipped:
    """A picture without an answer, and why."""

    name: str
    reason: str


def add_arguments(parser: ArgumentParser) -> None:
    """Add what every command takes that answers for pictures."""
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="files, folders, patterns; - is stdin"
    )
    parser.add_argument("--model", help=f"{trained.NAMES}; without it, the table's last row")
    parser.add_argument(
        "--tile",
        type=int,
        default=TILE,
        help="side in pixels: pictures of more pixels than its square go in overlapping tiles "
        f"(%(default)s; a multiple of {tiles.STRIDE} from {tiles.LEAST})",
    )
    parser.add_argument(
        "--batch", type=int, default=BATCH, help="pictures of one size at once (%(default)s)"
    )
    parser.add_argument(
        "--refine", action="store_true", help="let the masks' edges follow the picture's"
    )
    parser.add_argument(
        "--engine",
        help="what runs the network (`fcn.serving.engines`); without it, the fastest exact one",
    )
    parser.add_argument(
        "--no-tracking", action="store_true", help="do not ask MLflow which run made the model"
    )


@contextmanager
def opened(chosen: Namespace) -> Iterator[Opened]:
    """Open the model that the command line names.

    Raises:
        ValueError: the model or a setting cannot be used.
    """
    tiles.Tiling(chosen.tile)
    if chosen.batch < 1:
        raise ValueError(f"batch: got {chosen.batch}, allowed: 1 or more")
    with trained.find(chosen.model, not chosen.no_tracking) as found:
        common = reader.load(reader.active()[0]).common
        backend.use(common)
        from fcn.serving import engines

        engine = engines.load(chosen.engine or engines.FASTEST[common.backend], found.path)
        labels = found.named(engine.channels, engine.classes)
        facts = found.facts | ({"Refined": "guided filter"} if chosen.refine else {})
        yield Opened(engine, labels, facts, chosen.refine, engine.scale)


def answers(
    model: Opened, pictures: Iterable[str], tile: int, batch: int, surely: bool = False
) -> Iterator[Answer | Skipped]:
    """Yield an answer for each picture, or why there is none, in order.

    Neighbours of the same size go through the network together, `batch` at the most and no more
    pixels than a tile has; `surely` keeps the probabilities.
    """
    group: list[tuple[str, np.ndarray]] = []
    for name in pictures:
        try:
            image = photos.read(photos.content(name), model.labels.channels)
        except (ValueError, OSError) as error:
            yield from _answered(model, group, tile, surely)
            group = []
            yield Skipped(
                name, error.strerror or str(error) if isinstance(error, OSError) else str(error)
            )
            continue
        most = max(1, min(batch, tile**2 // max(1, image.shape[0] * image.shape[1])))
        if group and (len(group) >= most or image.shape != group[0][1].shape):
            yield from _answered(model, group, tile, surely)
            group = []
        group.append((name, image))
    yield from _answered(model, group, tile, surely)


def _answered(
    model: Opened, group: list[tuple[str, np.ndarray]], tile: int, surely: bool
) -> Iterator[Answer]:
    if not group:
        return
    images, known = np.stack([image for _, image in group]), surely or model.refine
    maps = _maps(model, images, tile, known)
    for number, (name, image) in enumerate(group):
        one = {key: value[number] for key, value in maps.items()}
        yield _settled(model, Answer(name, image, one["mask"], one.get("probabilities")), surely)


def _settled(model: Opened, answer: Answer, surely: bool) -> Answer:
    """Return the answer with its edges moved, if that is wanted."""
    if not model.refine:
        return answer
    assert answer.probabilities is not None
    moved = refine.refine(answer.image, answer.probabilities)
    mask, probabilities = moved.argmax(axis=-1).astype(np.uint8), moved.clip(0, 1)
    return replace(
        answer, mask=mask, probabilities=probabilities.astype(np.float16) if surely else None
    )


def _maps(
    model: Opened, images: np.ndarray, tile: int, probabilities: bool = False
) -> dict[str, np.ndarray]:
    """Return masks and, on request, probabilities of images B H W C, in tiles if they are large."""

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        logits = model.network(images)
        mask = {"mask": logits.argmax(axis=-1).astype(np.uint8)}
        return mask | ({"probabilities": softmax(logits)} if probabilities else {})

    if images[0, ..., 0].size <= tile**2:
        return predict(images)
    maps = [tiles.Tiling(tile, model.scale).predict(predict, image) for image in images]
    return {name: np.stack([one[name] for one in maps]) for name in maps[0]}


def masks(model: Opened, images: np.ndarray, tile: int) -> np.ndarray:
    """Return masks uint8 B H W of images B H W C, in tiles if one has more pixels than a tile."""
    return _maps(model, images, tile)["mask"]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities float16 H W K of logits H W K."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float16)


def names(pictures: Iterable[str], beside: bool = False) -> dict[str, str]:
    """Return a short name for each picture's files, no two the same where they will lie."""
    pictures = list(pictures)
    stems = {name: Path(name).stem if name != photos.STDIN else "stdin" for name in pictures}
    places = {
        name: f"{Path(name).parent if beside else ''}/{stem}".lower()
        for name, stem in stems.items()
    }
    twice = Counter(places.values())
    return {
        name: file_name(stem if twice[places[name]] == 1 else name) for name, stem in stems.items()
    }


def summary(done: int, skipped: Iterable[Skipped], where: Path) -> int:
    """Say what was done and what was left out; return the exit code."""
    left = list(skipped)
    for one in left:
        messages.say(f"skipped {one.name}: {one.reason}")
    messages.say(f"{done} picture(s) done, in {where}" + (f"; {len(left)} skipped" if left else ""))
    return 0 if not left else SOME_LEFT_OUT if done else 1
