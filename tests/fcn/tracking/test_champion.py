"""Decisions about models whose files hold a score, in a real store."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fcn.tracking import champion, connection
from fcn.tracking.decision import Decision
from fcn.uncertainty import intervals

MODEL = "fcn-toy"
Register = Callable[[float], str]


@pytest.fixture
def client(mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(champion, "LOCKS", tmp_path / "locks")
    client = mlflow.MlflowClient()
    client.create_registered_model(MODEL)
    return client


@pytest.fixture
def register(client: Any, tmp_path: Path) -> Register:
    """Register a model of some mean IoU; return its version."""
    experiment = connection.open_store().experiment("toy")

    def one(score: float) -> str:
        run = client.create_run(experiment).info.run_id
        source = tmp_path / "models" / run
        (source / "artifacts").mkdir(parents=True)
        (source / "artifacts" / "toy.keras").write_text(str(score))
        return str(client.create_model_version(MODEL, str(source), run).version)

    return one


def compare(one: Path, other: Path, spread: float = 0.05, units: int = 50) -> dict[str, Any]:
    """Return what `stages.compare` would write, exact except for a spread."""
    difference = float(other.read_text()) - float(one.read_text())
    return {
        "difference": difference,
        "low": difference - spread,
        "high": difference + spread,
        "units": units,
    }


def decide(version: str, compare: champion.Compare = compare, **more: Any) -> Decision:
    made = champion.decide("toy", compare, version, **more)
    assert made is not None
    return made


def aliases(client: Any) -> dict[str, str]:
    found = client.get_registered_model(MODEL).aliases
    return {name: str(version) for name, version in found.items()}


def history(client: Any) -> str:
    return str(client.get_registered_model(MODEL).tags[champion.HISTORY])


def tags(client: Any, version: str) -> dict[str, str]:
    return dict(client.get_model_version(MODEL, version).tags)


def test_the_first_model_is_champion_without_a_comparison(client: Any, register: Register) -> None:
    made = decide(register(0.5))
    assert made.moved
    assert (made.before, made.reason, made.evidence) == (None, "there was no champion", {})
    assert aliases(client) == {"champion": "1"}
    assert tags(client, "1")["promotion.reason"] == "there was no champion"


@pytest.mark.parametrize(
    ("score", "margin", "moved"),
    [(0.6, 0.04, True), (0.6, 0.06, False), (0.54, 0.0, False)],
)
def test_the_alias_moves_only_if_the_whole_interval_is_above_the_margin(
    client: Any, register: Register, score: float, margin: float, moved: bool
) -> None:
    decide(register(0.5))
    made = decide(register(score), margin=margin)
    assert made.moved is moved
    assert aliases(client) == ({"champion": "2"} if moved else {"champion": "1", "challenger": "2"})
    promotion = tags(client, "2")
    assert promotion["promotion"] == ("champion" if moved else "challenger")
    assert promotion["promotion.against"] == "1"
    assert float(promotion["promotion.difference"]) == pytest.approx(score - 0.5)
    assert float(promotion["promotion.low"]) == pytest.approx(score - 0.55)


def test_the_evidence_is_a_file_of_the_run_that_made_the_candidate(
    client: Any, register: Register, mlflow: Any
) -> None:
    decide(register(0.5))
    decide(register(0.7))
    run = client.get_model_version(MODEL, "2").run_id
    content = mlflow.artifacts.load_dict(f"runs:/{run}/promotion/2-against-1.json")
    assert content["promotion"] == "champion"
    assert content["evidence"]["difference"] == pytest.approx(0.2)


def test_too_few_images_leave_the_champion(client: Any, register: Register) -> None:
    decide(register(0.1))
    few = intervals.MIN_UNITS - 1
    made = decide(register(0.9), lambda one, other: compare(one, other, units=few))
    assert not made.moved
    assert f"{few} independent images" in made.reason
    assert aliases(client)["challenger"] == "2"


def test_a_model_that_cannot_be_measured_is_challenger_and_a_problem(
    client: Any, register: Register
) -> None:
    def refuse(one: Path, other: Path) -> dict[str, Any]:
        raise ValueError("the champion cannot be evaluated: unknown layer")

    decide(register(0.5))
    made = decide(register(0.9), refuse)
    assert made.problem
    assert "the champion cannot be evaluated: unknown layer" in made.reason
    assert "--version 2 --anyway" in made.reason
    assert aliases(client) == {"champion": "1", "challenger": "2"}
    assert tags(client, "2")["promotion.reason"] == made.reason


def test_a_model_whose_file_is_gone_is_challenger(
    client: Any, register: Register, tmp_path: Path
) -> None:
    decide(register(0.5))
    for path in (tmp_path / "models").rglob("*.keras"):
        path.unlink()
    made = decide(register(0.9))
    assert made.problem
    assert not made.moved
    assert "models:/fcn-toy/1" in made.reason


def test_a_version_rolled_back_stays_out_until_a_person_decides(
    client: Any, register: Register
) -> None:
    for score in (0.1, 0.3, 0.5):
        decide(register(score))
    assert history(client) == "1 2 3"
    made = champion.rollback("toy")
    assert (made.champion, made.before) == ("2", "3")
    assert aliases(client)["champion"] == "2"
    again = decide("3")
    assert not again.moved
    assert "was rolled back on" in again.reason
    assert champion.rollback("toy").champion == "1"
    with pytest.raises(ValueError, match="no champion before version 1"):
        champion.rollback("toy")
    assert decide("3", anyway=True).moved
    assert champion.ROLLED_BACK not in tags(client, "3")
    assert history(client) == "1 3"


def test_without_a_champion_there_is_nothing_to_roll_back(client: Any, register: Register) -> None:
    register(0.5)
    with pytest.raises(ValueError, match="fcn-toy has no champion"):
        champion.rollback("toy")


def test_an_alias_that_a_person_moved_is_respected(client: Any, register: Register) -> None:
    decide(register(0.1))
    client.set_registered_model_alias(MODEL, champion.CHAMPION, register(0.2))
    assert decide(register(0.5)).before == "2"
    assert history(client) == "1 2 3"
    assert champion.rollback("toy").champion == "2"


def test_an_unknown_version_is_refused_with_the_existing_ones(register: Register) -> None:
    register(0.5)
    with pytest.raises(ValueError, match="fcn-toy has no version 7; it has 1"):
        decide("7")


def test_the_champion_stays_if_it_is_the_candidate(client: Any, register: Register) -> None:
    decide(register(0.5))
    made = decide("1")
    assert not made.moved
    assert made.reason == "it is in use"
    assert tags(client, "1")["promotion"] == "champion"


def test_simultaneous_decisions_wait_for_each_other(client: Any, register: Register) -> None:
    versions = [register(score) for score in (0.1, 0.3, 0.5)]
    decide(versions[0])
    comparing = threading.Semaphore()
    against = []

    def alone(one: Path, other: Path) -> dict[str, Any]:
        assert comparing.acquire(blocking=False)
        try:
            against.append((one.parts[-3], other.parts[-3]))
            return compare(one, other)
        finally:
            comparing.release()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda version: decide(version, alone), versions[1:]))
    assert len(against) == 2
    assert aliases(client)["champion"] == "3"
    assert history(client) in ("1 2 3", "1 3")
    # Whoever came second was compared with whoever came first.
    first_won = history(client) == "1 2 3"
    assert tags(client, "3")["promotion.against"] == ("2" if first_won else "1")
    assert tags(client, "2")["promotion.against"] == ("1" if first_won else "3")


def test_a_new_champion_from_another_machine_is_compared_again(
    client: Any, register: Register
) -> None:
    decide(register(0.1))
    candidate, elsewhere = register(0.3), register(0.5)
    compared = []

    def slow(one: Path, other: Path) -> dict[str, Any]:
        compared.append(one.read_text())
        client.set_registered_model_alias(MODEL, champion.CHAMPION, elsewhere)
        return compare(one, other)

    made = decide(candidate, slow)
    assert compared == ["0.1", "0.5"]
    assert not made.moved
    assert aliases(client) == {"champion": elsewhere, "challenger": candidate}
