"""From records to batches: ours against tf.data and PyTorch's DataLoader, alternating runs.

Run (after `make reproduce`; `make bench` makes the environment that also has PyTorch):
    .venv-bench/bin/python -m bench.input digits-fcn8s

A run goes from the record files to the last batch of a few epochs. All sides decode once, shuffle,
shift image and mask together as the model's settings say, and batch. Then the model is trained by
the real loop; the share of its time that it waits for batches has to be under 2 %.
"""

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from bench.alternate import Side, compare
from fcn.cli import command_line
from fcn.records.split import Records
from fcn.settings import reader

OTHERS = {"DataLoader": "torch", "tf.data": "tensorflow"}
"""Name: the module that has to be installed."""


def waiting(key: str, records: Path, epochs: int) -> float:
    """Train by the real loop; return the share of its time in which it waited for batches.

    From the second request on: the first step compiles.
    """
    loaded = reader.load(key)
    from fcn.network import backend

    backend.use(loaded.common)
    from fcn.network import build
    from fcn.training import inputs, loop, losses

    model, examples = loaded.table.models[key], Records(records, "train")
    shape, labels = loaded.table.network(key), examples.labels
    network = build.network(model.head, model.backbone, shape, labels.channels, len(labels.classes))
    source = inputs.RecordSource(inputs.cache(examples))
    training = model.training.model_copy(update={"epochs": epochs})
    asked: list[float] = []
    got: list[float] = []
    stream = inputs.stream

    def timed(dataset: Any) -> Iterator[Any]:
        batches = iter(stream(dataset))
        while True:
            asked.append(time.perf_counter())
            batch = next(batches, None)
            got.append(time.perf_counter())
            if batch is None:
                return
            yield batch

    inputs.stream = timed
    loop.fit(
        network,
        losses.pixel_cross_entropy,
        inputs.batches(source, training, seed=1),
        training,
        loop.Callbacks(lambda *_: {"nothing": 0.0}, lambda *_: None),
    )
    waited = sum(end - begin for begin, end in zip(asked[1:-1], got[1:-1], strict=True))
    return waited / (asked[-1] - asked[1])


def main(
    key: Annotated[str, Argument(help="A model, whose data and settings are used.")],
    records: Annotated[
        Path | None, Option(help="Folder of records. Default: data/records/<its data set>.")
    ] = None,
    epochs: Annotated[int, Option(help="Epochs of a run.")] = 5,
    pairs: Annotated[int, Option(help="Runs of each side.")] = 7,
) -> None:
    """Compare, then train."""
    model = reader.load(key).table.models[key]
    folder = records or Path("data/records", model.dataset)
    Records(folder, "train")  # Fails now if it is missing.
    shared = {"key": key, "records": str(folder), "epochs": epochs}
    others = [
        Side(name, "bench.loaders", side=name, **shared)
        for name, module in OTHERS.items()
        if importlib.util.find_spec(module)
    ]
    compare(Side("ours", "bench.loaders", side="ours", **shared), others, pairs)
    share = waiting(key, folder, epochs=3)
    print(f"training {key}: {share:.2%} of its time waits for batches")


if __name__ == "__main__":
    command_line.run(main)
