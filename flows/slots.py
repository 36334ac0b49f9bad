"""So many at once, the longest way first: what has most steps behind it decides when all ends."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

PATIENCE = 10.0
"""Seconds that a slot is kept for what may begin but has not asked yet, before others get it."""


class Slots:
    """A semaphore that knows what follows what."""

    def __init__(self, number: int, needs: Mapping[str, Collection[str]] | None = None) -> None:
        """Set how many may go at once, and what will ask.

        Args:
            number: of slots.
            needs: for each name that will ask, the names that must end before; upstream first.
                Others may ask too, and go last.

        Raises:
            ValueError: less than one slot.
        """
        if number < 1:
            raise ValueError(f"slots is {number}; allowed: 1 or more")
        self._free = number
        self._needs = needs or {}
        self._ways = ways(self._needs)
        self._asked: set[str] = set()
        self._waiting: list[str] = []
        self._ended: set[str] = set()
        self._changed = threading.Condition()
        self._since = time.monotonic()

    @contextmanager
    def slot(self, name: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold a slot for `name`; `waiting` is called once if it has to wait for another."""
        with self._changed:
            self._asked.add(name)
            self._waiting.append(name)
            self._changed.notify_all()
            has_to_wait = not self._free
        if has_to_wait:
            waiting()
        with self._changed:
            while not self._next(name):
                self._changed.wait(1.0)  # patience may be over without a change
            self._waiting.remove(name)
            self._free -= 1
            self._changed.notify_all()  # another may be free for the next
        try:
            yield
            self._ended.add(name)
        finally:
            with self._changed:
                self._free += 1
                self._since = time.monotonic()
                self._changed.notify_all()

    def _next(self, name: str) -> bool:
        """Whether a slot is free and no other has more behind it, here or on its way here."""
        if not self._free:
            return False
        rivals = [*self._waiting]
        if time.monotonic() < self._since + PATIENCE:
            rivals += [other for other in self._needs if self._is_coming(other)]
        # Of equals the first: `max` keeps the order of asking.
        return name == max(rivals, key=lambda other: self._ways.get(other, -1))

    def _is_coming(self, name: str) -> bool:
        return name not in self._asked and self._ended.issuperset(self._needs[name])


def ways(needs: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Return how many steps follow, one after the other, on the longest way behind each.

    Args:
        needs: for each name the names that must end before; upstream first.
    """
    behind = dict.fromkeys(needs, 0)
    for name in reversed([*needs]):
        for before in needs[name]:
            behind[before] = max(behind[before], behind[name] + 1)
    return behind
