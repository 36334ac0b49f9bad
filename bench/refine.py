"""The effect of a guided filter on the masks of a trained network.

Run:
    python -m bench.refine digits-fcn8s [--images 200]

Mean IoU of a row's validation images, over all pixels and over those near an edge of the truth,
with and without `fcn.prediction.refine`; the difference with its 95 % interval over images;
milliseconds per image. The validation split, since the result decides whether to use the filter.
"""

import time
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
from typer import Argument, Option

from fcn.cli import command_line
from fcn.network import backend
from fcn.prediction import named_model, predictor, refine
from fcn.records.split import Records
from fcn.scores import boundaries, metrics
from fcn.settings import reader
from fcn.uncertainty import intervals

RESAMPLES = 2000


def main(
    key: Annotated[str, Argument(help="A trained row of a table.")],
    images: Annotated[int, Option(help="The most images to measure.")] = 200,
) -> None:
    """Print both sides by width of the band, then the difference."""
    loaded = reader.load(key)
    model_settings = reader.entry(loaded.table.models, key, "models")
    split = Records(Path("data/records") / model_settings.dataset, "val")
    classes = len(split.labels.classes)
    counts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"as it is": [], "refined": []}
    seconds = 0.0
    with named_model.find(key, tracking=False) as model:
        backend.use(loaded.common)
        from fcn.serving import engines

        network = engines.load(engines.FASTEST[loaded.common.backend], model.path)
        for example in islice(split, images):
            sure = predictor.softmax(network(example.image[None])[0])
            began = time.perf_counter()
            moved = refine.refine(example.image, sure)
            seconds += time.perf_counter() - began
            for name, scores in (("as it is", sure), ("refined", moved)):
                mask = scores.argmax(-1).astype(np.uint8)
                n = metrics.confusion_matrix(example.label, mask, classes)
                counts[name].append((n, boundaries.trimap_areas(example.label, mask, classes)))
    for name, counted in counts.items():
        matrices, bands = (np.stack(part) for part in zip(*counted, strict=True))
        shown = {width: iou for width, iou in boundaries.trimap_iou(bands).items() if iou}
        near = ", ".join(f"{width} px {iou:.3f}" for width, iou in shown.items())
        print(f"{name}: mean IoU {metrics.mean_iou(matrices.sum(axis=0)):.4f}; near edges {near}")
    drawn = [
        intervals.resample_mean_iou(np.stack([n for n, _ in counted]), RESAMPLES, seed=1)
        for counted in counts.values()
    ]
    between = intervals.percentile_interval(100 * (drawn[1] - drawn[0]), level=0.95)
    print(f"refined - as it is: [{between.low:+.2f}, {between.high:+.2f}] points of mean IoU")
    print(f"{1e3 * seconds / len(counts['refined']):.1f} ms per image")


if __name__ == "__main__":
    command_line.run(main)
