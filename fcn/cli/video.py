"""Segment a video: the classes in colour, a legend below.

    fcn video drive.mp4 --model camvid-fcn8s --out drive-classes.mp4

Memory does not grow with the video's length. Each frame keeps its time stamp, so frame rate and
length are unchanged; the sound is copied without re-encoding. Frames have the orientation in which
players show them; the legend comes below.
"""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from fcn.prediction.options import VIDEO_TILE, Engine, Model, NoTracking, PredictorOptions, Tile


def video(
    film: Annotated[Path, Argument(help="Any video that FFmpeg reads.")],
    out: Annotated[Path, Option(help="The video to write (.mp4).")],
    model: Model = None,
    engine: Engine = None,
    tile: Tile = VIDEO_TILE,
    no_tracking: NoTracking = False,
) -> None:
    """Predict each frame and write the video."""
    options = PredictorOptions(model, engine, tile, no_tracking=no_tracking)
    from fcn.prediction import predictor
    from fcn.prediction import video as room

    room.require_paths(film, out)  # before Keras is imported
    with predictor.load(options) as network:
        room.write(film, out, network.masks, network.labels, network.provenance)
