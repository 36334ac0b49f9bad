"""A picture of 4,000x3,000 in tiles and as a whole: memory, and the share of equal pixels.

Run:
    python -m bench.tiles [--size 3000x4000] [--border 256]

`python -m fcn predict` twice on the same picture with FCN-8s on VGG-16 (fc6 and fc7 of 1,024, 21
classes, random weights: the worst case, since all classes are nearly equal). As a whole it needs
10 GB. Limits: 2 GiB in tiles; 99.9 % equal pixels farther than `--border` from the picture's
border.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from typer import Option

from bench.predict import size
from bench.predict_keras import network
from bench.predict_side import picture
from fcn.cli import command_line
from fcn.inference import tiles

CHILD = """
import sys
from pathlib import Path
from fcn.__main__ import main
try:
    main()
except SystemExit as ended:
    code = ended.code
# Not getrusage, which counts what the parent held before the exec.
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) * 1024)
sys.exit(code)
"""


def masks(model: Path, photo: Path, *options: str) -> tuple[np.ndarray, int]:
    """Return the mask that the command writes, and its peak memory in bytes."""
    out = photo.parent / "-".join(["seen", *options])
    command = [sys.executable, "-c", CHILD, "predict", str(photo), "--model", str(model)]
    command += ["--no-tracking", "--out", str(out), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return np.asarray(Image.open(out / "large-mask.png")), int(done.stdout.splitlines()[-1])


def main(
    shape: Annotated[str, Option("--size", help="HEIGHTxWIDTH of the picture.")] = "3000x4000",
    border: Annotated[int, Option(help="Pixels at the picture's border that do not count.")] = 256,
) -> None:
    """Predict twice, print memory and equality."""
    height, width = size(shape)
    made = network()
    from fcn.network import model_file

    with tempfile.TemporaryDirectory() as name:
        model, photo = Path(name) / "model.keras", Path(name) / "large.jpg"
        model_file.save(made, model)
        Image.fromarray(picture(height, width)).save(photo, quality=92)
        tiled, tiled_bytes = masks(model, photo)
        print(f"{width}x{height} in tiles: {tiled_bytes / 2**30:.2f} GiB at most (limit 2)")
        side = -(-max(height, width) // tiles.STRIDE) * tiles.STRIDE
        whole, whole_bytes = masks(model, photo, "--tile", str(side))
        print(f"as a whole: {whole_bytes / 2**30:.2f} GiB")
    inside = slice(border, -border)
    equal = (tiled == whole)[inside, inside].mean()
    print(f"equal pixels, {border} from the border: {equal:.4%} (limit 99.9 %)")
    print(f"equal pixels of all: {(tiled == whole).mean():.4%}")


if __name__ == "__main__":
    command_line.run(main)
