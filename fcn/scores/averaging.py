"""Averaging conventions: mean IoU as the field's tools compute it, by name.

Tools differ in how absent classes count, in what they sum before they divide, and in how void
pixels count. All of it follows from the confusion matrices in `fcn.scores.per_image`. Each
convention names the code in which it was read; `docs/metrics.md` shows one prediction under all of
them.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fcn.scores.metrics import areas, divide, iou

THRESHOLD = 0.1
"""Softmax above which a class counts as predicted in farhanhubble/udacity-connect."""


@dataclass(frozen=True)
class Convention:
    """How per-image confusion matrices become one number."""

    used_by: str
    """The tools, and where in their code."""
    absent: Literal["left out", "left out unless in the truth", "counts 0", "counts 1", "is NaN"]
    """How a class with an empty union counts; `left out unless in the truth` also leaves out a
    class that is only predicted."""
    batch: int | None = None
    """Images whose matrices are summed before dividing; the score is the mean over these batches.
    None: all images; 1: each image."""
    void: Literal["left out", "background"] = "left out"
    """How ignored pixels count; `background` makes their true class 0."""


BERKELEY = Convention(
    "this project's tables; FCN (shelhamer/fcn.berkeleyvision.org score.py: nanmean), "
    "mmsegmentation (iou_metric.py: nanmean), Keras 3 (iou_metrics.py: the sum over classes by the "
    "number of those with a union)",
    absent="left out",
)

CONVENTIONS = {
    "berkeley": BERKELEY,
    "detectron2": Convention(
        "detectron2 (sem_seg_evaluation.py: `iou_valid` asks for pixels in the truth)",
        absent="left out unless in the truth",
    ),
    "zero": Convention(
        "keras-segmentation (predict.py: tp / (tp + fp + fn + 1e-12), mean over all classes), "
        "SegNet-Tutorial (compute_test_results.m: sum over classes / numClasses)",
        absent="counts 0",
    ),
    "one": Convention(
        "segmentation_models.pytorch (metrics/functional.py: `zero_division=1.0`, "
        '`reduction="macro"`)',
        absent="counts 1",
    ),
    "torchvision": Convention(
        "torchvision (references/segmentation/utils.py: 0 / 0, then `iu.mean()`)", absent="is NaN"
    ),
    "per image": replace(
        BERKELEY, used_by="mean over images of each image's own mean IoU", batch=1
    ),
    "per image, one": Convention(
        'segmentation_models.pytorch (`reduction="macro-imagewise"`)',
        absent="counts 1",
        batch=1,
    ),
    "per batch of 4": replace(
        BERKELEY,
        used_by="a score averaged over batches (jfzhang95/pytorch-deeplab-xception#12)",
        batch=4,
    ),
    "void as background": replace(
        BERKELEY,
        used_by="masks with 255 turned into 0 (jfzhang95/pytorch-deeplab-xception#20, "
        "Apiquet/Segmentation)",
        void="background",
    ),
}
"""By name; the first is the default of every table."""


def mean_iou_by_convention(matrices: np.ndarray, ignored: np.ndarray) -> dict[str, float]:
    """Return mean IoU under each of `CONVENTIONS`, by name; arguments as in `mean_iou`."""
    return {
        name: mean_iou(matrices, ignored, convention) for name, convention in CONVENTIONS.items()
    }


def mean_iou(matrices: np.ndarray, ignored: np.ndarray, convention: Convention) -> float:
    """Return mean IoU under a convention; NaN if the convention says so, or if no class is left.

    Args:
        matrices: confusion matrices N K K of images, ignored pixels left out.
        ignored: ignored pixels by predicted class, N K.
        convention: of `CONVENTIONS`, or any other.
    """
    values = mean_iou_by_batch(with_void(matrices, ignored, convention), convention)
    counted = values if convention.absent == "is NaN" else values[~np.isnan(values)]
    return float(counted.mean()) if counted.size else float("nan")


def mean_iou_by_batch(matrices: np.ndarray, convention: Convention) -> np.ndarray:
    """Return the mean IoU of each of the convention's batches, from matrices N K K of images."""
    return mean_over_classes(areas(_sum_batches(matrices, convention.batch)), convention)


def mean_over_classes(class_areas: np.ndarray, convention: Convention) -> np.ndarray:
    """Return mean IoU ... of areas ... 3 K; NaN if the convention says so, or without a class."""
    values = iou(class_areas)
    if convention.absent == "left out unless in the truth":
        values = np.where(class_areas[..., 1, :] > 0, values, np.nan)
    if convention.absent in ("counts 0", "counts 1"):
        values = np.nan_to_num(values, nan=float(convention.absent == "counts 1"))
    if convention.absent == "is NaN":
        return values.mean(axis=-1)
    # A batch without a pixel has no class left: NaN, without NumPy's warning.
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def pixel_accuracy(
    matrices: np.ndarray, ignored: np.ndarray, convention: Convention = BERKELEY
) -> float:
    """Return the share of right pixels over all images; only the convention's `void` matters.

    With void as background this is the accuracy of Apiquet/Segmentation and of any Keras model
    compiled with `metrics=["accuracy"]` on masks whose 255 was turned into 0.
    """
    total = with_void(matrices, ignored, convention).sum(axis=0)
    return float(divide(np.trace(total), total.sum()))


def thresholded_iou(thresholded: np.ndarray, batch: int = 4) -> float:
    """Return foreground IoU of thresholded probabilities, averaged over batches.

    farhanhubble/udacity-connect (FCN-mnist.ipynb, `eval_IoU`): a pixel is predicted as every class
    but the background whose softmax is above `THRESHOLD`. The score of a batch of 4 images (the
    last one may be smaller) is the sum of these classes' intersections over the sum of their
    unions; batches are averaged. A batch with an empty union is NaN there and left out here.

    Args:
        thresholded: intersections and unions N 2 of images.
        batch: images per batch.
    """
    if not thresholded.any():
        return float("nan")
    return float(np.nanmean(thresholded_iou_by_batch(thresholded, batch)))


def thresholded_iou_by_batch(thresholded: np.ndarray, batch: int = 4) -> np.ndarray:
    """Return the IoU of each batch that `thresholded_iou` averages, NaN for an empty union."""
    sums = _sum_batches(thresholded, batch)
    return divide(sums[:, 0], sums[:, 1])


def with_void(matrices: np.ndarray, ignored: np.ndarray, convention: Convention) -> np.ndarray:
    """Return matrices N K K in which void pixels count as the convention says."""
    if convention.void == "left out":
        return matrices
    matrices = matrices.copy()
    matrices[:, 0] += ignored
    return matrices


def _sum_batches(counts: np.ndarray, batch: int | None) -> np.ndarray:
    """Return the sums over each `batch` images, the last may be smaller; over all for None."""
    starts = np.arange(0, len(counts), batch or len(counts))
    return np.add.reduceat(counts, starts, axis=0)
