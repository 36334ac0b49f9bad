"""Use a trained network from the command line.

    python -m fcn predict photo.jpg                   # mask, overlay, shares of the classes
    python -m fcn predict photos/ --model camvid-fcn8s --out seen
    python -m fcn sticker person photo.jpg            # one class, cut out
    python -m fcn video drive.mp4 --model camvid-fcn8s # the same for a film
    python -m fcn submit voc2012 test/ --model voc2012-fcn8s
    python -m fcn export digits-fcn8s                 # for other programs
    python -m fcn explain digits digits-fcn8s mean_iou
    python -m fcn tables                              # which tables are stale

`python -m fcn COMMAND --help` says more. Exit codes: 0 all was done, 1 nothing could be done, 2 the
command line is wrong, 3 something was left out, and named.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from fcn.common import messages

COMMANDS = {
    "predict": (
        "fcn.prediction.predict",
        "masks, overlays and shares of the classes of any picture",
    ),
    "sticker": ("fcn.prediction.sticker", "one class cut out of pictures, for messengers"),
    "video": ("fcn.prediction.video", "a film with the classes in colour"),
    "export": ("fcn.serving.export", "the network in other programs' formats, with a model card"),
    "explain": ("fcn.report.explain", "where one number of a table comes from"),
    "tables": ("fcn.report.index", "the tables there are, and which are stale"),
    "submit": ("fcn.prediction.submission", "the files that a public benchmark's server takes"),
}
"""Each command's module and what it makes. The module's `main(arguments)` returns the exit code."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fcn",
        description=__doc__,
        epilog="\n".join(f"{name:8} {makes}" for name, (_, makes) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the command takes")
    chosen = parser.parse_args(arguments)
    module = importlib.import_module(COMMANDS[chosen.command][0])
    return int(module.main(chosen.arguments))


if __name__ == "__main__":
    messages.end_with_parent()
    with messages.explaining():
        sys.exit(main(sys.argv[1:]))
