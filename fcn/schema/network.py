"""The shape of a network."""

from pydantic import PositiveInt

from fcn.schema.values import Finite, Fraction, Positive, Settings


class Network(Settings):
    """The shape of a backbone."""

    width: Positive
    """Factor on all channel counts; 1 is VGG-16 as published."""
    fc6_kernel: PositiveInt
    """Side of fc6's kernel at stride 32; 7 as published."""
    dropout: Fraction
    """After fc6 and fc7; 0.5 as published."""
    mean: Finite
    """Subtracted from pixel values 0..255."""
    scale: Positive
    """Divides pixel values after that."""
