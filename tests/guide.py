"""Follow "Your own in five minutes" of docs/datasets.md in a copy of the project.

    python -m tests.guide FOLDER

It writes pictures, the guide's table file and its line in dvc.yaml, and runs the guide's commands.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
GROUPS = 30
"""With fewer, a split may be empty, as the guide says."""
SIZE = (48, 64)
"""Height, width."""


def steps() -> str:
    """Return the numbered steps of the guide."""
    page = (ROOT / "docs/datasets.md").read_text("utf-8")
    section = page.partition("## Your own in five minutes\n")[2].partition("\n## ")[0]
    return section.partition("The settings of `folder`:")[0]


def write(root: Path) -> None:
    """Write the pictures and the table file, and list the table in dvc.yaml."""
    names = re.findall(r"\S+/images/(\S+)\.jpg +\S+/images/(\S+)\.jpg", steps())[0]
    raw = root / re.findall(r"(\S+)/images/\S+\.jpg", steps())[0]
    rng = np.random.default_rng(3)
    for name in [*names, *(f"more{number}" for number in range(GROUPS))]:
        image, mask = raw / f"images/{name}.jpg", raw / f"masks/{name}.png"
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        classes = np.repeat(np.repeat(rng.integers(3, size=(3, 4)), 16, axis=0), 16, axis=1)
        noise = rng.integers(60, size=(*SIZE, 3))
        Image.fromarray((80 * classes[..., None] + noise).astype(np.uint8)).save(image)
        Image.fromarray(classes.astype(np.uint8)).save(mask)
    ((file, table),) = re.findall(r"Write `(\S+)`:\n+ *```yaml\n(.*?)```", steps(), re.DOTALL)
    (root / file).write_text(re.sub(r"^   ", "", table, flags=re.MULTILINE), "utf-8")
    ((line, graph),) = re.findall(r"Add `(- \S+)` under `vars:` in `(\S+)`", steps())
    text = (root / graph).read_text("utf-8")
    assert text.count("vars:\n") == 1
    (root / graph).write_text(text.replace("vars:\n", f"vars:\n  {line}\n"), "utf-8")


def commands() -> list[list[str]]:
    """Return the guide's commands, in their order."""
    return [shlex.split(command) for command in re.findall(r"`(dvc [^`]+)`", steps())]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write(folder)
    for command in commands():
        subprocess.run(command, cwd=folder, check=True)
