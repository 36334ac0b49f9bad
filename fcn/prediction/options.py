"""Which model predicts, and how; without heavy imports, so that `--help` is fast."""

from dataclasses import dataclass

from fcn.inference.tiles import Tiling

TILE = 1024
"""Default side of a tile in pixels: VGG-16 with fc6 and fc7 of 1,024 needs 2 GiB for it."""
VIDEO_TILE = 1536
"""The default for videos: frames of 1920x1080 are predicted whole."""
BATCH = 8
"""Default number of pictures in a batch."""


@dataclass(frozen=True)
class PredictorOptions:
    """The options that the commands on pictures and videos share.

    Raises:
        ValueError: the tile or the batch is not allowed.
    """

    model: str | None = None
    """As `fcn.prediction.named_model.find` takes it; None: the last row of the first table."""
    engine: str | None = None
    """A name in `fcn.serving.engines`; None: the fastest whose logits equal those of Keras."""
    tile: int = TILE
    """Side in pixels; images of more pixels than its square are predicted in tiles."""
    batch: int = BATCH
    """The most images of one size in a batch."""
    refine: bool = False
    """Whether to align the masks' edges with the image's (`fcn.inference.refine`)."""
    tracking: bool = True
    """Whether to look up in MLflow which run made the model."""

    def __post_init__(self) -> None:
        """Check tile and batch."""
        Tiling(self.tile)
        if self.batch < 1:
            raise ValueError(f"batch: got {self.batch}, allowed: 1 or more")
