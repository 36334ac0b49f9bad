"""The share of a training's time that its checkpoints take.

Run, after `dvc repro` (or `make reproduce`):
    python -m bench.checkpoints digits-fcn8s --epochs 3

Trains the model from its initial weights, with the interval of params.yaml, on its own records, and
times every checkpoint inside that training, so that other load slows down both sides. The files are
in a temporary folder beside the real ones.
"""

import tempfile
import time
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from fcn.cli import command_line
from fcn.network import backend
from fcn.records.split import Records
from fcn.settings import reader
from fcn.training import checkpoints


def main(
    key: Annotated[str, Argument(help="A model of an active table.")],
    epochs: Annotated[int, Option(help="Epochs to train.")] = 3,
) -> None:
    """Train, and print how long that took and how much of it was saving."""
    loaded = reader.load(key)
    model_settings = reader.entry(loaded.table.models, key, "models")
    backend.use(loaded.common)
    from fcn.network import build, model_file
    from fcn.training import inputs, loop, losses, transfer

    split = Records(Path("data/records") / model_settings.dataset, "train")
    training = model_settings.training.model_copy(update={"epochs": epochs})
    source = inputs.RecordSource(inputs.cache(split))
    shape, names = loaded.table.network(key), split.labels
    model = build.network(
        model_settings.head, model_settings.backbone, shape, names.channels, len(names.classes)
    )
    transfer.transplant(
        model_file.load(Path(f"data/models/{model_settings.init_from}.keras")), model
    )
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
            inputs.batches(source, training, loaded.common.seed),
            training,
            loop.Callbacks(lambda _, __: {"nothing": 0.0}, lambda _, __: None),
            store,
        )
        total = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*")) / checkpoints.KEEP
    print(f"{key}: {total:.1f} s of training, {len(saved)} checkpoints of {size / 1e6:.1f} MB")
    print(f"share: {sum(saved) / total:.4f} ({1000 * sum(saved) / len(saved):.0f} ms each)")
    print(f"ratio: {total / (total - sum(saved)):.4f} (with checkpoints / without)")


if __name__ == "__main__":
    command_line.run(main)
