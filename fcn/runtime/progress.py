"""Progress of a training: a line every second at a terminal, otherwise one per epoch."""

import math
import time
from collections.abc import Mapping

from fcn.common import messages


class Progress:
    """Progress of one training of `steps` steps, which starts at step `first`."""

    def __init__(self, name: str, epochs: int, batch: int, steps: int, first: int) -> None:
        """Start the clock."""
        self.name, self.epochs, self.batch = name, epochs, batch
        self.steps, self.first = steps, first
        self.began = self.shown = time.monotonic()

    def images_per_second(self, step: int) -> float:
        """Return the mean since this process started or resumed the training."""
        return (step - self.first) * self.batch / (time.monotonic() - self.began)

    def step(self, step: int, loss: float) -> None:
        """Show a finished step."""
        if time.monotonic() - self.shown >= 1:
            self.shown = time.monotonic()
            messages.say(self._line(step, loss), last=False)

    def epoch(self, step: int, loss: float, measured: Mapping[str, float]) -> None:
        """Show a finished epoch and its measured scores."""
        scores = "".join(f"  {name} {value:.3f}" for name, value in measured.items())
        messages.say(self._line(step, loss) + scores)

    def _line(self, step: int, loss: float) -> str:
        epoch = math.ceil(step * self.epochs / self.steps)
        speed = self.images_per_second(step)
        left = (self.steps - step) * self.batch / speed
        return (
            f"{self.name}  epoch {epoch}/{self.epochs}  step {step}/{self.steps}  "
            f"loss {loss:.4f}  {speed:.0f} images/s  {left:.0f} s left"
        )
