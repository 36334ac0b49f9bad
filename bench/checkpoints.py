"""How much of a training's time goes into its checkpoints.

Run, after `dvc repro` (or `make reproduce`):
    python -m bench.checkpoints digits-fcn8s --epochs 3

Trains the model from its initial weights, with the interval of params.yaml, on its own records,
and times every checkpoint inside that training: other load on the machine slows down both sides.
The files go to a temporary folder beside the real ones.
"""

import argparse
import tempfile
import time
from pathlib import Path

from fcn.network import backend
from fcn.records.record import Records
from fcn.settings import reader
from fcn.training import checkpoints


def main(key: str, epochs: int) -> None:
    """Train, and print how long that took and how much of it was saving."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.models, key, "models")
    backend.use(loaded.common)
    from fcn.network import build, model_file, transfer
    from fcn.training import inputs, loop, losses

    split = Records(Path("data/records") / wanted.dataset, "train")
    learned = wanted.training.model_copy(update={"epochs": epochs})
    source = inputs.RecordSource(inputs.cache(split))
    shape, names = loaded.table.network(key), split.labels
    model = build.network(wanted.head, wanted.backbone, shape, names.channels, len(names.classes))
    transfer.transplant(model_file.load(Path(f"data/models/{wanted.init_from}.keras")), model)
    saved: list[float] = []

    class Timed(checkpoints.CheckpointStore):
        def save(self, *content: object) -> None:
            began = time.perf_counter()
            super().save(*content)  # type: ignore[arg-type]
            saved.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory(dir="data", prefix=".bench") as folder:
        store = Timed(key, "0" * 64, loaded.common.checkpoints, Path(folder))
        began = time.perf_counter()
        loop.fit(
            model,
            losses.pixel_cross_entropy,
            inputs.batches(source, learned, loaded.common.seed),
            learned,
            loop.Callbacks(lambda _, __: {"nothing": 0.0}, lambda _, __: None),
            store,
        )
        total = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*")) / checkpoints.KEEP
    print(f"{key}: {total:.1f} s of training, {len(saved)} checkpoints of {size / 1e6:.1f} MB")
    print(f"share: {sum(saved) / total:.4f} ({1000 * sum(saved) / len(saved):.0f} ms each)")
    print(f"ratio: {total / (total - sum(saved)):.4f} (with checkpoints / without)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("key", help="a model of an active table")
    parser.add_argument("--epochs", type=int, default=3)
    parsed = parser.parse_args()
    main(parsed.key, parsed.epochs)
