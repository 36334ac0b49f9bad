"""The files that the evaluation servers of public benchmarks accept, named and packed for them.

A picture that is unreadable, or whose name is not the benchmark's, ends the command; no part of a
submission is written.

- voc2012 (host.robots.ox.ac.uk:8080, the development kit's section 5.3): `results/VOC2012/
  Segmentation/comp6_test_cls/ID.png`, class indices with the official palette; packed as .tar.gz.
  comp6 allows any training data, comp5 VOC's alone.
- cityscapes (cityscapesScripts, evalPixelLevelSemanticLabeling.py): `CITY_SEQ_FRAME*.png` of
  labelIds, not of the 19 train ids; packed as .zip.
- kitti_road (the road devkit's readme): `um_road_000000.png` and so on, the probability of road
  in 8 bits. The server requires them in bird's eye view: the devkit's
  simpleExample_transformTestResults2BEV.py converts them, with the test set's calibration.
"""

import io
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.common import files, messages
from fcn.datasets import cityscapes, kitti_road
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.voc import COLOURS
from fcn.pictures import photos
from fcn.pictures.provenance import encode_mask
from fcn.prediction import outputs, predictor
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predictor import Failure, Segmentation
from fcn.records.labels import Labels


@dataclass(frozen=True)
class Benchmark:
    """The format of one server's files."""

    picture: str
    """A pattern of its pictures' names, without the suffix."""
    file: Callable[[re.Match[str], str], str]
    """The path of a picture's file, from the match of its name and the competition."""
    encode: Callable[[Segmentation], bytes]
    packed: str
    """The archive's format, as `shutil.make_archive` names it."""


def _voc(segmentation: Segmentation) -> bytes:
    return encode_mask(segmentation.mask, COLOURS, {})


def _label_ids(segmentation: Segmentation) -> bytes:
    numbers = np.array([number for _, number, _ in cityscapes.TRAINED], np.uint8)
    return _grey(numbers[segmentation.mask])


def _road(segmentation: Segmentation) -> bytes:
    assert segmentation.probabilities is not None
    road = segmentation.probabilities[..., kitti_road.ROAD].astype(np.float32)
    return _grey(np.rint(255 * road).astype(np.uint8))


def _grey(pixels: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


BENCHMARKS = {
    "voc2012": Benchmark(
        r"\d{4}_\d{6}",
        lambda name, kind: f"results/VOC2012/Segmentation/{kind}_test_cls/{name[0]}.png",
        _voc,
        "gztar",
    ),
    "cityscapes": Benchmark(
        r"([a-z-]+_\d{6}_\d{6})(_leftImg8bit)?",
        lambda name, kind: f"{name[1]}_labelIds.png",
        _label_ids,
        "zip",
    ),
    "kitti_road": Benchmark(
        r"(umm|um|uu)_(\d{6})",
        lambda name, kind: f"{name[1]}_road_{name[2]}.png",
        _road,
        "zip",
    ),
}


def require_classes(name: str, labels: Labels) -> None:
    """Check that a model has the classes that the benchmark scores.

    Raises:
        ValueError: it has others.
    """
    scored, classes = catalogue.load(name).classes, labels.classes
    unnamed = labels.dataset == "unknown" and len(classes) == len(scored)
    if classes != scored and not unnamed:
        shown = [", ".join(names[:4]) for names in (classes, scored)]
        raise ValueError(
            f"the model was made for {labels.dataset}: {len(classes)} classes ({shown[0]}, …); "
            f"{name} scores {len(scored)} ({shown[1]}, …)"
        )


def paths(name: str, pictures: Sequence[str], competition: str) -> dict[str, str]:
    """Return the path of each picture's file in the submission.

    Raises:
        ValueError: a name is not the benchmark's, or two pictures have the same.
    """
    benchmark = BENCHMARKS[name]
    result: dict[str, str] = {}
    for picture in pictures:
        matched = re.fullmatch(benchmark.picture, Path(picture).stem)
        if matched is None:
            raise ValueError(f"{picture}: {name} names its pictures like {benchmark.picture}")
        result[picture] = benchmark.file(matched, competition)
    if len(set(result.values())) < len(result):
        raise ValueError("two of the pictures have the same name; give one folder of them")
    return result


def submission(
    name: str, pictures: Sequence[str], options: PredictorOptions, out: Path, competition: str
) -> None:
    """Write and pack the files of the benchmark `name` into the folder `out`.

    Raises:
        ValueError: the model or a picture is not the benchmark's, a picture is unreadable, or
            `out` holds other files.
    """
    benchmark = BENCHMARKS[name]
    names = list(photos.find(pictures))
    written = paths(name, names, competition)
    done: list[str] = []
    files.require_writable(out.parent)
    files.require_replaceable(out, ("files", *(f"{each}.*" for each in BENCHMARKS)))
    with (
        messages.interruptible(lambda: f"{len(done)} of {len(names)} done, nothing was written"),
        predictor.load(options, partial(require_classes, name)) as model,
        files.writing_folder(out) as folder,
    ):
        results = model.predict(names, probabilities=benchmark.encode is _road)
        for result in outputs.with_progress(results, len(names)):
            if isinstance(result, Failure):
                raise ValueError(f"{result.name}: {result.reason}; nothing was written")
            path = folder / "files" / written[result.name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(benchmark.encode(result))
            done.append(result.name)
        shutil.make_archive(str(folder / name), benchmark.packed, folder / "files")
    messages.say(f"{len(names)} picture(s) done; send the archive in {out}")
