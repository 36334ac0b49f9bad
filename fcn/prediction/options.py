"""Which model predicts, and how: the options that the commands on pictures and videos share.

Each is described once, for the command line too. Nothing heavy is imported, so that `--help` is
fast.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from typer import Argument, Option

from fcn.inference.tiles import LEAST, STRIDE, Tiling

TILE = 1024
"""Default side of a tile in pixels: VGG-16 with fc6 and fc7 of 1,024 needs 2 GiB for it."""
VIDEO_TILE = 1536
"""The default for videos: frames of 1920x1080 are predicted whole."""

Pictures = Annotated[
    list[str],
    Argument(
        metavar="PICTURE",
        help="Files, folders (without their sub folders), patterns; - is standard input.",
    ),
]
Model = Annotated[
    str | None,
    Option(
        help="A file (.keras, or .onnx of `fcn export`), a row of a table (digits-fcn8s) or "
        "models:/NAME@ALIAS in MLflow's registry. Default: the last row of the first active table, "
        "outside a project the model that ships with fcn."
    ),
]
EngineName = Literal["keras", "tensorflow", "tensorflow-bfloat16", "onnx"]
"""The keys of `fcn.serving.engines.ENGINES`, known without Keras; a test compares the two."""
Engine = Annotated[
    EngineName | None,
    Option(help="What runs the network. Default: the fastest whose results equal those of Keras."),
]
Tile = Annotated[
    int,
    Option(
        help=f"Side in pixels, a multiple of {STRIDE} from {LEAST}: images of more pixels than its "
        "square are predicted in overlapping tiles."
    ),
]
NoTracking = Annotated[
    bool, Option("--no-tracking", help="Do not look up in MLflow which run made the model.")
]


@dataclass(frozen=True)
class PredictorOptions:
    """The options of a predictor.

    Raises:
        ValueError: the tile or the batch is not allowed.
    """

    model: Model = None
    engine: Engine = None
    tile: Tile = TILE
    batch: Annotated[int, Option(help="The most pictures of one size in a batch.")] = 8
    refine: Annotated[
        bool, Option("--refine", help="Align the masks' edges with the picture's (guided filter).")
    ] = False
    no_tracking: NoTracking = False

    def __post_init__(self) -> None:
        """Check tile and batch."""
        Tiling(self.tile)
        if self.batch < 1:
            raise ValueError(f"batch: got {self.batch}, allowed: 1 or more")
