"""A trained network for other programs, compared with itself before it is kept.

    python -m fcn export digits-fcn8s --out exported/digits-fcn8s
    python -m fcn export my.keras --records data/records/mine --split val --formats onnx --out mine

Writes into the folder, whole or not at all:

    saved_model/   TensorFlow SavedModel
    model.onnx     ONNX
    model.tflite   LiteRT (TensorFlow Lite)
    README.md      the model card: scores, data and its licence, limits, hashes, how equal it is

Each file is opened again by its own runtime and shown real pictures of the records. An export that
does not say what the network says is refused.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fcn.common import files, messages
from fcn.network import backend
from fcn.records.record import Records
from fcn.serving import card
from fcn.settings import reader
from fcn.settings.table import Model
from fcn.tracking import git

if TYPE_CHECKING:
    from fcn.serving.formats import Forward

PICTURES = 8
"""Of the split, spread over all of it."""
CUT = (3, 5)
"""Rows and columns that each picture is shown without as well: a size nobody trained with."""
DIFFERENCE = 1e-4
"""Most that a logit may differ, as a share of the largest: float32 sums in another order differ by
1e-6 or so in a network of 16 layers."""
EQUAL = 0.9999
"""Least share of pixels with the same class."""
NAMES = ("saved_model", "onnx", "litert")
"""The keys of `fcn.serving.formats.FORMATS`, known without Keras."""


def compare(
    original: "Forward", exported: "Forward", images: Iterable[np.ndarray]
) -> card.Equality:
    """Return how far two networks agree on images, each uint8 H W C."""
    pictures = pixels = same = 0
    difference = largest = 0.0
    for image in images:
        ours, theirs = (np.asarray(run(image[None]))[0] for run in (original, exported))
        if ours.shape != theirs.shape:
            raise ValueError(f"the network returns {ours.shape}, its export {theirs.shape}")
        pictures += 1
        pixels += ours[..., 0].size
        same += int((ours.argmax(axis=-1) == theirs.argmax(axis=-1)).sum())
        # Not `max`: what is not a number must not pass.
        difference = float(np.maximum(difference, np.abs(ours - theirs).max()))
        largest = float(np.maximum(largest, np.abs(ours).max()))
    return card.Equality(pictures, pixels, difference, largest, same / pixels)


def require_equal(name: str, found: card.Equality) -> None:
    """Refuse an export that does not say what the network says.

    Raises:
        ValueError: it is not equal enough, or says what is no number.
    """
    if not (found.difference <= DIFFERENCE * found.largest and found.equal >= EQUAL):
        raise ValueError(
            f"{name} is not kept: on {found.pictures} pictures its logits differ by "
            f"{found.difference:.2g} (largest {found.largest:.3g}) and {found.equal:.3%} of the "
            f"pixels have the same class; allowed: {DIFFERENCE * found.largest:.2g} and {EQUAL:.2%}"
        )


def examples(split: Records, pictures: int = PICTURES) -> Iterator[np.ndarray]:
    """Yield pictures uint8 H W C of a split, each whole and cut smaller."""
    for number in np.linspace(0, len(split) - 1, min(pictures, len(split)), dtype=int):
        image = split[int(number)].image
        yield image
        yield image[CUT[0] :, CUT[1] :]


def export(
    path: Path,
    out: Path,
    split: Records,
    names: Sequence[str] = NAMES,
    known: card.Origin | None = None,
) -> None:
    """Write a model in the formats named, each compared with it, and the card.

    Args:
        path: the `.keras` file.
        out: the folder, replaced if it is an earlier export.
        split: records with real pictures for the comparison.
        names: of `fcn.serving.formats.FORMATS`.
        known: what the model's table says; None for a model of no table.

    Raises:
        ValueError: the model is not for these records, an export is not equal to it, a package is
            missing, or `out` holds something else.
    """
    from fcn.network import model_file
    from fcn.serving import formats as exported

    _require_ours(out, {known.file for known in exported.FORMATS.values()})
    model = exported.precise(model_file.load(path))
    network = (model.inputs[0].shape[-1], model.outputs[0].shape[-1])
    records = (split.labels.channels, len(split.labels.classes))
    if network != records:
        raise ValueError(
            f"{path} takes {network[0]} channel(s) and tells {network[1]} classes apart, but "
            f"{split.folder} has {records[0]} and {records[1]}; name the model's own --records"
        )
    kept = []
    with files.writing_folder(out) as aside:
        for name in names:
            chosen = exported.FORMATS[name]
            place = aside / chosen.file
            chosen.write(model, place)
            found = compare(model.predict_on_batch, chosen.open(place), examples(split))
            require_equal(chosen.file, found)
            messages.say(f"{chosen.file}: {found}")
            kept.append(card.Kept(chosen.title, chosen.file, hashed(place), chosen.sizes, found))
        facts = {f"SHA-256 of {path.name}": files.sha256(path)}
        if commit := git.commit():
            facts["Git commit"] = str(commit)
        text = card.markdown(path.stem, facts, split, kept, known)
        (aside / card.FILE).write_text(text, "utf-8")
    messages.say(f"{out}: {', '.join(one.file for one in kept)} and {card.FILE}")


def hashed(path: Path) -> str:
    """Return the SHA-256 of a file, or of the list of a folder's files as `sha256sum` prints it."""
    if path.is_file():
        return files.sha256(path)
    inside = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listed = "".join(f"{files.sha256(path / name)}  {name}\n" for name in inside)
    return hashlib.sha256(listed.encode()).hexdigest()


def _require_ours(out: Path, known: set[str]) -> None:
    """Refuse a folder that holds what no export wrote: it would be gone."""
    if out.is_dir():
        foreign = {path.name for path in out.iterdir()} - known - {card.FILE}
        if foreign:
            raise ValueError(
                f"{out} holds what is no export ({', '.join(sorted(foreign)[:3])}) and would be "
                "replaced; name a new folder with --out"
            )


def main(arguments: Sequence[str]) -> int:
    """Read the command line, export; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fcn export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a row of a table (digits-fcn8s) or a file (model.keras)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--formats", nargs="+", choices=NAMES, default=NAMES, metavar="FORMAT",
                        help=f"{', '.join(NAMES)}; without it, all")  # fmt: skip
    parser.add_argument("--records", type=Path, help="pictures to compare on; the row's own")
    parser.add_argument(
        "--split", help="of the records; the one that the row's table is measured on"
    )
    chosen = parser.parse_args(arguments)
    path = Path(chosen.model)
    if path.suffix != ".keras":
        path = Path("data/models") / f"{chosen.model}.keras"
    row = path.stem in _rows(path.stem)
    if not row and not (chosen.records and chosen.split):
        raise ValueError(
            f"{path.stem} is no row of a table, so that its pictures are not known; "
            "name some with --records FOLDER --split SPLIT"
        )
    known = card.origin(path.stem) if row else None
    folder = chosen.records or Path("data/records") / _rows(path.stem)[path.stem].dataset
    split = Records(folder, chosen.split or (known.split if known else ""))
    common = reader.load(reader.active()[0]).common
    # The converters read TensorFlow's graphs; a model of the other backend opens here too.
    backend.use(common.model_copy(update={"backend": "tensorflow", "precision": "float32"}))
    export(path, chosen.out, split, chosen.formats, known)
    return 0


def _rows(key: str) -> dict[str, Model]:
    """Return the models of the table that a key would belong to, if there is such a table."""
    tables = {path.stem for path in reader.TABLES.glob("*.yaml")}
    return reader.load(key).table.models if reader.table_of(key) in tables else {}


if __name__ == "__main__":
    messages.end_with_parent()
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, OSError) as error:
        messages.fail(str(error))
