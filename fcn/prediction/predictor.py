"""Pictures in, segmentations out: shared by the commands `predict`, `sticker`, `submit`, `video`.

A picture is predicted at its own size: the networks take any height and width, so nothing is
resized or padded, and the mask is the one that `evaluate` measures.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fcn.common import messages
from fcn.inference.tiles import Tiling
from fcn.network import backend
from fcn.pictures import photos
from fcn.prediction import named_model, refine
from fcn.prediction.options import EngineName, PredictorOptions
from fcn.records.labels import Labels
from fcn.serving import onnx_file
from fcn.serving.function import Engine
from fcn.settings import execution

Network = Callable[[np.ndarray], np.ndarray]
"""Images B H W C -> logits B H W K of the same height and width."""


@dataclass(frozen=True)
class Segmentation:
    """What a network predicts for one picture."""

    name: str
    """The picture as the user named it."""
    image: np.ndarray
    """The network's input, uint8 H W C."""
    mask: np.ndarray
    """The class with the largest logit, the first of equals, uint8 H W."""
    probabilities: np.ndarray | None
    """Softmax, float16 H W K, on request."""


@dataclass(frozen=True)
class Failure:
    """A picture without a segmentation, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Predictor:
    """An open model with its options."""

    network: Network
    labels: Labels
    provenance: dict[str, str]
    """Model, MLflow run and Git commit, as they are written into the results."""
    options: PredictorOptions
    scale: float = 1.0
    """The factor by which the network resizes its input."""
    title: str = ""
    """The model's name, its file or version, and the first digits of its SHA-256."""

    def predict(
        self, pictures: Iterable[str], probabilities: bool = False
    ) -> Iterator[Segmentation | Failure]:
        """Yield a segmentation for each picture, or why there is none, in order.

        Neighbours of the same size form a batch of at most `options.batch` pictures and no more
        pixels than a tile.
        """
        batch: list[tuple[str, np.ndarray]] = []
        for name in pictures:
            try:
                image = photos.decode(photos.read_bytes(name), self.labels.channels)
            except (ValueError, OSError) as error:
                yield from self._segmentations(batch, probabilities)
                batch = []
                reason = error.strerror if isinstance(error, OSError) else None
                yield Failure(name, reason or str(error))
                continue
            pixels = max(1, image.shape[0] * image.shape[1])
            most = max(1, min(self.options.batch, self.options.tile**2 // pixels))
            if batch and (len(batch) >= most or image.shape != batch[0][1].shape):
                yield from self._segmentations(batch, probabilities)
                batch = []
            batch.append((name, image))
        yield from self._segmentations(batch, probabilities)

    def masks(self, images: np.ndarray) -> np.ndarray:
        """Return masks uint8 B H W of images B H W C."""
        return np.stack([maps["mask"] for maps in self._maps(images, probabilities=False)])

    def _segmentations(
        self, batch: list[tuple[str, np.ndarray]], probabilities: bool
    ) -> Iterator[Segmentation]:
        if not batch:
            return
        all_maps = self._maps(np.stack([image for _, image in batch]), probabilities)
        for (name, image), maps in zip(batch, all_maps, strict=True):
            softmaxes = maps["probabilities"] if probabilities else None
            yield Segmentation(name, image, maps["mask"], softmaxes)

    def _maps(self, images: np.ndarray, probabilities: bool) -> Iterator[dict[str, np.ndarray]]:
        """Yield mask and probabilities of each image of B H W C, in tiles if it is large."""
        forward = partial(self._forward, probabilities=probabilities or self.options.refine)
        if images[0, ..., 0].size > self.options.tile**2:
            tiling = Tiling(self.options.tile, self.scale)
            all_maps = (tiling.predict(forward, image) for image in images)
        else:
            batch = forward(images)
            all_maps = (
                {name: maps[number] for name, maps in batch.items()}
                for number in range(len(images))
            )
        for image, maps in zip(images, all_maps, strict=True):
            yield _refined(image, maps["probabilities"]) if self.options.refine else maps

    def _forward(self, images: np.ndarray, probabilities: bool) -> dict[str, np.ndarray]:
        logits = self.network(images)
        maps = {"mask": logits.argmax(axis=-1).astype(np.uint8)}
        return maps | ({"probabilities": softmax(logits)} if probabilities else {})


@contextmanager
def load(
    options: PredictorOptions, require: Callable[[Labels], object] | None = None
) -> Iterator[Predictor]:
    """Open the model of the options, and print which one it is.

    Args:
        options: which model, and how it predicts.
        require: refuses labels that the caller cannot use, before Keras is imported.

    Raises:
        ValueError: the model or its engine cannot be used, or `require` refuses its labels.
    """
    with named_model.find(options.model, not options.no_tracking) as model:
        if require is not None and model.labels is not None:
            require(model.labels)
        messages.say(f"model {model}")
        engine = _open(model.path, options.engine)
        labels = model.labels_of(engine.channels, engine.classes)
        if require is not None:
            require(labels)
        provenance = model.provenance | ({"Refined": "guided filter"} if options.refine else {})
        yield Predictor(engine, labels, provenance, options, engine.scale, str(model))


def _open(path: Path, name: EngineName | None) -> Engine:
    """Open a model's file; Keras is imported only here, and not for an ONNX file."""
    if path.suffix == onnx_file.SUFFIX:
        if name not in (None, onnx_file.ENGINE):
            raise ValueError(
                f"engine {name!r} cannot run {path}; leave --engine out, or name the .keras file"
            )
        return onnx_file.load(path)
    settings = execution.compute()
    backend.use(settings)
    from fcn.serving import engines

    return engines.load(name or engines.FASTEST[settings.backend], path)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities float16 ... K of logits ... K."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float16)


def _refined(image: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Return mask and probabilities with their edges aligned to those of the image."""
    aligned = refine.refine(image, probabilities)
    return {
        "mask": aligned.argmax(axis=-1).astype(np.uint8),
        "probabilities": aligned.clip(0, 1).astype(np.float16),
    }
