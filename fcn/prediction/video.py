"""A video with the classes in colour, and a legend below.

Memory does not grow with the video's length. Each frame keeps its time stamp, so frame rate and
length are unchanged; the sound is copied without re-encoding. Frames have the orientation in which
players show them.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.stream import Disposition

from fcn.common import files, messages
from fcn.common.text import nearest_path
from fcn.pictures import overlay
from fcn.records.labels import Labels

PIXELS = 2**20
"""The most pixels of a batch of frames; VGG-16 needs 1 GB for so many."""
QUALITY = {"crf": "20"}
"""x264's constant rate factor, 0 (lossless) to 51; its default is 23."""
BT709, LIMITED = 1, 1
"""FFmpeg's numbers for the colour space of HD television and for the range 16..235."""
Segment = Callable[[np.ndarray], np.ndarray]
"""Images uint8 B H W C -> masks uint8 B H W."""


def require_paths(source: Path, out: Path) -> None:
    """Check that there is a video to read, and that `out` can be the name of another one.

    Raises:
        ValueError: `source` does not exist; `out` is not `.mp4`, or is `source` itself.
    """
    if not source.exists():
        raise ValueError(f"there is no video {source}{nearest_path(source)}")
    if out.suffix.lower() != ".mp4":
        raise ValueError(f"{out}: videos are written as MP4; name it {out.with_suffix('.mp4')}")
    if out.resolve() == source.resolve():
        raise ValueError(f"{out} is the video to read; write to another file")


def write(
    source: Path,
    out: Path,
    segment: Segment,
    labels: Labels,
    facts: Mapping[str, str] | None = None,
) -> int:
    """Write the video `source` with each frame's mask over it; return the number of frames.

    Args:
        source: any video that FFmpeg reads.
        out: the MP4 file (H.264, sound as in `source`); it appears when it is complete.
        segment: predicts masks.
        labels: the classes, and the number of channels that `segment` takes.
        facts: the provenance, written as the video's comment.

    Raises:
        ValueError: as `require_paths`; `source` is no video or damaged.
        OSError: `source` cannot be read or `out` cannot be written.
    """
    require_paths(source, out)
    painted, frames = 0, "?"
    try:
        with _opened(source) as film:
            picture = _picture(film, source)
            first, frames = next(film.decode(picture), None), str(picture.frames or "?")
        if first is None:
            raise ValueError(f"{source} cannot be read: it has no frames")
        with (
            messages.interruptible(
                lambda: f"{painted} of {frames} frames done, nothing was written"
            ),
            _opened(source) as film,
            files.writing(out) as aside,
            av.open(aside, "w") as made,
        ):
            comment = (f"{name}: {fact}" for name, fact in (facts or {}).items())
            made.metadata["comment"] = ", ".join(comment)
            picture = _picture(film, source)
            painter = _Painter(made, picture, first, segment, labels)
            sound = _sound(film, made)
            for packet in film.demux(picture, *(film.streams[index] for index in sound)):
                if packet.is_corrupt:
                    raise ValueError(f"{source} is damaged after {painted} frames: it is cut off")
                if packet.stream.index in sound:
                    if packet.dts is not None:  # None marks the end of the stream.
                        packet.stream = sound[packet.stream.index]
                        made.mux(packet)
                    continue
                for frame in packet.decode():
                    painted += painter.take(frame)
                    messages.say(f"{painted} of {frames} frames", last=False)
            painted += painter.finish()
    except av.error.InvalidDataError as error:
        where = f"is damaged after {painted} frames" if painted else "cannot be read as a video"
        raise ValueError(f"{source} {where}: {error.strerror}") from None
    messages.say(f"{out}: {painted} frames, {'with sound' if sound else 'no sound'}")
    return painted


def _opened(source: Path) -> Any:
    if source.is_file() and not source.stat().st_size:
        raise ValueError(f"{source} cannot be read as a video: it is empty")
    return av.open(source)


def _picture(film: Any, source: Path) -> Any:
    """Return the first video stream that is not the cover of a song."""
    moving = [s for s in film.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        kinds = ", ".join(stream.type for stream in film.streams) or "nothing"
        raise ValueError(f"{source} has no video stream; it holds {kinds}")
    # Players show the first stream. AUTO decodes with as many threads as there are cores.
    moving[0].thread_type = "AUTO"
    return moving[0]


def _sound(film: Any, made: Any) -> dict[int, Any]:
    """Return the stream to copy to, by the index of each audio stream."""
    copies = {}
    for stream in film.streams.audio:
        try:
            copies[stream.index] = made.add_stream_from_template(stream)
        except ValueError:
            name = stream.codec_context.name
            messages.say(f"warning: the sound ({name}) is not allowed in an MP4 and is left out")
    return copies


class _Painter:
    """Predicts frames in batches and writes them with their masks and the legend."""

    def __init__(
        self, made: Any, picture: Any, first: Any, segment: Segment, labels: Labels
    ) -> None:
        self.made, self.segment, self.labels = made, segment, labels
        self.size = {"width": first.width, "height": first.height}
        height, width = self._upright(first).shape[:2]
        self.batch = max(1, PIXELS // (height * width))
        self.legend = np.asarray(overlay.draw_legend(np.arange(len(labels.classes)), labels, width))
        self.waiting: list[tuple[Any, np.ndarray]] = []
        rate = picture.guessed_rate or Fraction(25)
        self.step = max(1, round(1 / rate / picture.time_base))
        self.last = -self.step
        stream = made.add_stream("libx264", rate=rate, options=QUALITY)
        stream.time_base = stream.codec_context.time_base = picture.time_base
        # H.264 stores one colour for 2x2 pixels, so both sides must be even.
        stream.width = width + width % 2
        stream.height = height + self.legend.shape[0]
        stream.height += stream.height % 2
        stream.pix_fmt = "yuv420p"
        # Players restore the colours only if the tags are those of the source.
        ours, theirs = stream.codec_context, picture.codec_context
        ours.colorspace, ours.color_range = theirs.colorspace, LIMITED
        ours.color_primaries, ours.color_trc = theirs.color_primaries, theirs.color_trc
        self.space = "ITU709" if theirs.colorspace == BT709 else "ITU601"
        self.stream = stream

    def take(self, frame: Any) -> int:
        """Add a frame to the batch; return the number of frames written."""
        self.waiting.append((frame, self._upright(frame)))
        return self._write() if len(self.waiting) == self.batch else 0

    def finish(self) -> int:
        """Write the last batch; return its number of frames."""
        written = self._write() if self.waiting else 0
        self.made.mux(self.stream.encode(None))
        return written

    def _upright(self, frame: Any) -> np.ndarray:
        """Return a frame uint8 H W 3 in display orientation; telephones store it rotated."""
        pixels = frame.to_ndarray(format="rgb24", **self.size)
        return np.rot90(pixels, frame.rotation // 90)

    def _write(self) -> int:
        images = np.stack([image for _, image in self.waiting])
        for (frame, image), mask in zip(
            self.waiting, self.segment(self._inputs(images)), strict=True
        ):
            picture = np.vstack([overlay.blend(image, mask, self.labels), self.legend])
            right, below = (
                self.stream.width - picture.shape[1],
                self.stream.height - picture.shape[0],
            )
            even = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
            painted = av.VideoFrame.from_ndarray(even.astype(np.uint8, copy=False), "rgb24")
            painted = painted.reformat(format="yuv420p", dst_colorspace=self.space)
            painted.pts, painted.time_base = self._time(frame), frame.time_base
            self.made.mux(self.stream.encode(painted))
        written = len(self.waiting)
        self.waiting = []
        return written

    def _time(self, frame: Any) -> int:
        """Return a frame's time stamp, later than the last; old containers lack or repeat some."""
        time = self.last + self.step if frame.pts is None else frame.pts
        self.last = max(time, self.last + 1) if self.last >= 0 else time
        return self.last

    def _inputs(self, images: np.ndarray) -> np.ndarray:
        """Return images B H W 3 with as many channels as the network takes."""
        if self.labels.channels == 3:
            return images
        return np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] for image in images])
