"""Put the better model in use: the registry's alias `champion` of `fcn-TABLE`.

    python -m flows.promote digits                            # this workspace's best model
    python -m flows.promote digits --version 5 --margin 0.01  # a version, if better by 1 point
    python -m flows.promote digits --version 5 --anyway       # a version, without a comparison
    python -m flows.promote --rollback digits                 # the previous champion

Both models are measured on the validation images. The candidate is put in use only if the whole
paired interval of the difference in mean IoU is above the margin. Otherwise it gets the alias
`challenger`.
"""

import argparse
import sys
from collections.abc import Sequence

from fcn.common import messages
from flows.following.promotion import promote
from flows.serving import temporary_server


def main(arguments: Sequence[str]) -> int:
    """Run the flow; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.promote",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="TABLE", help="such as digits")
    parser.add_argument(
        "--version", type=int, help="of fcn-TABLE; none: the best of this workspace"
    )
    parser.add_argument("--margin", type=float, default=0.0, help="of mean IoU (%(default)s)")
    parser.add_argument("--anyway", action="store_true", help="do not compare")
    parser.add_argument("--rollback", action="store_true", help="put the previous champion in use")
    parameters = vars(parser.parse_args(arguments))
    try:
        temporary_server.start_if_none()
        state = promote(**parameters, return_state=True)
    except RuntimeError as error:
        messages.fail(str(error))
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
