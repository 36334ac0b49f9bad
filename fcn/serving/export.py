"""A trained network in the formats of other programs, compared with the network itself.

Each file is opened again by its own runtime and compared on real pictures of the records. An export
that differs is refused.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fcn.common import files, messages
from fcn.network import backend
from fcn.records.split import Records
from fcn.serving import card
from fcn.settings import reader
from fcn.settings.table import Model
from fcn.tracking import runs

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
    names: Sequence[str] | None = None,
    known: card.Origin | None = None,
) -> None:
    """Write a model in the formats named, each compared with it, and the card.

    Args:
        path: the `.keras` file.
        out: the folder, replaced if it is an earlier export.
        split: records with real pictures for the comparison.
        names: of `fcn.serving.formats.FORMATS`; None: all.
        known: what the model's table says; None for a model of no table.

    Raises:
        ValueError: the model is not for these records, an export is not equal to it, a package is
            missing, or `out` holds something else.
    """
    from fcn.network import model_file
    from fcn.serving import formats as exported

    files.require_replaceable(out, [each.file for each in exported.FORMATS.values()] + [card.FILE])
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
        for name in names or exported.FORMATS:
            chosen = exported.FORMATS[name]
            place = aside / chosen.file
            chosen.write(model, place)
            found = compare(model.predict_on_batch, chosen.open(place), examples(split))
            require_equal(chosen.file, found)
            messages.say(f"{chosen.file}: {found}")
            kept.append(card.Kept(chosen.title, chosen.file, hashed(place), chosen.sizes, found))
        git = runs.git_tags()
        changed = " with changes" if git.get("git.dirty") == "true" else ""
        facts = {f"SHA-256 of {path.name}": files.sha256(path)}
        if git:
            facts["Git commit"] = git["git.commit"] + changed
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


def export_named(
    name: str, out: Path, formats: Sequence[str], records: Path | None, split: str | None
) -> None:
    """Export a model by its row or its file.

    Args:
        name: a row of a table (digits-fcn8s) or a file (model.keras).
        out: the folder, replaced if it is an earlier export.
        formats: of `fcn.serving.formats.FORMATS`.
        records: folder of records to compare on; None: those of the row.
        split: None: the one that the row's table measures.

    Raises:
        ValueError: as `export`; the model is no row and records or split are missing.
    """
    path = Path(name)
    if path.suffix != ".keras":
        path = Path("data/models") / f"{name}.keras"
    rows = _rows(path.stem)
    row = rows.get(path.stem)
    if row is None and not (records and split):
        raise ValueError(
            f"{path.stem} is no row of a table; name pictures to compare on with "
            "--records FOLDER --split SPLIT"
        )
    known = card.origin(path.stem) if row else None
    folder = records or Path("data/records") / rows[path.stem].dataset
    compared = Records(folder, split or (known.split if known else ""))
    common = reader.load(reader.active()[0]).common
    # The converters read TensorFlow's graphs; models trained on JAX open on TensorFlow too.
    backend.use(common.model_copy(update={"backend": "tensorflow", "precision": "float32"}))
    export(path, out, compared, formats, known)


def _rows(key: str) -> dict[str, Model]:
    """Return the models of the table that a key would belong to, if there is such a table."""
    tables = {path.stem for path in reader.TABLES.glob("*.yaml")}
    return reader.load(key).table.models if reader.table_of(key) in tables else {}
