"""A picture of 4,000x3,000 in tiles and in one piece: memory, and whether they say the same.

Run:
    python -m bench.tiles [--size 3000x4000] [--border 256]

`python -m fcn predict` twice on the same picture with FCN-8s on VGG-16 (fc6 and fc7 of 1,024, 21
classes, random weights: the worst case, since all classes are nearly equal). In one piece it takes
10 GB. At most 2 GiB in tiles, and at least 99.9 % of the pixels the same farther than `--border`
from the picture's border.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.predict import size
from bench.predict_keras import network
from bench.predict_side import picture
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
    """Return the mask that the command writes, and the bytes it held at most."""
    out = photo.parent / "-".join(["seen", *options])
    command = [sys.executable, "-c", CHILD, "predict", str(photo), "--model", str(model)]
    command += ["--no-tracking", "--out", str(out), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return np.asarray(Image.open(out / "large-mask.png")), int(done.stdout.splitlines()[-1])


def main() -> None:
    """Read the options, answer twice, print memory and equality."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=size, default=(3000, 4000))
    parser.add_argument("--border", type=int, default=256)
    chosen = parser.parse_args()
    height, width = chosen.size
    made = network()
    from fcn.network import model_file

    with tempfile.TemporaryDirectory() as name:
        model, photo = Path(name) / "model.keras", Path(name) / "large.jpg"
        model_file.save(made, model)
        Image.fromarray(picture(height, width)).save(photo, quality=92)
        parts, held = masks(model, photo)
        print(f"{width}x{height} in tiles: {held / 2**30:.2f} GiB at most (limit 2)")
        whole = -(-max(height, width) // tiles.STRIDE) * tiles.STRIDE
        one, all_of_it = masks(model, photo, "--tile", str(whole))
        print(f"in one piece: {all_of_it / 2**30:.2f} GiB")
    inside = slice(chosen.border, -chosen.border)
    same = (parts == one)[inside, inside].mean()
    print(f"the same pixels, {chosen.border} from the border: {same:.4%} (limit 99.9 %)")
    print(f"the same pixels of all: {(parts == one).mean():.4%}")


if __name__ == "__main__":
    main()
