"""Which model is in use: the alias `champion` of the registered model `fcn-TABLE`.

MLflow gives an alias to one version at a time. What is decided about it is decided under a lock,
and only holds if the champion is still the one that was compared with. The registered model's tag
`champions` is the way so far, oldest first, which `rollback` walks back.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fcn.runtime import devices
from fcn.tracking import registry, runs
from fcn.uncertainty import intervals

CHAMPION, CHALLENGER, HISTORY = "champion", "challenger", "champions"
ROLLED_BACK = "promotion.rolled_back"
REMEMBERED = 100
"""Champions kept in the history: far more than anybody rolls back."""
LOCKS = Path(tempfile.gettempdir()) / f"fcn-registry-{os.getuid()}"
"""Outside the project: two checkouts of it may share one store."""

Compare = Callable[[Path, Path], Mapping[str, Any]]
"""What `stages.compare` writes of the files of champion and candidate; ValueError where one of them
cannot be measured."""


@dataclass(frozen=True)
class Decision:
    """What was decided about a candidate."""

    model: str
    """The registered model, `fcn-TABLE`."""
    version: str
    """The candidate."""
    champion: str
    """The version in use from now on."""
    before: str | None
    """The version that was in use until now."""
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What `stages.compare` measured; empty where nothing was compared."""
    problem: bool = False
    """The two could not be compared; a person has to look."""

    @property
    def moved(self) -> bool:
        """Whether another version is in use than before."""
        return self.champion != self.before


def decide(
    table: str,
    compare: Compare,
    version: str | None = None,
    margin: float = 0.0,
    anyway: bool = False,
) -> Decision | None:
    """Put a candidate in use if it is better than the champion, or make it the challenger.

    Args:
        table: the table's name.
        compare: measures two model files.
        version: the candidate; without it the best model of the workspace, registered if need be.
        margin: difference in mean IoU that the whole interval has to exceed.
        anyway: a person has decided; nothing is compared.

    Returns:
        The decision; None where the table has no trained model.

    Raises:
        ValueError: MLflow's store cannot be used, or has no such version.
    """
    mlflow, model = runs.store(), f"fcn-{table}"
    client = mlflow.MlflowClient()
    with _deciding(mlflow, model):
        with runs.refusing(mlflow):
            version = version or registry.register_best(mlflow, client, table)
        if version is None:
            return None
        while True:
            with runs.refusing(mlflow):
                candidate, before = _version(client, model, version), _champion(client, model)
            made = _judge(mlflow, candidate, before, compare, margin, anyway)
            with runs.refusing(mlflow):
                # Somebody with another machine may have decided meanwhile.
                if _champion(client, model) == before:
                    _write(client, candidate, made)
                    return made


def rollback(table: str) -> Decision:
    """Put the champion before this one in use again; this one is not promoted again by itself.

    Raises:
        ValueError: MLflow's store cannot be used, or there is no champion, or none before it.
    """
    mlflow, model = runs.store(), f"fcn-{table}"
    client = mlflow.MlflowClient()
    with _deciding(mlflow, model), runs.refusing(mlflow):
        present, now = _versions(client, model), _champion(client, model)
        if now is None:
            raise ValueError(f"{model} has no champion, so there is nothing to roll back")
        earlier = [
            old for old in _history(client, model, now)[:-1] if old in present and old != now
        ]
        if not earlier:
            raise ValueError(
                f"{model} had no champion before version {now}; versions are "
                f"{', '.join(present)}: `python -m flows.promote {table} --version N --anyway` "
                "puts one in use"
            )
        reason = f"version {now} was rolled back by a person"
        made = Decision(model, earlier[-1], earlier[-1], now, reason)
        client.set_registered_model_tag(model, HISTORY, " ".join(earlier))
        client.set_model_version_tag(model, now, ROLLED_BACK, _now())
        client.set_registered_model_alias(model, CHAMPION, made.champion)
        return made


def _judge(
    mlflow: Any, candidate: Any, before: str | None, compare: Compare, margin: float, anyway: bool
) -> Decision:
    model, version = candidate.name, str(candidate.version)

    def made(champion: str, reason: str, **more: Any) -> Decision:
        return Decision(model, version, champion, before, reason, **more)

    if version == before:
        return made(version, "it is in use")
    if anyway:
        return made(version, "a person decided so")
    if before is None:
        return made(version, "no other")
    if ROLLED_BACK in candidate.tags:
        when = candidate.tags[ROLLED_BACK]
        return made(before, f"it was rolled back on {when}; `--anyway` puts it in use again")
    try:
        with tempfile.TemporaryDirectory() as folder:
            one, other = (
                _file(mlflow, model, number, Path(folder) / number) for number in (before, version)
            )
            evidence = compare(one, other)
    except ValueError as error:
        table = model.removeprefix("fcn-")
        next_step = f"`python -m flows.promote {table} --version {version} --anyway` puts it in use"
        reason = f"it could not be compared with version {before}: {error}; {next_step}"
        return made(before, reason, problem=True)
    between = f"{evidence['low']:+.4f}, {evidence['high']:+.4f}"
    if evidence["units"] < intervals.MIN_UNITS:
        few = f"{evidence['units']} independent images or groups are too few for an interval"
        return made(before, f"{few} (at least {intervals.MIN_UNITS})", evidence=evidence)
    if evidence["low"] > margin:
        reason = f"the whole interval [{between}] is above {margin:g}"
        return made(version, reason, evidence=evidence)
    reason = f"the interval [{between}] is not above {margin:g}"
    return made(before, reason, evidence=evidence)


def _write(client: Any, candidate: Any, made: Decision) -> None:
    """Write the evidence first, then move the alias: a kill in between leaves the old champion."""
    if not made.moved and made.version == made.champion:
        return
    model, version = made.model, made.version
    tags = {
        "promotion": CHAMPION if made.moved else CHALLENGER,
        "promotion.reason": made.reason,
        "promotion.against": made.before or "",
        "promotion.at": _now(),
    }
    for name in ("difference", "low", "high"):
        tags[f"promotion.{name}"] = f"{made.evidence[name]:.6f}" if made.evidence else ""
    for name, value in tags.items():
        client.set_model_version_tag(model, version, name, value)
    run = candidate.run_id or client.get_logged_model(candidate.model_id).source_run_id
    content = {"model": model, "version": version, **tags, "evidence": dict(made.evidence)}
    client.log_dict(run, content, f"promotion/{version}-against-{made.before or 'none'}.json")
    if not made.moved:
        client.set_registered_model_alias(model, CHALLENGER, version)
        return
    if ROLLED_BACK in candidate.tags:
        client.delete_model_version_tag(model, version, ROLLED_BACK)
    way = [*_history(client, model, made.before), version][-REMEMBERED:]
    client.set_registered_model_tag(model, HISTORY, " ".join(way))
    client.set_registered_model_alias(model, CHAMPION, version)
    if _aliases(client, model).get(CHALLENGER) == version:
        client.delete_registered_model_alias(model, CHALLENGER)


def _history(client: Any, model: str, now: str | None) -> list[str]:
    """Return the champions up to the one in use, also where the alias was moved by other means."""
    way = str(client.get_registered_model(model).tags.get(HISTORY, "")).split()
    if now is None:
        return way
    while now in way and way[-1] != now:  # a decision that was killed before the alias moved
        way.pop()
    return way if now in way else [*way, now]


def _champion(client: Any, model: str) -> str | None:
    return _aliases(client, model).get(CHAMPION)


def _aliases(client: Any, model: str) -> dict[str, str]:
    found = client.search_registered_models(f"name = '{model}'")
    aliases = found[0].aliases if found else {}
    return {name: str(version) for name, version in aliases.items()}


def _versions(client: Any, model: str) -> dict[str, Any]:
    """Return all versions by number, the oldest first."""
    found = client.search_model_versions(f"name = '{model}'")
    return {str(one.version): one for one in sorted(found, key=lambda one: int(one.version))}


def _version(client: Any, model: str, version: str) -> Any:
    known = _versions(client, model)
    if version not in known:
        raise ValueError(f"{model} has no version {version}; it has {', '.join(known) or 'none'}")
    return known[version]


def _file(mlflow: Any, model: str, version: str, folder: Path) -> Path:
    """Fetch the `.keras` file of a version."""
    folder.mkdir()
    uri = f"models:/{model}/{version}"
    with runs.refusing(mlflow):
        mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/artifacts", dst_path=str(folder))
    found = list(folder.rglob("*.keras"))
    if len(found) != 1:
        raise ValueError(f"{uri} holds {len(found)} .keras files; allowed: 1")
    return found[0]


@contextmanager
def _deciding(mlflow: Any, model: str) -> Iterator[None]:
    store = hashlib.sha256(mlflow.get_tracking_uri().encode()).hexdigest()[:12]
    with devices.lock(LOCKS / f"{model}-{store}", f"decision on {model}", seconds=0.2):
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
