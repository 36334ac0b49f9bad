"""Put the better model in use: the registry's alias `champion` of `fcn-TABLE`.

    python -m flows.promote digits                            # this workspace's best model
    python -m flows.promote digits --version 5 --margin 0.01  # another one, if better by so much
    python -m flows.promote digits --version 5 --anyway       # a person has decided
    python -m flows.promote --rollback digits                 # the one before is in use again

Both models are measured on the validation images; the new one is put in use only if the whole
paired interval of the difference in mean IoU is above the margin. Otherwise it is `challenger`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from fcn.common import files, messages
from fcn.settings import reader
from fcn.tracking import champion
from flows import dvc, notify, temporary_server, tether


class CompareFailed(RuntimeError):
    """The comparison ended without a result and without a message for a person."""


@flow(name="promote", flow_run_name="promote {table}")
def promote(
    table: str,
    version: int | None = None,
    margin: float = 0.0,
    anyway: bool = False,
    rollback: bool = False,
) -> State[None]:
    """Decide which model of a table is in use.

    Args:
        table: the table's name, such as `digits`.
        version: of the registered model `fcn-TABLE`; without it the best model of this workspace.
        margin: difference in mean IoU (a fraction) that the whole interval has to exceed.
        anyway: put the version in use without comparing.
        rollback: put the champion before this one in use again; the others are not looked at.

    Returns:
        Completed with the decision as its message, or Failed.
    """
    log = get_run_logger()
    try:
        reader.entry(reader.load(table).table.tables, table, "tables")
        if rollback:
            made: champion.Decision | None = champion.rollback(table)
        else:
            made = champion.decide(
                table,
                lambda one, other: compare(table, one, other, log.info),
                None if version is None else str(version),
                margin,
                anyway,
            )
    except (ValueError, CompareFailed) as error:
        return Failed(message=str(error))
    if made is None:
        return Completed(message=f"{table} has no trained model")
    text = sentence(made)
    log.info(text)
    create_markdown_artifact(markdown(made), f"promotion-{table}", description=text)
    if made.moved:
        notify.tell("promotion", text, log)
    elif made.problem:
        notify.tell("failure", text, log)
    return Completed(name="Promoted" if made.moved else "Completed", message=text)


def compare(
    table: str, champion: Path, candidate: Path, log: Callable[[str], None]
) -> Mapping[str, Any]:
    """Measure two model files in a process of its own, which has Keras and ends with this one.

    Raises:
        ValueError: one of them cannot be evaluated.
        CompareFailed: the process ended without saying why.
    """
    dataset = reader.load(table).table.tables[table].dataset
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "evidence.json"
        paths = {
            "records": f"data/records/{dataset}",
            "valid": f"data/reports/{dataset}/valid.json",
            "champion": champion,
            "candidate": candidate,
            "out": out,
        }
        options = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
        said = []
        with tether.start(  # where this flow is cancelled, closing its pipes ends it
            [sys.executable, "-m", "stages.compare", table, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child:
            assert child.stdout is not None
            for line in dvc.lines(child.stdout):
                log(line)
                said.append(line)
            code = child.wait()
        errors = [number for number, line in enumerate(said) if line.startswith("error: ")]
        if code == 1 and errors:
            raise ValueError("\n".join(said[errors[-1] :]).removeprefix("error: "))
        if code:
            last = "\n".join(said[-20:])
            raise CompareFailed(f"the comparison ended with {code}: {last}")
        evidence: dict[str, Any] = files.read_json(out)
        return evidence


def sentence(made: champion.Decision) -> str:
    """Return the decision in a line."""
    if made.version == made.before:
        return f"{made.model}: version {made.version} stays champion: {made.reason}"
    if made.moved:
        before = f" instead of {made.before}" if made.before else ""
        return f"{made.model}: version {made.champion} is champion{before}: {made.reason}"
    return (
        f"{made.model}: version {made.version} is not put in use, "
        f"{made.champion} stays champion: {made.reason}"
    )


def markdown(made: champion.Decision) -> str:
    """Return the decision and what it rests on."""
    lines = [f"# {sentence(made)}", ""]
    if measured := made.evidence:
        rows = [
            (f"version {made.before}, champion until now", f"{100 * measured['champion']:.2f}"),
            (f"version {made.version}, candidate", f"{100 * measured['candidate']:.2f}"),
            ("difference", f"{100 * measured['difference']:+.2f}"),
            (
                f"its {100 * measured['level']:g} % interval",
                f"[{100 * measured['low']:+.2f}, {100 * measured['high']:+.2f}]",
            ),
        ]
        lines += ["| mean IoU in percent | |", "| --- | ---: |"]
        lines += [f"| {name} | {value} |" for name, value in rows]
        lines += [
            "",
            f"Split `{measured['split']}`, {measured['images']} images in {measured['units']} "
            f"units; both on the same ones, {measured['resamples']} resamples.",
        ]
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str]) -> int:
    """Run the flow; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.promote",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="TABLE", help="such as digits")
    parser.add_argument("--version", type=int, help="of fcn-TABLE; none: the best one here")
    parser.add_argument("--margin", type=float, default=0.0, help="of mean IoU (%(default)s)")
    parser.add_argument("--anyway", action="store_true", help="do not compare")
    parser.add_argument("--rollback", action="store_true", help="the champion before this one")
    chosen = parser.parse_args(arguments)
    try:
        temporary_server.start_if_none()
        state = promote(**vars(chosen), return_state=True)
    except RuntimeError as error:
        messages.fail(str(error))
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
