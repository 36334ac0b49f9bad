"""Arguments of the commands that run a network on pictures or videos, each described once."""

from typing import Annotated

from typer import Argument, Option

from fcn.inference.tiles import LEAST, STRIDE

Pictures = Annotated[
    list[str],
    Argument(metavar="PICTURE", help="Files, folders, patterns; - is standard input."),
]
Model = Annotated[
    str | None,
    Option(
        help="A file (model.keras), a row of a table (digits-fcn8s) or models:/NAME@ALIAS in "
        "MLflow's registry. Default: the last row of the first active table."
    ),
]
Tile = Annotated[
    int,
    Option(
        help="Side in pixels, a multiple of "
        f"{STRIDE} from {LEAST}: larger images are predicted in overlapping tiles."
    ),
]
Batch = Annotated[int, Option(help="The most pictures of one size in a batch.")]
Refine = Annotated[
    bool, Option("--refine", help="Align the masks' edges with the picture's (guided filter).")
]
Engine = Annotated[
    str | None,
    Option(
        help="What runs the network: keras, tensorflow, tensorflow-bfloat16 or onnx. "
        "Default: the fastest whose results equal those of Keras."
    ),
]
NoTracking = Annotated[
    bool, Option("--no-tracking", help="Do not look up in MLflow which run made the model.")
]
