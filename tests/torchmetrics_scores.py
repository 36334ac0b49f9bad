"""What torchmetrics says of some label maps, recorded: it needs PyTorch, which is not locked.

    pip install torch torchmetrics && python -m tests.torchmetrics_scores

writes `tests/recorded/torchmetrics.json`; `tests/fcn/scores/test_torchmetrics.py` compares.
"""

import json
from pathlib import Path

import numpy as np

RECORDED = Path(__file__).parent / "recorded/torchmetrics.json"
CLASSES, IGNORE_INDEX = 5, 255
VALUES = {
    "all classes": [0, 1, 2, 3, 4],
    "void among them": [0, 1, 2, 3, 4, IGNORE_INDEX],
    "two classes absent": [0, 2, 4, IGNORE_INDEX],
    "one class": [3],
    "one class and void": [3, IGNORE_INDEX],
    "all void": [IGNORE_INDEX],
}
"""Which values stand in the truth; the prediction has these, but for void."""


def case(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and prediction, uint8 3 17 23: three images, the same on every machine."""
    rng = np.random.default_rng(sorted(VALUES).index(name))
    allowed = np.array(VALUES[name], np.uint8)
    truth = allowed[rng.integers(len(allowed), size=(3, 17, 23))]
    guess = [value for value in VALUES[name] if value != IGNORE_INDEX] or [0]
    wrong = np.array(guess, np.uint8)[rng.integers(len(guess), size=truth.shape)]
    right = (rng.random(truth.shape) < 0.6) & (truth != IGNORE_INDEX)
    return truth, np.where(right, truth, wrong).astype(np.uint8)


def main() -> None:
    """Ask torchmetrics and record what it says."""
    import torch
    import torchmetrics
    from torchmetrics import classification as of

    said = {"num_classes": CLASSES, "ignore_index": IGNORE_INDEX}
    scores = {}
    for name in VALUES:
        truth, prediction = (torch.from_numpy(one).long() for one in case(name))
        matrix = of.MulticlassConfusionMatrix(**said)(prediction, truth)
        accuracy = of.MulticlassAccuracy(average="micro", **said)(prediction, truth)
        scores[name] = {
            "confusion_matrix": matrix.tolist(),
            "class_iou": of.MulticlassJaccardIndex(average="none", **said)(
                prediction, truth
            ).tolist(),
            "mean_iou": float(
                of.MulticlassJaccardIndex(average="macro", **said)(prediction, truth)
            ),
            "pixel_accuracy": float(accuracy),
        }
    content = {"torchmetrics": torchmetrics.__version__, "scores": scores}
    RECORDED.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
