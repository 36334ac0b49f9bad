"""The flow `promote`: decide which registered model of a table is in use."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from fcn.settings import reader
from fcn.tracking import champion
from fcn.tracking.decision import Decision
from flows.following import notify
from flows.following.comparison import CompareFailed, compare


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
        version: of the registered model `fcn-TABLE`; none: the best model of this workspace.
        margin: difference in mean IoU (a fraction) that the whole interval must exceed.
        anyway: put the version in use without a comparison.
        rollback: put the previous champion in use again; `version`, `margin` and `anyway` are
            ignored.

    Returns:
        Completed with the decision as its message, or Failed.
    """
    log = get_run_logger()
    try:
        reader.entry(reader.load(table).table.tables, table, "tables")
        if rollback:
            decision: Decision | None = champion.rollback(table)
        else:
            decision = champion.decide(
                table,
                lambda current, candidate: compare(table, current, candidate, log.info),
                None if version is None else str(version),
                margin,
                anyway,
            )
    except (ValueError, CompareFailed) as error:
        return Failed(message=str(error))
    if decision is None:
        return Completed(message=f"{table} has no trained model")
    text = sentence(decision)
    log.info(text)
    create_markdown_artifact(markdown(decision), f"promotion-{table}", description=text)
    if decision.moved:
        notify.send("promotion", text, log)
    elif decision.problem:
        notify.send("failure", text, log)
    return Completed(name="Promoted" if decision.moved else "Completed", message=text)


def sentence(decision: Decision) -> str:
    """Return the decision in one line."""
    if decision.version == decision.before:
        return f"{decision.model}: version {decision.version} stays champion: {decision.reason}"
    if decision.moved:
        before = f" instead of {decision.before}" if decision.before else ""
        return (
            f"{decision.model}: version {decision.champion} is champion{before}: {decision.reason}"
        )
    return (
        f"{decision.model}: version {decision.version} is not put in use, "
        f"{decision.champion} stays champion: {decision.reason}"
    )


def markdown(decision: Decision) -> str:
    """Return the decision and its evidence, as Markdown."""
    lines = [f"# {sentence(decision)}", ""]
    if evidence := decision.evidence:
        rows = [
            (f"version {decision.before}, champion until now", f"{100 * evidence['champion']:.2f}"),
            (f"version {decision.version}, candidate", f"{100 * evidence['candidate']:.2f}"),
            ("difference", f"{100 * evidence['difference']:+.2f}"),
            (
                f"its {100 * evidence['level']:g} % interval",
                f"[{100 * evidence['low']:+.2f}, {100 * evidence['high']:+.2f}]",
            ),
        ]
        lines += ["| mean IoU in percent | |", "| --- | ---: |"]
        lines += [f"| {name} | {value} |" for name, value in rows]
        lines += [
            "",
            f"Split `{evidence['split']}`, {evidence['images']} images in {evidence['units']} "
            f"units; both on the same ones, {evidence['resamples']} resamples.",
        ]
    return "\n".join([*lines, ""])
