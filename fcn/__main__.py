"""Use a trained network, and inspect the tables.

    fcn predict $(fcn samples)              # the pictures and the model that ship with fcn
    fcn predict photo.jpg                   # mask, overlay, shares of the classes
    fcn predict photos/ --model camvid-fcn8s --out results
    fcn sticker person photo.jpg            # one class, cut out
    fcn video drive.mp4 --model camvid-fcn8s --out classes.mp4
    fcn submit voc2012 test/ --model voc2012-fcn8s
    fcn export digits-fcn8s --out exported  # for other programs
    fcn explain digits digits-fcn8s mean_iou
    fcn tables                              # which tables are stale
    fcn verdict digits                      # results here against the committed ones

`fcn COMMAND --help` describes a command. Names of tables and of their rows need a project: the
current folder or one above it. Exit codes: 0 all done, 1 nothing done, with a message, 2 wrong
usage, 3 some pictures were skipped, and named.
"""

from typing import NoReturn

from fcn.cli import command_line
from fcn.cli.explain import explain
from fcn.cli.export import export
from fcn.cli.predict import predict
from fcn.cli.samples import samples
from fcn.cli.sticker import sticker
from fcn.cli.submit import submit
from fcn.cli.tables import tables
from fcn.cli.verdict import verdict
from fcn.cli.version import version
from fcn.cli.video import video

COMMANDS = (predict, sticker, video, submit, export, explain, tables, verdict, samples)


def main() -> NoReturn:
    """Run the command that the process's arguments name, and exit."""
    command_line.run_group("fcn", __doc__ or "", version, *COMMANDS)


if __name__ == "__main__":
    main()
