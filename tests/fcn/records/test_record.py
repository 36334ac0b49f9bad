import hashlib
import io
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.records import record
from fcn.records.example import Example
from fcn.records.fingerprint import fingerprint
from fcn.records.index import INDEX, read_index
from fcn.records.labels import LABELS
from fcn.records.sample import IGNORE_INDEX, Sample
from fcn.records.split import Records

ROOT = Path(__file__).parents[3]
DIGITS = catalogue.load("digits")
SPLITS = ("train", "val", "test")


def pixels(channels: int) -> st.SearchStrategy[np.ndarray]:
    sides = st.tuples(st.integers(1, 9), st.integers(1, 9))
    return sides.flatmap(lambda hw: arrays(np.uint8, hw if channels == 1 else (*hw, 3)))


def mask_like(image: np.ndarray) -> np.ndarray:
    return (np.arange(image.shape[0] * image.shape[1]) % 11).reshape(image.shape[:2]).astype("u1")


def sample(number: int, group: str = "g", side: int = 5) -> Sample:
    image = np.full((side, side), number, np.uint8)
    return Sample(f"id-{number}", image, mask_like(image), (group,))


def encoded(kind: str, **how: object) -> bytes:
    noise = np.random.default_rng(0).integers(256, size=(4, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, kind, **how)
    return out.getvalue()


def raw_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and data of each record, by the format's own words, checksums included."""

    def masked(part: bytes) -> bytes:
        crc = google_crc32c.value(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)

    content, offset = path.read_bytes(), 0
    while offset < len(content):
        start = offset + 12
        end = start + int.from_bytes(content[offset : offset + 8], "little")
        assert content[offset + 8 : start] == masked(content[offset : offset + 8])
        assert content[end : end + 4] == masked(content[start:end])
        yield offset, content[start:end]
        offset = end + 4


@hypothesis_settings(deadline=None)
@given(image=pixels(1) | pixels(3))
def test_pixels_read_back_as_written(image: np.ndarray) -> None:
    mask = mask_like(image)
    example = record.encode(Sample("one", image, mask, ()))
    decoded = record.decode(Example.from_bytes(example.to_bytes()), 1 if image.ndim == 2 else 3)
    assert (example.height, example.width, example.format) == (*mask.shape, "png")
    assert (decoded.image.reshape(image.shape) == image).all()
    assert decoded.image.ndim == 3
    assert (decoded.label == mask).all()


def test_a_colour_picture_keeps_its_order_of_colours() -> None:
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    stored = record.encode(Sample("red", red, red[..., 0], ())).image
    assert Image.open(io.BytesIO(stored)).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_the_sources_own_bytes_pass_through_untouched(kind: str) -> None:
    image = encoded(kind)
    example = record.encode(Sample("one", image, np.zeros((4, 6), np.uint8), ()))
    assert example.image == image
    assert (example.format, example.height, example.width) == (kind, 4, 6)


@pytest.mark.parametrize("kind", ["bmp", "tiff", "webp"])
def test_a_picture_of_another_format_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="one is a picture of another format; allowed: JPEG, PNG"):
        record.encode(Sample("one", encoded(kind), np.zeros((4, 6), np.uint8), ()))


@pytest.mark.parametrize("image", [b"", b"\xff\xd8\xff", b"no picture"])
def test_bytes_that_are_no_picture_are_refused(image: bytes) -> None:
    with pytest.raises(ValueError, match=f"one: {len(image)} bytes that are no picture"):
        record.encode(Sample("one", image, np.zeros((4, 6), np.uint8), ()))


def test_a_turned_picture_stays_as_its_mask_was_drawn() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    turned, plain = encoded("jpeg", exif=exif), encoded("jpeg")
    assert turned != plain
    for channels in (1, 3):
        same = record.decode_image(plain, channels, "plain")
        assert (record.decode_image(turned, channels, "turned") == same).all()


@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 6, 4)], ids=["colours", "with alpha"])
def test_a_mask_of_colours_is_refused(shape: tuple[int, ...]) -> None:
    example = record.encode(sample(1))
    mask = cv2.imencode(".png", np.ones(shape, np.uint8))[1].tobytes()
    with pytest.raises(ValueError, match=r"the label of id-1 is uint8 .*allowed: 8-bit grey"):
        record.decode(replace(example, label=mask), 1)


def test_a_mask_of_16_bits_is_refused() -> None:
    mask = cv2.imencode(".png", np.ones((4, 6), np.uint16))[1].tobytes()
    with pytest.raises(ValueError, match="the label of id-1 is uint16"):
        record.decode(replace(record.encode(sample(1)), label=mask), 1)


def test_the_index_says_what_the_files_hold(small_records: Path) -> None:
    rows = read_index(small_records)
    found = {
        (path.name, offset): data
        for path in small_records.glob("*.tfrecord")
        for offset, data in raw_records(path)
    }
    assert {(row.shard, row.offset) for row in rows} == found.keys()
    for row in rows:
        data = found[row.shard, row.offset]
        example = Example.from_bytes(data)
        mask = record.decode(example, 1).label
        assert row.shard.startswith(f"{row.split}-")
        assert (row.id, row.length) == (example.id, len(data))
        assert (row.height, row.width) == (example.height, example.width) == mask.shape
        assert row.bytes == len(example.image)
        assert row.image_sha256 == hashlib.sha256(example.image).hexdigest()
        assert row.label_sha256 == hashlib.sha256(mask.tobytes()).hexdigest()
        assert row.pixels == tuple((mask == k).sum() for k in range(len(DIGITS.classes)))
        assert row.ignored == (mask == IGNORE_INDEX).sum()


def test_the_same_pairs_give_the_same_bytes(small_records: Path, own_records: Path) -> None:
    for path in small_records.iterdir():
        assert path.read_bytes() == (own_records / path.name).read_bytes(), path.name
    assert fingerprint(small_records) == fingerprint(own_records)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_read_in_order_and_at_random(split: str, raw: Path, small_records: Path) -> None:
    source = Records(small_records, split)
    expected = list(DIGITS.samples(raw, split, len(source), seed=7))
    for number, (decoded, one) in enumerate(zip(source, expected, strict=True)):
        assert decoded.id == source[number].id == one.id
        assert (decoded.image[..., 0] == one.image).all()
        assert (decoded.label == one.mask).all()
    with pytest.raises(IndexError):
        source[len(source)]


def test_tensorflow_reads_ours_and_we_read_tensorflows(small_records: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    text, number = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
    schema = {
        "image/encoded": text,
        "image/format": text,
        "image/height": number,
        "image/width": number,
        "image/id": text,
        "label/encoded": text,
        "label/format": text,
    }
    shutil.copytree(small_records, tmp_path / "theirs")
    for split in SPLITS:
        ours = Records(small_records, split)
        shards = sorted(map(str, small_records.glob(f"{split}-*.tfrecord")))
        read = list(tf.data.TFRecordDataset(shards).as_numpy_iterator())
        for data, decoded in zip(read, ours, strict=True):
            theirs = tf.io.parse_single_example(data, schema)
            image, label = (
                tf.io.decode_png(theirs[f"{part}/encoded"]) for part in ("image", "label")
            )
            assert theirs["image/id"].numpy().decode() == decoded.id
            assert (theirs["image/height"], theirs["image/width"]) == decoded.label.shape
            assert (image.numpy() == decoded.image).all()
            assert (label.numpy()[..., 0] == decoded.label).all()
            assert theirs["image/format"] == theirs["label/format"] == b"png"
        # TensorFlow writes the same messages in the same order: our index fits its files.
        for shard in shards:
            with tf.io.TFRecordWriter(str(tmp_path / "theirs" / Path(shard).name)) as writer:
                for _, data in raw_records(Path(shard)):
                    message = tf.train.Example.FromString(data)
                    writer.write(message.SerializeToString(deterministic=True))
        written = Records(tmp_path / "theirs", split)
        assert [one.id for one in written] == [one.id for one in ours]
        assert fingerprint(tmp_path / "theirs") == fingerprint(small_records)


def test_tensorflow_reads_our_one_hot_masks(tmp_path: Path) -> None:
    import tensorflow as tf

    classes = len(DIGITS.classes)
    mask = mask_like(np.zeros((5, 7), np.uint8))
    mask[0, 0] = IGNORE_INDEX
    shards.write(tmp_path, DIGITS, {"val": [Sample("a", mask, mask, ())]}, 1, record.ONEHOT)
    text = tf.io.FixedLenFeature([], tf.string)
    (data,) = tf.data.TFRecordDataset(str(tmp_path / "val-00000-of-00001.tfrecord"))
    theirs = tf.io.parse_single_example(data, {"label/encoded": text, "label/format": text})
    flat = tf.io.decode_raw(tf.io.decode_compressed(theirs["label/encoded"], "ZLIB"), tf.uint8)
    (ours,) = Records(tmp_path, "val")
    assert theirs["label/format"] == b"onehot"
    assert (tf.reshape(flat, (5, 7, classes)).numpy() == ours.one_hot).all()
    assert (ours.label == mask).all()


def test_rows_that_are_no_rows_are_refused_with_their_example() -> None:
    example = record.encode(sample(1), len(DIGITS.classes))
    with pytest.raises(ValueError, match=r"the label of id-1: 4 bytes that are no zlib stream"):
        record.decode(replace(example, label=b"rows"), 1)


def test_a_mask_that_no_row_can_hold_is_refused_with_its_example() -> None:
    with pytest.raises(ValueError, match=r"the mask of id-1: no one-hot row can hold \[3, .*\]"):
        record.encode(sample(1), 3)


def test_a_picture_that_was_damaged_anywhere_behind_its_header_is_refused() -> None:
    noise = np.random.default_rng(0).integers(256, size=(40, 60, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "png")
    sound, mask = out.getvalue(), np.zeros((40, 60), np.uint8)
    for place in range(50, len(sound) - 20, 97):
        damaged = bytearray(sound)
        damaged[place] ^= 16
        with pytest.raises(ValueError, match=r"the image of one: .* bytes that are no picture"):
            record.encode(Sample("one", bytes(damaged), mask, ()))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("missing", [1, 20, 60])
def test_a_picture_that_was_cut_short_is_refused(kind: str, missing: int) -> None:
    cut = encoded(kind)[:-missing]
    with pytest.raises(ValueError, match=r"the image of one: .* bytes that are no picture"):
        record.encode(Sample("one", cut, np.zeros((4, 6), np.uint8), ()))


def test_several_threads_and_other_processes_read_the_same(small_records: Path) -> None:
    source = Records(small_records, "train")
    expected = [one.label.tobytes() for one in source]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            found = threads.map(lambda number: source[number].label.tobytes(), range(len(source)))
            assert list(found) == expected
    again = pickle.loads(pickle.dumps(source))
    assert [one.label.tobytes() for one in again] == expected


@hypothesis_settings(deadline=None, max_examples=3)
@given(flip=st.integers(1, 255))
def test_a_flipped_byte_is_detected(flip: int, one_file: Path) -> None:
    source = Records(one_file, "train")
    (path,) = one_file.glob("*.tfrecord")
    sound = path.read_bytes()
    try:
        for place in range(len(sound)):
            damaged = bytearray(sound)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(
                ValueError, match=r"record id-\d at byte \d+ does not match its CRC"
            ):
                list(source)
    finally:
        path.write_bytes(sound)
    assert len(list(source)) == 2


def test_a_file_cut_short_anywhere_is_detected(one_file: Path) -> None:
    source = Records(one_file, "train")
    (path,) = one_file.glob("*.tfrecord")
    sound = path.read_bytes()
    try:
        for length in range(len(sound)):
            path.write_bytes(sound[:length])
            with pytest.raises(ValueError, match=rf"{path}: record .* the file was cut short"):
                list(source)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (INDEX, r"index\.parquet is missing; delete the folder"),
        (LABELS, r"labels\.json is missing"),
        ("train-00001-of-00002.tfrecord", r"tfrecord is missing, but index\.parquet names it"),
    ],
)
def test_a_missing_file_is_named(name: str, said: str, own_records: Path) -> None:
    (own_records / name).unlink()
    with pytest.raises(ValueError, match=said):
        list(Records(own_records, "train"))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path}/digits/.* is missing"):
        Records(tmp_path / "digits", "train")


def test_a_split_that_is_not_there_is_answered_with_those_that_are(small_records: Path) -> None:
    with pytest.raises(ValueError, match="no examples of split 'dev'; it has: test, train, val"):
        Records(small_records, "dev")


def test_records_and_what_reads_them_need_no_deep_learning() -> None:
    light = (
        "common.messages datasets.digits download.fetch labels.check pictures.overlay "
        "conversion.shards records.split report.table labels.ceiling scores.metrics settings.reader"
    )
    code = (
        f"import sys; {'; '.join(f'import fcn.{module}' for module in light.split())};"
        "print({'keras', 'tensorflow', 'jax', 'mlflow', 'prefect', 'dvc'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
