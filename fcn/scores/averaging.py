"""One set of predictions, scored as each tool of the field would: mean IoU by named conventions.

Tools differ in what they do with a class that is absent, in what they add up before they divide,
and in what void pixels are. All of it follows from the per-image matrices in `fcn.scores.per_image`. What a
tool does was read in its code, named beside its convention; `docs/metrics.md` shows one prediction
scored by all of them.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fcn.scores.metrics import areas, iou, share

LIKELY = 0.1
"""Softmax above which a class counts as predicted, as in farhanhubble/udacity-connect."""


@dataclass(frozen=True)
class Convention:
    """How per-image confusion matrices become one number."""

    used_by: str
    """Who, and where it stands in their code."""
    absent: Literal["left out", "left out unless in the truth", "counts 0", "counts 1", "is NaN"]
    """A class whose union is empty; `left out unless in the truth` also leaves out a class that is
    predicted where the truth has none of it."""
    together: int | None = None
    """Images whose matrices are added up before dividing; means are taken over such batches. None:
    all images; 1: each image for itself."""
    void: Literal["left out", "background"] = "left out"
    """What ignored pixels are; `background` takes their truth for class 0."""


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
        BERKELEY, used_by="mean over images of each image's own mean IoU", together=1
    ),
    "per image, one": Convention(
        'segmentation_models.pytorch (`reduction="macro-imagewise"`)',
        absent="counts 1",
        together=1,
    ),
    "per batch of 4": replace(
        BERKELEY,
        used_by="a score averaged over batches (jfzhang95/pytorch-deeplab-xception#12)",
        together=4,
    ),
    "void as background": replace(
        BERKELEY,
        used_by="masks with 255 turned into 0 (jfzhang95/pytorch-deeplab-xception#20, "
        "Apiquet/Segmentation)",
        void="background",
    ),
}
"""By name; the first is the default of every table."""


def every(matrices: np.ndarray, ignored: np.ndarray) -> dict[str, float]:
    """Return mean IoU under each of `CONVENTIONS`, by name. See `mean_iou`."""
    return {
        name: mean_iou(matrices, ignored, convention) for name, convention in CONVENTIONS.items()
    }


def mean_iou(matrices: np.ndarray, ignored: np.ndarray, convention: Convention) -> float:
    """Return mean IoU under a convention; NaN where the convention says so, or where nothing is left.

    Args:
        matrices: confusion matrices N K K of images, ignored pixels left out.
        ignored: what was predicted on ignored pixels, N K.
        convention: one of `CONVENTIONS`, or any other.
    """
    values = mean_iou_by_batch(with_void(matrices, ignored, convention), convention)
    known = values if convention.absent == "is NaN" else values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def mean_iou_by_batch(matrices: np.ndarray, convention: Convention) -> np.ndarray:
    """Return the mean IoU of each batch that the convention scores on its own, of matrices N K K."""
    return mean_over_classes(areas(_together(matrices, convention.together)), convention)


def mean_over_classes(counted: np.ndarray, convention: Convention) -> np.ndarray:
    """Return mean IoU ... of areas ... 3 K; NaN where the convention says so, or nothing is left."""
    values = iou(counted)
    if convention.absent == "left out unless in the truth":
        values = np.where(counted[..., 1, :] > 0, values, np.nan)
    if convention.absent in ("counts 0", "counts 1"):
        values = np.nan_to_num(values, nan=float(convention.absent == "counts 1"))
    if convention.absent == "is NaN":
        return values.mean(axis=-1)
    # A batch without a pixel has no class left: NaN, without NumPy's warning.
    kept = ~np.isnan(values)
    return share(np.where(kept, values, 0).sum(axis=-1), kept.sum(axis=-1))


def pixel_accuracy(
    matrices: np.ndarray, ignored: np.ndarray, convention: Convention = BERKELEY
) -> float:
    """Return the share of right pixels over all images; a convention counts here by its `void` only.

    With void as background it is the accuracy of Apiquet/Segmentation and of any Keras model
    compiled with `metrics=["accuracy"]` on masks whose 255 was turned into 0.
    """
    total = with_void(matrices, ignored, convention).sum(axis=0)
    return float(share(np.trace(total), total.sum()))


def likely_iou(likely: np.ndarray, batch: int = 4) -> float:
    """Return foreground IoU of thresholded probabilities, averaged over batches.

    farhanhubble/udacity-connect (FCN-mnist.ipynb, `eval_IoU`): a pixel is predicted as every class
    but the background whose softmax is above `LIKELY`; all such classes' intersections over all
    their unions, in each batch of 4, the last one as long as it is; the mean over batches. A batch
    without any union is NaN there and left out here.

    Args:
        likely: intersections and unions N 2 of images.
        batch: images per batch.
    """
    return float(np.nanmean(likely_by_batch(likely, batch))) if likely.any() else float("nan")


def likely_by_batch(likely: np.ndarray, batch: int = 4) -> np.ndarray:
    """Return what `likely_iou` averages: each batch's own, NaN where it has no union."""
    both = _together(likely, batch)
    return share(both[:, 0], both[:, 1])


def with_void(matrices: np.ndarray, ignored: np.ndarray, convention: Convention) -> np.ndarray:
    """Return matrices N K K in which void pixels are what the convention takes them for."""
    if convention.void == "left out":
        return matrices
    matrices = matrices.copy()
    matrices[:, 0] += ignored
    return matrices


def _together(counted: np.ndarray, number: int | None) -> np.ndarray:
    """Return the sums over each `number` images, the last as long as it is; over all for None."""
    starts = np.arange(0, len(counted), number or len(counted))
    return np.add.reduceat(counted, starts, axis=0)
