import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from flows.pipeline import semaphore
from flows.pipeline.semaphore import PrioritySemaphore, path_lengths
from tests.waiting import SECONDS

DEPENDENCIES = {
    "convert": [],
    "small": ["convert"],
    "fcn32s": ["convert"],
    "fcn16s": ["fcn32s"],
    "table": ["small", "fcn16s"],
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a slot for a thread that a busy machine runs late."""
    monkeypatch.setattr(semaphore, "RESERVE_SECONDS", SECONDS)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


class Threads:
    """Threads that ask for slots, and the order in which they get them."""

    def __init__(self, pool: ThreadPoolExecutor, slots: PrioritySemaphore) -> None:
        self.pool, self.slots = pool, slots
        self.order = list[str]()
        self._waits = threading.Semaphore(0)
        self._asked = list[Future[None]]()

    def ask(self, name: str, waits: bool = False) -> None:
        self._asked.append(self.pool.submit(self._go, name))
        if waits:
            assert self._waits.acquire(timeout=SECONDS)

    def _go(self, name: str) -> None:
        with self.slots.slot(name, self._waits.release):
            self.order.append(name)

    def end(self) -> list[str]:
        for future in self._asked:
            future.result(timeout=SECONDS)
        return self.order


def test_a_path_length_is_that_of_the_longest_chain() -> None:
    assert path_lengths(DEPENDENCIES) == {
        "convert": 3,
        "small": 1,
        "fcn32s": 2,
        "fcn16s": 1,
        "table": 0,
    }


def test_the_waiting_stage_with_the_longest_path_goes_first(
    pool: ThreadPoolExecutor,
) -> None:
    threads = Threads(pool, PrioritySemaphore(1, DEPENDENCIES))
    with threads.slots.slot("convert", pytest.fail):
        for name in ("other", "table", "small", "fcn16s", "fcn32s"):
            threads.ask(name, waits=True)
        assert threads.order == []
    assert threads.end() == ["fcn32s", "small", "fcn16s", "table", "other"]


def test_a_dependent_with_a_longer_path_goes_before_others(
    pool: ThreadPoolExecutor,
) -> None:
    threads = Threads(
        pool, PrioritySemaphore(1, {"long": [], "short": [], "then": ["long"], "last": ["then"]})
    )
    with threads.slots.slot("long", pytest.fail):
        threads.ask("short", waits=True)
    threads.ask("then")  # a moment after the slot became free
    threads.ask("last")
    assert threads.end() == ["then", "short", "last"]


def test_a_slot_is_kept_for_a_ready_stage_with_a_longer_path(pool: ThreadPoolExecutor) -> None:
    threads = Threads(pool, PrioritySemaphore(1, {"long": [], "short": [], "then": ["long"]}))
    threads.ask("short")
    threads.ask("long")
    assert threads.end() == ["long", "short"]


def test_a_slot_is_kept_for_a_limited_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(semaphore, "RESERVE_SECONDS", 0.1)
    slots = PrioritySemaphore(1, {"never": [], "short": [], "then": ["never"]})
    with slots.slot("short", pytest.fail):
        pass


def test_no_slot_is_kept_for_dependents_of_a_failure() -> None:
    slots = PrioritySemaphore(1, {"long": [], "short": [], "then": ["long"], "last": ["then"]})
    with pytest.raises(KeyError), slots.slot("long", pytest.fail):
        raise KeyError
    with slots.slot("short", pytest.fail):
        pass


def test_at_most_the_number_of_slots_are_held_at_once(pool: ThreadPoolExecutor) -> None:
    slots, lock, holders, most = PrioritySemaphore(3), threading.Lock(), 0, 0
    full = threading.Barrier(3)

    def go(number: int) -> None:
        nonlocal holders, most
        with slots.slot(f"stage-{number}", lambda: None):
            with lock:
                holders += 1
                most = max(most, holders)
            full.wait(timeout=SECONDS)  # three hold a slot at once
            with lock:
                holders -= 1

    list(pool.map(go, range(12)))
    assert most == 3


@pytest.mark.parametrize("number", [0, -1])
def test_less_than_one_slot_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"slots is {number}; allowed: 1 or more"):
        PrioritySemaphore(number)
