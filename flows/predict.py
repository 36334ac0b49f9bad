"""Predict every picture in a folder, each exactly once.

    python -m flows.predict INBOX OUTBOX [--model models:/fcn-digits@champion]

    OUTBOX/done/photo.jpg/     the picture with its mask, overlay and class shares
    OUTBOX/failed/photo.jpg/   the picture and reason.txt
    OUTBOX/claimed/RUN/        what a run is working on

If a run is killed, the next run takes over the pictures that it has claimed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from typer import Argument, Option

from fcn.cli import command_line
from fcn.settings import reader
from flows.inbox import claims, prediction
from flows.serving import flow_command

ROOT = Path(__file__).parents[1]


@task(name="predict", task_run_name="{number} picture(s)", cache_policy=NO_CACHE)
def predict_claimed(number: int, folder: Path, model: str) -> State[Any]:
    """Predict all pictures of a folder of claims and move them on.

    Returns:
        Completed with the counts; Failed if the command could not start its work.
    """
    try:
        counts = prediction.predict(claims.pictures(folder), folder, model, get_run_logger())
    except RuntimeError as error:  # a returned state shows the message without our traceback
        return Failed(message=str(error))
    return Completed(message=_describe(counts), data=dict(counts))


@flow(name="predict")
def predict(inbox: str, outbox: str, model: str | None = None) -> State[None]:
    """Predict every picture in the folder `inbox`.

    Args:
        inbox: pictures arrive here, by copying or by renaming.
        outbox: gets results and failures; on the same disk.
        model: as for `python -m fcn predict --model`; none: the champion of the first active
            table, `models:/fcn-TABLE@champion`.

    Returns:
        Completed with the counts, also if pictures failed. Failed if the model could not be used;
        the pictures are then back in the inbox.
    """
    source, target = Path(inbox), Path(outbox)
    model = model or f"models:/fcn-{reader.active(ROOT)[0]}@champion"
    total = prediction.Counts()
    try:
        claims.prepare(source, target)
        with claims.folder(target) as folder:
            while number := claims.adopt(folder) + claims.claim(source, folder):
                state = predict_claimed(number, folder, model, return_state=True)
                if not state.is_completed():
                    claims.give_back(folder, source)
                    return Failed(message=state.message)
                counts: Any = state.result()
                total.update(counts)
    except (ValueError, OSError) as error:
        return Failed(message=str(error))
    return Completed(message=_describe(total))


def _describe(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{outcome} {counts.get(outcome, 0)}" for outcome in ("done", "failed"))


def main(
    inbox: Annotated[str, Argument(help="Folder with the pictures.")],
    outbox: Annotated[str, Argument(help="Folder for the results, on the same disk.")],
    model: Annotated[
        str | None,
        Option(help="As for `python -m fcn predict`. Default: models:/fcn-TABLE@champion."),
    ] = None,
) -> int:
    """Run the flow once; return the exit code."""
    claims.require_inbox(Path(inbox))  # a typo is refused before a server starts
    return flow_command.run(
        predict,
        "cancelled; the next run takes over the claimed pictures",
        inbox=inbox,
        outbox=outbox,
        model=model,
    )


if __name__ == "__main__":
    command_line.run(main, outlives_parent=True)
