"""List the code that each stage runs, with hashes.

Run:
    python -m stages.code --out data/code

It writes a file NAME.txt for each stage: a line `SHA-256  path` for each file that stages/NAME.py
imports, directly or not. An edit of code changes the lists of the stages that run it, and DVC
reruns these stages.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import command_line
from fcn.code import lists
from fcn.common import files


def code(out: Annotated[Path, Option(help="Folder to write: a list (text) per stage.")]) -> None:
    """Write the lists."""
    texts = lists.compute()
    with files.writing_folder(out) as folder:
        for path, text in texts.items():
            (folder / Path(path).name).write_text(text, "utf-8")


if __name__ == "__main__":
    command_line.run(code)
