"""Heads' upsampling for backbones whose maps are centred on pixels, not between them.

A strided convolution with an odd kernel and `same` padding on even sizes centres position p of the
map of stride S on pixel S·p + S - 1. Every second position of a map is then a position of the next
coarser one, and the bilinear kernel between them is odd.
"""

from keras import KerasTensor

from fcn.network.alignment import alignment_of
from fcn.network.decoder import SCORES, Decoder
from fcn.network.upsampling import OddUpsample
from fcn.settings.network import Start


def fits(x: KerasTensor) -> bool:
    """Return whether a backbone's map is centred on pixels."""
    return alignment_of(x).offset % 1 == 0


class OddDecoder(Decoder):
    """Makes the layers of one head with odd upsampling kernels."""

    def upsample(
        self,
        x: KerasTensor,
        stride: int,
        name: str,
        default: Start = "bilinear",
        kernel: int | None = None,
    ) -> KerasTensor:
        """Upsample `stride` times to scores; the kernel is one less than twice the stride.

        `kernel`, which heads give where their source has a smaller one, is not used: a smaller one
        would leave the first pixels without scores. Without padding the first position of the
        result is the first of the next finer map.
        """
        return OddUpsample(
            self.classes,
            2 * stride - 1,
            strides=stride,
            use_bias=False,
            kernel_initializer=self.initializer(name, default),
            dtype=SCORES,
            name=name,
        )(x)
