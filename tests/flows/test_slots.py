import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from flows import slots
from flows.slots import Slots

NEEDS = {
    "convert": [],
    "small": ["convert"],
    "fcn32s": ["convert"],
    "fcn16s": ["fcn32s"],
    "table": ["small", "fcn16s"],
}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


class Asking:
    """Names that ask for a slot, and the order in which they got it."""

    def __init__(self, pool: ThreadPoolExecutor, of: Slots) -> None:
        self.pool, self.of = pool, of
        self.got = list[str]()
        self._waits = threading.Semaphore(0)
        self._asked = list[Future[None]]()

    def ask(self, name: str, waits: bool = False) -> None:
        self._asked.append(self.pool.submit(self._go, name))
        if waits:
            assert self._waits.acquire(timeout=60)

    def _go(self, name: str) -> None:
        with self.of.slot(name, self._waits.release):
            self.got.append(name)

    def end(self) -> list[str]:
        for one in self._asked:
            one.result(timeout=60)
        return self.got


def test_a_way_is_the_longest() -> None:
    assert slots.ways(NEEDS) == {"convert": 3, "small": 1, "fcn32s": 2, "fcn16s": 1, "table": 0}


def test_of_those_that_wait_the_longest_way_goes_first(pool: ThreadPoolExecutor) -> None:
    asking = Asking(pool, Slots(1, NEEDS))
    with asking.of.slot("convert", pytest.fail):
        for name in ("other", "table", "small", "fcn16s", "fcn32s"):
            asking.ask(name, waits=True)
        assert asking.got == []
    assert asking.end() == ["fcn32s", "small", "fcn16s", "table", "other"]


def test_what_follows_goes_before_those_that_wait(pool: ThreadPoolExecutor) -> None:
    asking = Asking(pool, Slots(1, {"long": [], "short": [], "then": ["long"], "last": ["then"]}))
    with asking.of.slot("long", pytest.fail):
        asking.ask("short", waits=True)
    asking.ask("then")  # a moment after the slot became free
    asking.ask("last")
    assert asking.end() == ["then", "short", "last"]


def test_a_short_one_waits_for_a_longer_one_to_come(pool: ThreadPoolExecutor) -> None:
    asking = Asking(pool, Slots(1, {"long": [], "short": [], "then": ["long"]}))
    asking.ask("short")
    asking.ask("long")
    assert asking.end() == ["long", "short"]


def test_what_never_comes_is_waited_for_no_longer_than_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 0.1)
    of = Slots(1, {"never": [], "short": [], "then": ["never"]})
    with of.slot("short", pytest.fail):
        pass


def test_what_follows_a_failure_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 1e6)
    of = Slots(1, {"long": [], "short": [], "then": ["long"], "last": ["then"]})
    with pytest.raises(KeyError), of.slot("long", pytest.fail):
        raise KeyError
    with of.slot("short", pytest.fail):
        pass


def test_no_more_than_the_number_hold_one(pool: ThreadPoolExecutor) -> None:
    of, lock, holders, most = Slots(3), threading.Lock(), 0, 0
    full = threading.Barrier(3)

    def go(number: int) -> None:
        nonlocal holders, most
        with of.slot(f"one-{number}", lambda: None):
            with lock:
                holders += 1
                most = max(most, holders)
            full.wait(timeout=60)  # three are inside at once, and go out together
            with lock:
                holders -= 1

    list(pool.map(go, range(12)))
    assert most == 3


@pytest.mark.parametrize("number", [0, -1])
def test_there_is_at_least_one(number: int) -> None:
    with pytest.raises(ValueError, match=f"slots is {number}; allowed: 1 or more"):
        Slots(number)
