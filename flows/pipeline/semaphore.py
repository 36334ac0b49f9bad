"""A semaphore that prefers the longest critical path: its length decides when the run ends."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

RESERVE_SECONDS = 10.0
"""How long a free slot is kept for a stage that is ready but has not asked for it yet."""


class PrioritySemaphore:
    """A number of slots; a free one goes to the stage with the longest path of dependents."""

    def __init__(
        self, slots: int, dependencies: Mapping[str, Collection[str]] | None = None
    ) -> None:
        """Set the number of slots and the stages that will ask for one.

        Args:
            slots: how many stages may hold one at once.
            dependencies: for each stage that will ask, the stages that must end before it;
                upstream first. Other names may ask too, and have the lowest priority.

        Raises:
            ValueError: less than one slot.
        """
        if slots < 1:
            raise ValueError(f"slots is {slots}; allowed: 1 or more")
        self._free = slots
        self._dependencies = dependencies or {}
        self._paths = path_lengths(self._dependencies)
        self._asked: set[str] = set()
        self._waiting: list[str] = []
        self._ended: set[str] = set()
        self._changed = threading.Condition()
        self._freed_at = time.monotonic()

    @contextmanager
    def slot(self, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold a slot for `name`; `on_wait` is called once if no slot is free."""
        with self._changed:
            self._asked.add(name)
            self._waiting.append(name)
            self._changed.notify_all()
            has_to_wait = not self._free
        if has_to_wait:
            on_wait()
        with self._changed:
            while not self._is_next(name):
                self._changed.wait(1.0)  # a reservation may expire without a change
            self._waiting.remove(name)
            self._free -= 1
            self._changed.notify_all()  # another slot may be free
        try:
            yield
            self._ended.add(name)
        finally:
            with self._changed:
                self._free += 1
                self._freed_at = time.monotonic()
                self._changed.notify_all()

    def _is_next(self, name: str) -> bool:
        """Whether a slot is free and no other stage, waiting or ready, has a longer path."""
        if not self._free:
            return False
        rivals = [*self._waiting]
        if time.monotonic() < self._freed_at + RESERVE_SECONDS:
            rivals += [rival for rival in self._dependencies if self._is_ready(rival)]
        # Among equals the first that asked: `max` keeps the order.
        return name == max(rivals, key=lambda rival: self._paths.get(rival, -1))

    def _is_ready(self, name: str) -> bool:
        """Whether a stage has not asked yet although its dependencies have ended."""
        return name not in self._asked and self._ended.issuperset(self._dependencies[name])


def path_lengths(dependencies: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Return, for each stage, the number of stages on the longest path of its dependents.

    Args:
        dependencies: for each stage the stages that must end before it; upstream first.
    """
    lengths = dict.fromkeys(dependencies, 0)
    for name in reversed([*dependencies]):
        for upstream in dependencies[name]:
            lengths[upstream] = max(lengths[upstream], lengths[name] + 1)
    return lengths
