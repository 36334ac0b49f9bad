"""The time of `python -m fcn predict` outside the network, as a share of the network's time.

Run:
    python -m bench.around [--sizes 256x512] [--rounds 9]

FCN-8s on VGG-16 (fc6 and fc7 of 1,024, 21 classes, random weights) segments JPEGs as the command
does: read, decode, predict, argmax, mask, overlay with legend, shares, write. The network's calls
are timed inside; the rest of the run is the time outside. At most 15 %.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from typer import Option

from bench.predict import size
from bench.predict_keras import network
from bench.predict_side import CLASSES, picture
from fcn.cli import command_line
from fcn.datasets.shared import voc
from fcn.prediction import predict
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predictor import Network, Predictor, Segmentation
from fcn.records.labels import Labels

PICTURES = 4
"""Of each size, one after the other."""
LABELS = Labels(
    "random",
    tuple(f"class {number}" for number in range(CLASSES)),
    tuple(voc.colour(number) for number in range(CLASSES)),
    3,
)


class Timed:
    """A network that adds up the time of its calls."""

    def __init__(self, network: Network) -> None:
        """Start at 0 seconds."""
        self.network, self.seconds = network, 0.0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images B H W C -> logits B H W K."""
        began = time.perf_counter()
        logits = self.network(images)
        self.seconds += time.perf_counter() - began
        return logits


def measure(engine: Network, height: int, width: int, rounds: int, folder: Path) -> float:
    """Print the times at one size; return the time outside as a share of the network's."""
    names = [str(folder / f"{height}x{width}-{number}.jpg") for number in range(PICTURES)]
    for name in names:
        Image.fromarray(picture(height, width)).save(name, quality=92)
    shares, around, inside = [], [], []
    for number in range(rounds + 1):
        timed = Timed(engine)
        model = Predictor(timed, LABELS, {"Model": "random"}, PredictorOptions(batch=1))
        began = time.perf_counter()
        for one in model.predict(names):
            assert isinstance(one, Segmentation)
            predict.write(one, model, folder / Path(one.name).stem)
        total = time.perf_counter() - began
        if number:  # the first one warms up
            shares.append((total - timed.seconds) / timed.seconds)
            around.append((total - timed.seconds) / PICTURES * 1000)
            inside.append(timed.seconds / PICTURES * 1000)
    share = statistics.median(shares)
    print(
        f"{height}x{width}: network {statistics.median(inside):.1f} ms, around it "
        f"{statistics.median(around):.1f} ms a picture, {share:.1%} ({min(shares):.1%} … "
        f"{max(shares):.1%})"
    )
    return share


def around(
    sizes: Annotated[
        list[str] | None,
        Option(help="HEIGHTxWIDTH, repeatable. Default: 160x576, 256x512 and 500x500."),
    ] = None,
    rounds: Annotated[int, Option(help="Measured rounds, after one to warm up.")] = 9,
) -> None:
    """Measure each size, print the largest share."""
    shapes = [size(text) for text in sizes or ("160x576", "256x512", "500x500")]
    model = network()
    from fcn.serving import engines

    engine = engines.of("tensorflow", model)
    with tempfile.TemporaryDirectory() as name:
        worst = max(measure(engine, *shape, rounds, Path(name)) for shape in shapes)
    print(f"around / network: {worst:.1%} (limit 15 %)")


if __name__ == "__main__":
    command_line.run(around)
