"""The files that a public benchmark's server takes, under its names, and packed.

    python -m fcn submit voc2012 VOC2012/JPEGImages --model voc2012-fcn8s
    python -m fcn submit cityscapes 'leftImg8bit/test/*/*.png' --model cityscapes-fcn8s
    python -m fcn submit kitti_road data_road/testing/image_2 --model kitti_road-fcn8s

Nothing is written in part: a picture that cannot be read, or whose name is not the benchmark's,
ends it.

- voc2012 (host.robots.ox.ac.uk:8080, the development kit's section 5.3): `results/VOC2012/
  Segmentation/comp6_test_cls/ID.png`, class indices with the official palette; packed as .tar.gz.
  comp6 is for training on any data; `--competition comp5` for VOC's alone.
- cityscapes (cityscapesScripts, evalPixelLevelSemanticLabeling.py): `CITY_SEQ_FRAME*.png` of
  labelIds, not of the 19 train ids; packed as .zip.
- kitti_road (the road devkit's readme): `um_road_000000.png` and so on, 8 bits, how sure the
  network is of road. The server wants them in bird's eye view: the devkit's
  simpleExample_transformTestResults2BEV.py makes that of these, with the test set's calibration.
"""

import argparse
import io
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.common import files, messages
from fcn.datasets import cityscapes, kitti_road
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.voc import COLOURS
from fcn.pictures import photos
from fcn.pictures.provenance import mask_png
from fcn.prediction import answering
from fcn.prediction.answering import Answer, Skipped
from fcn.records.record import Labels


@dataclass(frozen=True)
class Benchmark:
    """How one server wants its files."""

    picture: str
    """The names of its pictures, without the ending."""
    file: Callable[[re.Match[str], str], str]
    """The file's place for a picture's name and the competition."""
    encode: Callable[[Answer], bytes]
    packed: str
    """As `shutil.make_archive` names the format."""


def _voc(answer: Answer) -> bytes:
    return mask_png(answer.mask, COLOURS, {})


def _label_ids(answer: Answer) -> bytes:
    numbers = np.array([number for _, number, _ in cityscapes.TRAINED], np.uint8)
    return _grey(numbers[answer.mask])


def _road(answer: Answer) -> bytes:
    assert answer.probabilities is not None
    sure = answer.probabilities[..., kitti_road.ROAD].astype(np.float32)
    return _grey(np.rint(255 * sure).astype(np.uint8))


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
    """Check that a model tells apart what the benchmark scores.

    Raises:
        ValueError: it does not.
    """
    wanted, known = catalogue.load(name).classes, labels.classes
    numbered = labels.dataset == "unknown" and len(known) == len(wanted)
    if known != wanted and not numbered:
        shown = [", ".join(names[:4]) for names in (known, wanted)]
        raise ValueError(
            f"the model was made for {labels.dataset}: {len(known)} classes ({shown[0]}, …); "
            f"{name} scores {len(wanted)} ({shown[1]}, …)"
        )


def places(name: str, pictures: Sequence[str], competition: str) -> dict[str, str]:
    """Return each picture's place among the files of the benchmark.

    Raises:
        ValueError: a name is not the benchmark's, or two pictures have the same.
    """
    benchmark = BENCHMARKS[name]
    found: dict[str, str] = {}
    for picture in pictures:
        matched = re.fullmatch(benchmark.picture, Path(picture).stem)
        if matched is None:
            raise ValueError(f"{picture}: {name} names its pictures like {benchmark.picture}")
        found[picture] = benchmark.file(matched, competition)
    if len(set(found.values())) < len(found):
        raise ValueError("two of the pictures have the same name; give one folder of them")
    return found


def main(arguments: Sequence[str]) -> int:
    """Read the command line, answer, write and pack; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fcn submit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", choices=BENCHMARKS)
    answering.add_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("submission"), help="a folder, replaced (%(default)s)"
    )
    parser.add_argument(
        "--competition", choices=("comp5", "comp6"), default="comp6", help="VOC's (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    benchmark = BENCHMARKS[chosen.benchmark]
    found = photos.find(chosen.pictures)
    where = places(chosen.benchmark, found, chosen.competition)
    files.require_writable(chosen.out.parent)
    _require_ours(chosen.out)
    with answering.opened(chosen) as model, files.writing_folder(chosen.out) as folder:
        require_classes(chosen.benchmark, model.labels)
        surely = benchmark.encode is _road
        answers = answering.answers(model, found, chosen.tile, chosen.batch, surely)
        for number, one in enumerate(answers, start=1):
            messages.say(f"{number} of {len(found)}: {one.name}", last=False)
            if isinstance(one, Skipped):
                raise ValueError(f"{one.name}: {one.reason}; nothing was written")
            path = folder / "files" / where[one.name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(benchmark.encode(one))
        shutil.make_archive(str(folder / chosen.benchmark), benchmark.packed, folder / "files")
    messages.say(f"{len(found)} picture(s) done; send the archive in {chosen.out}")
    return 0


def _require_ours(folder: Path) -> None:
    """Refuse to replace a folder that holds something else than a submission."""
    others = {path.name.partition(".")[0] for path in folder.glob("*")} - {"files", *BENCHMARKS}
    if folder.is_file() or others:
        raise ValueError(f"{folder} holds other things; name an empty or new folder with --out")
