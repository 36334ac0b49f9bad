"""Says where a training is and when it will end: every second at a terminal, else by epoch."""

import math
import time
from collections.abc import Mapping

from fcn import door
from fcn.schema.training import Training


class Progress:
    """The line of one training of `steps` steps, of which `first` were done before."""

    def __init__(self, name: str, training: Training, steps: int, first: int) -> None:
        """Start the clock."""
        self.name, self.training, self.steps, self.first = name, training, steps, first
        self.began = self.shown = time.monotonic()

    def images_per_second(self, step: int) -> float:
        """Return the mean since the start, or since the training went on."""
        return (step - self.first) * self.training.batch / (time.monotonic() - self.began)

    def step(self, step: int, loss: float) -> None:
        """Show that a step is done."""
        if time.monotonic() - self.shown >= 1:
            self.shown = time.monotonic()
            door.say(self._line(step, loss), last=False)

    def epoch(self, step: int, loss: float, measured: Mapping[str, float]) -> None:
        """Show that an epoch is done, and what was measured."""
        scores = "".join(f"  {name} {value:.3f}" for name, value in measured.items())
        door.say(self._line(step, loss) + scores)

    def _line(self, step: int, loss: float) -> str:
        epoch = math.ceil(step * self.training.epochs / self.steps)
        speed = self.images_per_second(step)
        left = (self.steps - step) * self.training.batch / speed
        return (
            f"{self.name}  epoch {epoch}/{self.training.epochs}  step {step}/{self.steps}  "
            f"loss {loss:.4f}  {speed:.0f} images/s  {left:.0f} s left"
        )
