"""Three ways from record files to batches; each decodes once, shuffles, shifts, and batches."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.alternate import Work
from fcn.records.split import Records
from fcn.settings import reader
from fcn.settings.training import Training


def ours(folder: Path, training: Training) -> Iterator[Any]:
    """Yield our batches of all epochs."""
    from fcn.training import inputs

    examples = Records(folder, "train")
    source = inputs.RecordSource(inputs.cache(examples))
    yield from inputs.stream(inputs.batches(source, training, seed=1))


def tf_data(folder: Path, training: Training) -> Iterator[Any]:
    """Yield tf.data's: parsed and decoded in parallel, cached, prefetched."""
    import tensorflow as tf

    features = {
        name: tf.io.FixedLenFeature((), tf.string) for name in ("image/encoded", "label/encoded")
    }
    most = training.translate

    def decode(record: Any) -> tuple[Any, Any]:
        example = tf.io.parse_single_example(record, features)
        return tuple(tf.io.decode_png(example[name]) for name in features)

    def shift(image: Any, label: Any) -> tuple[Any, Any]:
        down, right = tf.unstack(tf.random.uniform((2,), 0, 2 * most + 1, tf.int32))
        size = tf.shape(label)
        both = []
        for pixels, fill in ((image, 0), (label, 255)):
            padded = tf.pad(pixels, ((most, most), (most, most), (0, 0)), constant_values=fill)
            both.append(padded[down : down + size[0], right : right + size[1]])
        return both[0], both[1][..., 0]

    parallel = tf.data.AUTOTUNE
    dataset = tf.data.TFRecordDataset(sorted(map(str, folder.glob("train-*.tfrecord"))))
    dataset = dataset.map(decode, parallel).cache().shuffle(len(Records(folder, "train")))
    dataset = dataset.repeat(training.epochs).map(shift, parallel)
    return dataset.batch(training.batch, drop_remainder=True).prefetch(parallel).as_numpy_iterator()


def data_loader(folder: Path, training: Training, workers: int = 2) -> Iterator[Any]:
    """Yield those of PyTorch's DataLoader, two worker processes that stay."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from fcn.training.augmentation import crop_or_pad

    class Canvases(Dataset):
        def __init__(self) -> None:
            records = Records(folder, "train")
            examples = (records.example(number) for number in range(len(records)))
            self.pairs = [(_open(e.image)[..., None], _open(e.label)) for e in examples]
            self.random = np.random.default_rng(1)

        def __len__(self) -> int:
            return len(self.pairs)

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            image, label = self.pairs[number]
            down, right = self.random.integers(-training.translate, training.translate + 1, size=2)
            size = image.shape[:2]
            image = crop_or_pad(image, -down, -right, *size, fill=0)
            return image, crop_or_pad(label, -down, -right, *size, fill=255)

    def _open(encoded: bytes) -> np.ndarray:
        return np.array(Image.open(io.BytesIO(encoded)))

    torch.manual_seed(1)
    loader = DataLoader(
        Canvases(),
        training.batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=True,
    )
    for _ in range(training.epochs):
        yield from loader


SIDES: dict[str, Callable[..., Iterator[Any]]] = {
    "ours": ours,
    "tf.data": tf_data,
    "DataLoader": data_loader,
}


def work(side: str, key: str, records: str, epochs: int) -> Work:
    """Return one side's way from the files to the last batch."""
    training = reader.load(key).table.models[key].training.model_copy(update={"epochs": epochs})
    images = len(Records(Path(records), "train")) // training.batch * training.batch * epochs

    def run() -> None:
        seen = sum(len(batch[0]) for batch in SIDES[side](Path(records), training))
        assert images <= seen < images + training.batch * epochs, (images, seen)

    run()
    return Work(run, images, {})
