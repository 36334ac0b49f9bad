"""Write the files that a benchmark's evaluation server accepts.

    fcn submit voc2012 VOC2012/JPEGImages --model voc2012-fcn8s
    fcn submit cityscapes 'leftImg8bit/test/*/*.png' --model cityscapes-fcn8s
    fcn submit kitti_road data_road/testing/image_2 --model kitti_road-fcn8s

Writes the files under the benchmark's names, and an archive of them to upload. An unreadable
picture, or one whose name is not the benchmark's, ends the command; no part of a submission is
written. KITTI's server requires a bird's eye view: convert the files with the road devkit's
simpleExample_transformTestResults2BEV.py and the test set's calibration.
"""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from fcn.prediction.options import Pictures, PredictorOptions

BenchmarkName = Literal["voc2012", "cityscapes", "kitti_road"]


def submit(
    benchmark: Annotated[BenchmarkName, Argument(help="The benchmark.")],
    pictures: Pictures,
    options: PredictorOptions,
    out: Annotated[Path, Option(help="Folder to write, replaced if it exists.")] = Path(
        "submission"
    ),
    competition: Annotated[
        Literal["comp5", "comp6"],
        Option(help="VOC's: comp5 allows its own training data only, comp6 any."),
    ] = "comp6",
) -> None:
    """Predict, write and pack."""
    from fcn.prediction.submission import submission

    submission(benchmark, pictures, options, out, competition)
