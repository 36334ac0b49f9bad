"""Convert a data set into records, and the same pairs into raw records beside them.

Run:
    python -m bench.convert                            # the default table's canvases
    python -m bench.convert camvid --raw data/raw/camvid

The other side is tf-image-segmentation's (Daniil Pakhomov, 2017; `utils/tf_records.py`): pictures
read by Pillow, written by TensorFlow as they lie in memory, H W 3 and H W bytes, into one file. It
gets its pairs from the same data set, one after the other, as that script does. Imports count on
neither side. The ratio is their bytes to ours.
"""

import io
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from typer import Argument, Option

from fcn.cli import command_line
from fcn.datasets.shared import catalogue
from fcn.download import archives, fetch
from fcn.records.index import read_index
from fcn.records.sample import Sample
from fcn.records.split import Records
from fcn.settings import reader
from stages.convert import convert


def write_raw(splits: Iterable[Sequence[Sample]], path: Path) -> float:
    """Write all pairs as raw records; return the seconds that it took."""
    import tensorflow as tf  # not above: our workers, which import this file, would wait for it

    def raw_example(pair: Sample) -> bytes:
        image = pair.image
        if isinstance(image, bytes):
            image = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
        feature = {
            "height": tf.train.Feature(int64_list=tf.train.Int64List(value=[image.shape[0]])),
            "width": tf.train.Feature(int64_list=tf.train.Int64List(value=[image.shape[1]])),
            "image_raw": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
            "mask_raw": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[pair.mask.tobytes()])
            ),
        }
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    began = time.perf_counter()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for pairs in splits:
            for number in range(len(pairs)):
                writer.write(raw_example(pairs[number]))
    return time.perf_counter() - began


def measure(key: str, raw: Path, scratch: Path) -> None:
    """Convert both ways below `scratch`; print seconds, bytes and their ratio."""
    data = reader.entry(reader.load(key).table.datasets, key, "datasets")
    seed, asked = reader.load(key).common.seed, data.convert
    dataset = catalogue.load(data.module, asked)
    ours, theirs = scratch / "records", scratch / "raw.tfrecord"
    began = time.perf_counter()
    convert(key, raw, ours)
    ours_seconds = time.perf_counter() - began
    with archives.laid_out(raw, dataset.archives, beside=scratch / "pairs") as root:
        lists = [(asked.lists.get(split, split), count) for split, count in asked.splits.items()]
        pairs = (dataset.samples(root, name, count, seed) for name, count in lists)
        theirs_seconds = write_raw(pairs, theirs)
    written = sum(path.stat().st_size for path in ours.glob("*.tfrecord"))
    images, labels = stored(ours)
    raw_bytes = theirs.stat().st_size
    print(f"{key}: {images:,} bytes of images as published, {labels:,} of labels as stored")
    print(f"ours:   {ours_seconds:6.2f} s  {written:13,} bytes, index and proofs included in s")
    print(f"theirs: {theirs_seconds:6.2f} s  {raw_bytes:13,} bytes, raw, no index")
    print(f"ours to the sum of images and labels: {written / (images + labels):.4f}")
    print(f"ratio: {raw_bytes / written:.2f}")


def stored(folder: Path) -> tuple[int, int]:
    """Return the bytes of all encoded images and of all encoded labels in a folder of records."""
    images = labels = 0
    for split in set(read_index(folder)["split"].to_pylist()):
        source = Records(folder, split)
        for number in range(len(source)):
            example = source.example(number)
            images, labels = images + len(example.image), labels + len(example.label)
    return images, labels


def main(
    key: Annotated[str, Argument(help="A data set.")] = "digits",
    raw: Annotated[
        Path | None, Option(help="Folder of its raw files. Default: digits are downloaded.")
    ] = None,
) -> None:
    """Convert; download the canvases' source if no folder is named."""
    with tempfile.TemporaryDirectory() as scratch:
        if raw is None:
            if key != "digits":
                raise ValueError(f"name the folder of the raw files of {key}: --raw FOLDER")
            raw = Path(scratch) / "source"
            for archive in catalogue.load("digits").archives:
                fetch.fetch(archive, raw)
        measure(key, raw, Path(scratch))


if __name__ == "__main__":
    command_line.run(main)
