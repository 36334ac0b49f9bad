"""Which model is in use: the alias `champion` of the registered model `fcn-TABLE`.

MLflow gives an alias to one version at a time. A decision is made under a lock, and takes effect
only if the champion is still the version that the candidate was compared with. The registered
model's tag `champions` lists the champions so far, the oldest first; `rollback` walks it back.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn.common import messages
from fcn.runtime import locks
from fcn.tracking import connection, registry
from fcn.tracking.decision import Decision
from fcn.uncertainty import intervals

if TYPE_CHECKING:
    from fcn.tracking.registered_model import ModelVersion, RegisteredModel
    from fcn.tracking.store import Store

CHAMPION, CHALLENGER, HISTORY = "champion", "challenger", "champions"
ROLLED_BACK = "promotion.rolled_back"
HISTORY_LENGTH = 100
"""Champions in the history: far more than anybody rolls back."""
LOCKS = Path(tempfile.gettempdir()) / f"fcn-registry-{os.getuid()}"
"""Outside the project: two checkouts of it may share one store."""

Compare = Callable[[Path, Path], Mapping[str, Any]]
"""Takes the files of champion and candidate, returns what `stages.compare` writes; ValueError where
one of them cannot be evaluated."""


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
        anyway: put the candidate in use without comparing, as a person decided.

    Returns:
        The decision; None where the table has no trained model.

    Raises:
        ValueError: MLflow's store cannot be used, or has no such version.
    """
    store = connection.open_store()
    model = store.registered_model(f"fcn-{table}")
    with _deciding(store, model):
        version = version or registry.register_best(store, table)
        if version is None:
            return None
        while True:
            candidate, before = _require_version(model, version), _champion(model)
            if (decision := _decide_alone(model, candidate, before, anyway)) is None:
                assert before is not None
                decision = _compare(store, model, version, before, compare, margin)
            # Another machine may have decided meanwhile.
            if _champion(model) == before:
                _write(store, model, candidate, decision)
                return decision


def rollback(table: str) -> Decision:
    """Put the champion before this one in use again; this one is not promoted again by itself.

    Raises:
        ValueError: MLflow's store cannot be used, or there is no champion, or none before it.
    """
    store = connection.open_store()
    model = store.registered_model(f"fcn-{table}")
    with _deciding(store, model):
        versions, champion = model.versions(), _champion(model)
        if champion is None:
            raise ValueError(f"{model.name} has no champion, so there is nothing to roll back")
        earlier = [
            old for old in _history(model, champion)[:-1] if old in versions and old != champion
        ]
        if not earlier:
            raise ValueError(
                f"{model.name} had no champion before version {champion}; versions are "
                f"{', '.join(versions)}: `python -m flows.promote {table} --version N --anyway` "
                "puts one in use"
            )
        reason = f"version {champion} was rolled back by a person"
        decision = Decision(model.name, earlier[-1], earlier[-1], champion, reason)
        model.set_tag(HISTORY, " ".join(earlier))
        model.set_version_tags(champion, {ROLLED_BACK: _now()})
        model.set_alias(CHAMPION, decision.champion)
        return decision


def _decide_alone(
    model: "RegisteredModel", candidate: "ModelVersion", before: str | None, anyway: bool
) -> Decision | None:
    """Decide where nothing has to be compared; None where it has."""

    def decision(champion: str, reason: str) -> Decision:
        return Decision(model.name, candidate.number, champion, before, reason)

    if candidate.number == before:
        return decision(candidate.number, "it is in use")
    if anyway:
        return decision(candidate.number, "a person decided so")
    if before is None:
        return decision(candidate.number, "there was no champion")
    if when := candidate.tags.get(ROLLED_BACK):
        reason = f"it was rolled back on {when}; `--anyway` puts it in use again"
        return decision(before, reason)
    return None


def _compare(
    store: "Store",
    model: "RegisteredModel",
    version: str,
    before: str,
    compare: Compare,
    margin: float,
) -> Decision:
    """Decide by the paired interval of the difference between candidate and champion."""

    def decision(champion: str, reason: str, **more: Any) -> Decision:
        return Decision(model.name, version, champion, before, reason, **more)

    try:
        with tempfile.TemporaryDirectory() as folder:
            paths = [
                store.download_model(f"models:/{model.name}/{number}", Path(folder) / number)
                for number in (before, version)
            ]
            evidence = compare(*paths)
    except ValueError as error:
        table = model.name.removeprefix("fcn-")
        next_step = f"`python -m flows.promote {table} --version {version} --anyway` puts it in use"
        reason = f"it could not be compared with version {before}: {error}; {next_step}"
        return decision(before, reason, problem=True)
    interval = f"[{evidence['low']:+.4f}, {evidence['high']:+.4f}]"
    if evidence["units"] < intervals.MIN_UNITS:
        few = f"{evidence['units']} independent images or groups are too few for an interval"
        return decision(before, f"{few} (at least {intervals.MIN_UNITS})", evidence=evidence)
    if evidence["low"] > margin:
        reason = f"the whole interval {interval} is above {margin:g}"
        return decision(version, reason, evidence=evidence)
    reason = f"the interval {interval} is not above {margin:g}"
    return decision(before, reason, evidence=evidence)


def _write(
    store: "Store", model: "RegisteredModel", candidate: "ModelVersion", decision: Decision
) -> None:
    """Write the evidence, then move the alias: a kill in between leaves the old champion."""
    if not decision.moved and decision.version == decision.champion:
        return
    version, before = decision.version, decision.before
    tags = {
        "promotion": CHAMPION if decision.moved else CHALLENGER,
        "promotion.reason": decision.reason,
        "promotion.against": before or "",
        "promotion.at": _now(),
    }
    for name in ("difference", "low", "high"):
        number = f"{decision.evidence[name]:.6f}" if decision.evidence else ""
        tags[f"promotion.{name}"] = number
    model.set_version_tags(version, tags)
    evidence = dict(decision.evidence)
    content = {"model": model.name, "version": version, **tags, "evidence": evidence}
    file = f"promotion/{version}-against-{before or 'none'}.json"
    store.writer(model.run_of(candidate)).log_json(content, file)
    if not decision.moved:
        model.set_alias(CHALLENGER, version)
        return
    if ROLLED_BACK in candidate.tags:
        model.delete_version_tag(version, ROLLED_BACK)
    history = [*_history(model, before), version][-HISTORY_LENGTH:]
    model.set_tag(HISTORY, " ".join(history))
    model.set_alias(CHAMPION, version)
    if model.aliases().get(CHALLENGER) == version:
        model.delete_alias(CHALLENGER)


def _history(model: "RegisteredModel", champion: str | None) -> list[str]:
    """Return the champions up to the present one, even if the alias was moved by other means."""
    history = model.tags().get(HISTORY, "").split()
    if champion is None:
        return history
    while champion in history and history[-1] != champion:  # killed before the alias moved
        history.pop()
    return history if champion in history else [*history, champion]


def _champion(model: "RegisteredModel") -> str | None:
    return model.aliases().get(CHAMPION)


def _require_version(model: "RegisteredModel", version: str) -> "ModelVersion":
    versions = model.versions()
    if version not in versions:
        numbers = ", ".join(versions) or "none"
        raise ValueError(f"{model.name} has no version {version}; it has {numbers}")
    return versions[version]


@contextmanager
def _deciding(store: "Store", model: "RegisteredModel") -> Iterator[None]:
    digest = hashlib.sha256(store.uri.encode()).hexdigest()[:12]
    name = f"decision on {model.name}"

    def report(holder: str) -> None:
        messages.say(f"{name}: waiting for {holder}")

    with locks.hold(LOCKS / f"{model.name}-{digest}", name, report, seconds=0.2):
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
