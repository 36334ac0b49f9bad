"""What a trained network sees in pictures.

    python -m fcn predict photo.jpg
    python -m fcn predict photos/ 'more/**/*.png' --model camvid-fcn8s --out seen
    python -m fcn predict scan.tif --model models:/fcn-digits@champion --probabilities
    curl -s https://example.org/a.jpg | python -m fcn predict - --model digits.keras

Writes for `photo.jpg`, at its own size:

    photo-mask.png       class indices, with the classes' colours as palette
    photo-overlay.png    the picture with the classes in colour, and a legend
    photo.json           the share of each class, and where the answer comes from
    photo-probabilities.npz   float16 H W K, with --probabilities
    photo-person.png .webp    with --sticker person

Each PNG says inside which model, MLflow run and Git commit made it. Pictures that cannot be read
are named and left out; then the exit code is 3, or 1 if none is left.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files, messages
from fcn.pictures import overlay as pictures
from fcn.pictures import photos, provenance
from fcn.prediction import answering, sticker
from fcn.prediction.answering import Answer, Opened, Skipped


def main(arguments: Sequence[str]) -> int:
    """Read the command line, answer, write; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fcn predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    answering.add_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), help="where files go (%(default)s)"
    )
    parser.add_argument("--beside", action="store_true", help="write beside each picture instead")
    parser.add_argument("--probabilities", action="store_true", help="of every class and pixel")
    parser.add_argument("--sticker", metavar="CLASS", help="cut this class out as well")
    parser.add_argument("--report", type=Path, help="a JSON file: pictures done, skipped and why")
    chosen = parser.parse_args(arguments)
    return predict(chosen)


def predict(chosen: argparse.Namespace) -> int:
    """Answer for all pictures; return the exit code.

    Raises:
        ValueError: there is no picture, no such model or class, or no place to write to.
    """
    found = photos.find(chosen.pictures)
    if not chosen.beside:
        files.require_writable(chosen.out)
    short = answering.names(found, chosen.beside)
    done: list[str] = []
    skipped: list[Skipped] = []
    with answering.opened(chosen) as model:
        wanted = sticker.number(chosen.sticker, model.labels) if chosen.sticker else None
        for one in answering.answers(model, found, chosen.tile, chosen.batch, chosen.probabilities):
            messages.say(f"{len(done) + len(skipped) + 1} of {len(found)}: {one.name}", last=False)
            if isinstance(one, Skipped):
                skipped.append(one)
                continue
            folder = Path(one.name).parent if chosen.beside else chosen.out
            stem = folder / short[one.name]
            write(one, model, stem)
            if wanted is not None and not sticker.write(
                one, model.facts, wanted, chosen.sticker, stem
            ):
                messages.say(f"{one.name}: no {chosen.sticker} in it, so no sticker")
            done.append(one.name)
    if chosen.report:
        why = {one.name: one.reason for one in skipped}
        files.write_json(chosen.report, {"done": done, "skipped": why})
    return answering.summary(len(done), skipped, chosen.out)


def write(answer: Answer, model: Opened, stem: Path) -> None:
    """Write mask, overlay, shares and, where they were asked for, probabilities."""
    labels = model.labels
    present = np.flatnonzero(np.bincount(answer.mask.ravel(), minlength=len(labels.classes)))
    seen = pictures.blend(answer.image, answer.mask, labels)
    overlay = np.asarray(pictures.row([(Path(answer.name).name, seen)], present, labels))
    files.write_bytes(
        _path(stem, "-mask.png"), provenance.mask_png(answer.mask, labels.colours, model.facts)
    )
    files.write_bytes(_path(stem, "-overlay.png"), provenance.rgb_png(overlay, model.facts))
    if answer.probabilities is not None:
        with files.writing(_path(stem, "-probabilities.npz")) as aside, aside.open("wb") as file:
            np.savez(file, probabilities=answer.probabilities, classes=np.array(labels.classes))
    # Last: where it stands, the others stand too.
    files.write_json(_path(stem, ".json"), shares(answer, model), flush=False)


def shares(answer: Answer, model: Opened) -> dict[str, Any]:
    """Return what the JSON file says: the size, each class's share of the pixels, the origin."""
    height, width = answer.mask.shape
    counts = np.bincount(answer.mask.ravel(), minlength=len(model.labels.classes))
    return {
        "picture": answer.name,
        "height": height,
        "width": width,
        "shares": {
            name: count / answer.mask.size
            for name, count in zip(model.labels.classes, counts.tolist(), strict=True)
        },
        "origin": model.facts,
    }


def _path(stem: Path, end: str) -> Path:
    return stem.with_name(stem.name + end)
