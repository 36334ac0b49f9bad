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
from fcn.serving import card, onnx_file
from fcn.settings import execution, project, reader
from fcn.settings.keys import table_of
from fcn.settings.table import Model
from fcn.tracking import git

if TYPE_CHECKING:
    from fcn.serving.function import Forward

PICTURES = 8
"""Compared pictures, spread over the split."""
CROP = (3, 5)
"""Rows and columns that are cropped from each picture: no network is trained with such sizes."""
DIFFERENCE = 1e-4
"""Largest difference of a logit, as a share of the largest logit: float32 sums in another order
differ by about 1e-6 in a network of 16 layers."""
EQUAL = 0.9999
"""Smallest share of pixels with the same class."""


def compare(
    original: "Forward", exported: "Forward", images: Iterable[np.ndarray]
) -> card.Agreement:
    """Return how closely two networks agree on images, each uint8 H W C."""
    pictures = pixels = same = 0
    difference = largest = 0.0
    for image in images:
        ours, theirs = (np.asarray(run(image[None]))[0] for run in (original, exported))
        if ours.shape != theirs.shape:
            raise ValueError(f"the network returns {ours.shape}, its export {theirs.shape}")
        pictures += 1
        pixels += ours[..., 0].size
        same += int((ours.argmax(axis=-1) == theirs.argmax(axis=-1)).sum())
        # Not `max`, which may drop a NaN.
        difference = float(np.maximum(difference, np.abs(ours - theirs).max()))
        largest = float(np.maximum(largest, np.abs(ours).max()))
    return card.Agreement(pictures, pixels, difference, largest, same / pixels)


def require_equal(name: str, agreement: card.Agreement) -> None:
    """Refuse an export that differs from its network.

    Raises:
        ValueError: it differs too much, or returns NaN.
    """
    allowed = DIFFERENCE * agreement.largest
    if not (agreement.difference <= allowed and agreement.equal >= EQUAL):
        raise ValueError(
            f"{name} is refused: on {agreement.pictures} pictures its logits differ by "
            f"{agreement.difference:.2g} (largest {agreement.largest:.3g}) and "
            f"{agreement.equal:.3%} of the pixels have the same class; allowed: {allowed:.2g} and "
            f"{EQUAL:.2%}"
        )


def examples(split: Records, pictures: int = PICTURES) -> Iterator[np.ndarray]:
    """Yield pictures uint8 H W C of a split, each whole and cropped."""
    for number in np.linspace(0, len(split) - 1, min(pictures, len(split)), dtype=int):
        image = split[int(number)].image
        yield image
        yield image[CROP[0] :, CROP[1] :]


def export(
    path: Path,
    out: Path,
    split: Records,
    names: Sequence[str] | None = None,
    row: card.RowFacts | None = None,
) -> None:
    """Write a model in some formats, compare each with it, and write the card.

    Args:
        path: the `.keras` file.
        out: the folder, replaced if it is an earlier export.
        split: records with real pictures for the comparison.
        names: of `fcn.serving.formats.FORMATS`; None: all.
        row: facts from the model's table; None for a model of no table.

    Raises:
        ValueError: the model is not for these records, an export differs from it, a package is
            missing, or `out` holds other files.
    """
    from fcn.network import build, model_file
    from fcn.serving import formats

    files.require_replaceable(
        out, [format.file for format in formats.FORMATS.values()] + [card.FILE]
    )
    model = formats.in_float32(model_file.load(path))
    network = (model.inputs[0].shape[-1], model.outputs[0].shape[-1])
    records = (split.labels.channels, len(split.labels.classes))
    if network != records:
        raise ValueError(
            f"{path} takes {network[0]} channel(s) and predicts {network[1]} classes, but "
            f"{split.folder} has {records[0]} and {records[1]}; name the model's own --records"
        )
    digest = files.sha256(path)
    facts = {"Git commit": str(commit)} if (commit := git.commit()) else {}
    source = {onnx_file.SOURCE: f"{path.name}, SHA-256 {digest}"}
    exported = []
    with files.writing_folder(out) as aside:
        for name in names or formats.FORMATS:
            format = formats.FORMATS[name]
            file = aside / format.file
            format.write(model, file)
            if format.describe:
                format.describe(file, split.labels, build.resize_factor(model), source | facts)
            agreement = compare(model.predict_on_batch, format.open(file), examples(split))
            require_equal(format.file, agreement)
            messages.say(f"{format.file}: {agreement}")
            exported.append(
                card.ExportedFile(format.title, format.file, sha256(file), format.sizes, agreement)
            )
        facts = {f"SHA-256 of {path.name}": digest} | facts
        text = card.markdown(path.stem, facts, split, exported, row)
        (aside / card.FILE).write_text(text, "utf-8")
    messages.say(f"{out}: {', '.join(file.file for file in exported)} and {card.FILE}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the list of a folder's files as `sha256sum` prints it."""
    if path.is_file():
        return files.sha256(path)
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{files.sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def export_file(
    path: Path, out: Path, formats: Sequence[str], records: Path | None, split: str | None
) -> None:
    """Export a model's file.

    Args:
        path: the `.keras` file; one that is named as a row of a table is the row's model.
        out: the folder, replaced if it is an earlier export.
        formats: of `fcn.serving.formats.FORMATS`.
        records: folder of records to compare on; None: those of the row.
        split: None: the one that the row's table measures.

    Raises:
        ValueError: as `export`; the file is an export; the model is no row and records or split
            are missing.
    """
    if path.suffix == onnx_file.SUFFIX:
        raise ValueError(f"{path} is an export; name the .keras file that it was made from")
    root = project.find()
    rows = {} if root is None else _rows(path.stem, root)
    row = rows.get(path.stem)
    if row is None and not (records and split):
        raise ValueError(
            f"{path.stem} is no row of a table; name pictures to compare on with "
            "--records FOLDER --split SPLIT"
        )
    known = card.read_row(path.stem, root) if row and root else None
    folder = records or (root or Path()) / "data/records" / rows[path.stem].dataset
    compared = Records(folder, split or (known.split if known else ""))
    # The converters read TensorFlow's graphs; models trained on JAX open on TensorFlow too.
    settings = {"backend": "tensorflow", "precision": "float32"}
    backend.use(execution.compute().model_copy(update=settings))
    export(path, out, compared, formats, known)


def _rows(key: str, root: Path) -> dict[str, Model]:
    """Return the models of the table that a key would belong to, if there is such a table."""
    tables = {path.stem for path in (root / reader.TABLES).glob("*.yaml")}
    return reader.load(key, root).table.models if table_of(key) in tables else {}
