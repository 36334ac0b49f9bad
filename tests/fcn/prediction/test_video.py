import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from fcn.cli import video as command
from fcn.inference import tiles
from fcn.prediction import video
from fcn.records.labels import Labels
from fcn.settings.network import Network
from tests import toy

LABELS = Labels("toy", ("background", "dark", "bright"), ((0, 0, 0), (200, 0, 0), (0, 0, 200)), 3)
TIMES = (0, 40, 80, 100, 180, 220, 260, 300, 340, 380)
"""Of the frames, in milliseconds: not all as long as one another."""


def segment(images: np.ndarray) -> np.ndarray:
    """The left third is background, the middle dark, the right bright."""
    masks = np.zeros(images.shape[:3], np.uint8)
    third = images.shape[2] // 3
    masks[:, :, third:], masks[:, :, 2 * third :] = 1, 2
    return masks


def clip(
    path: Path,
    *,
    size: tuple[int, int] = (48, 64),
    times: tuple[int, ...] = TIMES,
    sound: str | None = "aac",
    pictures: bool = True,
    turned: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video; its top is bright and its bottom dark, so that its orientation is visible."""
    with av.open(path, "w", options=options or {}) as made:
        streams = []
        if pictures:
            film = made.add_stream("libx264", rate=25, options={"g": "4"})
            film.height, film.width, film.pix_fmt = *size, "yuv420p"
            film.time_base = film.codec_context.time_base = Fraction(1, 1000)
            if turned:
                film.set_display_rotation(turned)
            streams.append((film, _frames(size, times)))
        if sound:
            streams.append((made.add_stream(sound, rate=16000, layout="mono"), _tone()))
        for stream, frames in streams:
            for frame in (*frames, None):
                made.mux(stream.encode(frame))
    return path


def _frames(size: tuple[int, int], times: tuple[int, ...]) -> list[Any]:
    frames = []
    for number, time in enumerate(times):
        pixels = np.full((*size, 3), 40 + number % 40, np.uint8)
        pixels[: size[0] // 2] = 200
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        frame.pts, frame.time_base = time, Fraction(1, 1000)
        frames.append(frame)
    return frames


def _tone() -> list[Any]:
    samples = (np.sin(np.arange(6400) / 5) * 9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.sample_rate, frame.pts = 16000, 0
    return [frame]


def times(path: Path) -> list[float]:
    with av.open(path) as film:
        return [float(frame.time) for frame in film.decode(video=0)]


def packets(path: Path) -> list[bytes]:
    with av.open(path) as film:
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]


def pixels(path: Path) -> np.ndarray:
    with av.open(path) as film:
        return next(film.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def test_frames_keep_their_time_stamps_and_the_sound_its_bytes(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    out = tmp_path / "out.mp4"
    assert video.write(source, out, segment, LABELS, {"Model": "toy"}) == len(TIMES)
    assert times(out) == pytest.approx(times(source), abs=1e-3)
    assert packets(out) == packets(source)
    with av.open(out) as film:
        assert film.metadata["comment"] == "Model: toy"


def test_the_classes_are_over_the_picture_and_the_legend_is_below(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", size=(48, 192), sound=None)
    video.write(source, tmp_path / "out.mp4", segment, LABELS)
    before, after = pixels(source), pixels(tmp_path / "out.mp4")
    assert after.shape == (48 + 2 * 16, 192, 3)
    # Compressed twice: colours are near, edges are not looked at.
    background = (slice(0, 40), slice(8, 56))
    assert np.abs(after[background] - before[background]).mean() < 3
    for left, colour in ((72, LABELS.colours[1]), (136, LABELS.colours[2])):
        area = (slice(4, 20), slice(left, left + 48))
        assert np.abs(after[area] - (before[area] + colour) // 2).mean() < 12
    legend = after[48:]
    assert (legend > 200).all(axis=2).mean() > 0.5
    assert (legend < 90).all(axis=2).any()


def test_odd_sides_and_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip(tmp_path / "in.mp4", size=(90, 130), sound=None)
    turned = clip(tmp_path / "turned.mp4", size=(90, 130), sound=None, turned=90)
    monkeypatch.setattr(video, "PIXELS", 90 * 130 * 3)
    seen: list[tuple[int, ...]] = []

    def remember(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return segment(images)

    for path, shape in ((source, (90, 130, 3)), (turned, (130, 90, 3))):
        seen.clear()
        assert video.write(path, tmp_path / "out.mp4", remember, LABELS) == len(TIMES)
        assert seen == [(3, *shape), (3, *shape), (3, *shape), (1, *shape)]
        height, width, _ = pixels(tmp_path / "out.mp4").shape
        assert width == shape[1]
        assert height % 2 == 0


@pytest.mark.parametrize(("turned", "bright"), [(90, "left"), (180, "bottom"), (270, "right")])
def test_a_rotated_telephone_video_is_upright(turned: int, bright: str, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", size=(64, 64), sound=None, turned=turned)
    shown: list[np.ndarray] = []

    def remember(images: np.ndarray) -> np.ndarray:
        shown.append(images[0])
        return segment(images)

    video.write(source, tmp_path / "out.mp4", remember, LABELS)
    halves = {"left": shown[0][:, :32], "right": shown[0][:, 32:], "bottom": shown[0][32:]}
    assert halves[bright].mean() > 190  # display rotations are counter-clockwise


def test_grey_networks_get_grey_images(tmp_path: Path) -> None:
    grey = Labels("toy", LABELS.classes, LABELS.colours, 1)
    seen: list[tuple[int, ...]] = []

    def remember(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return segment(images)

    video.write(clip(tmp_path / "in.mp4"), tmp_path / "out.mp4", remember, grey)
    assert seen == [(10, 48, 64, 1)]


def test_sound_that_mp4_does_not_allow_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = clip(tmp_path / "in.avi", sound="pcm_mulaw", times=tuple(range(0, 400, 40)))
    assert video.write(source, tmp_path / "out.mp4", segment, LABELS) == 10
    assert (
        "the sound (pcm_mulaw) is not allowed in an MP4 and is left out" in capsys.readouterr().err
    )
    # FFmpeg gives the last two frames of such an AVI the same time.
    shown = times(tmp_path / "out.mp4")
    assert len(set(shown)) == 10
    assert shown == sorted(shown)


def noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def without_end(path: Path) -> Path:
    """The table of contents stands at the end, so nothing can be read."""
    whole = clip(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def without_rest(path: Path) -> Path:
    """The table of contents stands in front, so the beginning can be read."""
    whole = clip(path, options={"movflags": "faststart"}).read_bytes()
    path.write_bytes(whole[: len(whole) - 500])
    return path


def only_sound(path: Path) -> Path:
    return clip(path, pictures=False)


def no_frame(path: Path) -> Path:
    return clip(path, times=())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (noise, "cannot be read as a video"),
        (empty, "cannot be read as a video: it is empty"),
        (without_end, "cannot be read as a video"),
        (without_rest, r"is damaged after \d+ frames"),
        (only_sound, "has no video stream; it holds audio"),
        (no_frame, "has no (video stream|frames)|cannot be read"),
    ],
)
def test_a_damaged_video_is_named_and_no_file_is_left(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    source = make(tmp_path / "in.mp4")
    with pytest.raises(ValueError, match=rf"{re.escape(str(source))}.*({message})"):
        video.write(source, tmp_path / "out.mp4", segment, LABELS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


def test_a_missing_video_and_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    with pytest.raises(ValueError, match=r"no video .*/inn\.mp4; did you mean '.*/in\.mp4'\?"):
        video.write(tmp_path / "inn.mp4", tmp_path / "out.mp4", segment, LABELS)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        video.write(source, tmp_path / "file" / "out.mp4", segment, LABELS)


def test_the_output_is_another_mp4(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    whole = source.read_bytes()
    with pytest.raises(
        ValueError, match=r"out\.avi: videos are written as MP4; name it .*out\.mp4"
    ):
        video.write(source, tmp_path / "out.avi", segment, LABELS)
    with pytest.raises(ValueError, match="is the video to read"):
        video.write(source, tmp_path / "." / "in.mp4", segment, LABELS)
    assert source.read_bytes() == whole


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    frames = 300
    source = clip(tmp_path / "in.mp4", size=(240, 320), times=tuple(range(0, 40 * frames, 40)))
    process, held = psutil.Process(os.getpid()), []

    def remember(images: np.ndarray) -> np.ndarray:
        held.append(process.memory_info().rss)
        return segment(images)

    video.write(source, tmp_path / "out.mp4", remember, LABELS)
    later = held[len(held) // 3 :]  # by then x264's look-ahead is full
    # All frames from there on would be 46 MB, each three times.
    assert max(later) - later[0] < 30e6


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("size", [(48, 64), (tiles.LEAST, tiles.LEAST + 16)])  # whole, in tiles
def test_the_command_writes_the_models_masks_over_the_frames(
    size: tuple[int, int], tiny: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fcn.network import model_file

    model_file.save(toy.network(tiny, 1, 3, "fcn32s"), tmp_path / "toy.keras")
    source, out = clip(tmp_path / "in.mp4", size=size, times=TIMES[:4]), tmp_path / "out.mp4"
    command.video(source, out, model=str(tmp_path / "toy.keras"), tile=tiles.LEAST)
    assert times(out) == pytest.approx(times(source), abs=1e-3)
    with av.open(out) as film:
        assert f"Model: {tmp_path / 'toy.keras'}" in film.metadata["comment"]
