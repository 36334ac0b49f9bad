"""The commands on pictures and videos, as processes that Ctrl-C or SIGTERM ends in the middle."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from fcn.datasets.shared import catalogue
from fcn.records.labels import Labels
from tests import interrupts
from tests.conftest import ROOT

WAITING = """
import signal, sys
from fcn.__main__ import main
from fcn.common import messages

say, awaited = messages.say, sys.argv.pop(1)
if sys.argv[1] == "video":
    from fcn.prediction import video
    video.PIXELS = 1  # a batch has one frame

def say_and_wait(text, *, last=True):
    say(text, last=last)
    if text.startswith(awaited):
        print("in the middle", flush=True)
        signal.pause()

messages.say = say_and_wait
main()
"""
"""The command, which waits for a signal once it has shown a certain progress."""
PICTURES, FRAMES = 21, 12


@pytest.fixture(scope="session")
def model(bright_model: Callable[[Labels], Path]) -> Path:
    """A model of KITTI road's classes, for which a submission can be written."""
    dataset = catalogue.load("kitti_road")
    return bright_model(Labels(dataset.name, dataset.classes, dataset.colours, dataset.channels))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(PICTURES):
        Image.new("RGB", (40, 30), "white").save(folder / f"um_{number:06}.png")
    return folder


def interrupt(
    model: Path, awaited: str, *command: str, sent: signal.Signals = signal.SIGINT
) -> tuple[int, str]:
    """Send a command a signal when it shows the awaited progress; return its code and stderr."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, awaited, *command, "--model", str(model), "--no-tracking"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interrupts.heed,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(sent)
        _, shown = process.communicate(timeout=300)
    return process.returncode, shown.partition("\n")[2]  # The first line names the model.


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_predict_keeps_the_complete_files_of_the_pictures_that_are_done(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["predict", str(inbox), "--out", str(out), "--report", str(tmp_path / "report")]
    ended = interrupt(model, f"4 of {PICTURES}", *command, sent=signal.SIGTERM)
    assert ended == (143, f"interrupted; 3 of {PICTURES} done\n")
    ends = ("-mask.png", "-overlay.png", ".json")
    assert names(out) == sorted(f"um_{n:06}{end}" for n in range(3) for end in ends)
    assert names(tmp_path) == ["in", "out"]


def test_sticker_keeps_the_stickers_that_are_done(model: Path, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = interrupt(model, f"4 of {PICTURES}", "sticker", "road", str(inbox), "--out", str(out))
    assert ended == (130, f"interrupted; 3 of {PICTURES} done\n")
    ends = ("-road.png", "-road.webp")
    assert names(out) == sorted(f"um_{n:06}{end}" for n in range(3) for end in ends)


def test_submit_writes_nothing(model: Path, inbox: Path, tmp_path: Path) -> None:
    command = ["submit", "kitti_road", str(inbox), "--out", str(tmp_path / "out")]
    ended = interrupt(model, f"4 of {PICTURES}", *command)
    assert ended == (130, f"interrupted; 3 of {PICTURES} done, nothing was written\n")
    assert names(tmp_path) == ["in"]


def test_video_writes_nothing(model: Path, tmp_path: Path) -> None:
    with av.open(tmp_path / "film.mp4", "w") as film:
        stream = film.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 80, 100, "yuv420p"
        for number in range(FRAMES):
            pixels = np.full((80, 100, 3), 20 * number, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        film.mux(stream.encode(None))
    command = ["video", str(tmp_path / "film.mp4"), "--out", str(tmp_path / "out.mp4")]
    ended = interrupt(model, f"3 of {FRAMES} frames", *command)
    assert ended == (130, f"interrupted; 3 of {FRAMES} frames done, nothing was written\n")
    assert names(tmp_path) == ["film.mp4"]
