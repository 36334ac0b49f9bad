"""Small drawings for the page: static SVG that takes its colours from the page's style."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 340, 180
LEFT, RIGHT, TOP, BOTTOM = 38, 34, 20, 24
"""Margins in pixels, for the axes' numbers."""
TICKS = 4


def curve(lines: Sequence[Mapping[str, float]], score: str = "val_mean_iou") -> Markup:
    """Return a training as SVG: its loss on the left axis, a score in percent on the right one.

    Args:
        lines: of each epoch `epoch`, `loss` and, where it was measured, the score as a fraction.
        score: its name.
    """
    highest = _round_up(max(line["loss"] for line in lines))
    last = max(lines[-1]["epoch"], 2)

    def place(epoch: float, part: float) -> tuple[float, float]:
        """Return the pixel of an epoch and a part of the height, counted from below."""
        across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * (epoch - 1) / (last - 1), TOP + up * (1 - part)

    loss = [place(line["epoch"], line["loss"] / highest) for line in lines]
    measured = [
        place(line["epoch"], line[score])
        for line in lines
        if math.isfinite(line.get(score, math.nan))
    ]
    parts = []
    for tick in range(TICKS + 1):
        part = tick / TICKS
        left, y = place(1, part)
        parts += [
            Markup('<line class="grid" x1="{:.1f}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                left, WIDTH - RIGHT, y, y
            ),
            _text(left - 5, y + 4, f"{highest * part:.3g}", "end"),
            _text(WIDTH - RIGHT + 5, y + 4, f"{100 * part:.0f}", "start"),
        ]
    for epoch in sorted({1, round((1 + last) / 2), round(last)}):
        parts.append(_text(place(epoch, 0)[0], HEIGHT - 8, str(epoch), "middle"))
    parts += [
        _line(loss, "loss"),
        _line(measured, "score"),
        _text(2, 11, "loss", "start", "loss"),
        _text(WIDTH - 2, 11, "validation mean IoU %", "end", "score"),
    ]
    first, final = lines[0], lines[-1]
    said = f"Loss {first['loss']:.3g} to {final['loss']:.3g} in {final['epoch']:.0f} epochs"
    if score in final:
        said += f", validation mean IoU {100 * first[score]:.1f} to {100 * final[score]:.1f} %"
    head = Markup('<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(WIDTH, HEIGHT, said) + Markup("").join(parts) + Markup("</svg>")


def _line(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Return points joined by lines; one alone is a dot."""
    if len(points) == 1:
        return Markup('<circle class="{0} dot" cx="{1:.1f}" cy="{2:.1f}" r="3"/>').format(
            kind, *points[0]
        )
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, told)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, text
    )


def _round_up(value: float) -> float:
    """Return the next number that begins with 1, 2, 4 or 8 and goes on with noughts."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 8, 10) if power * step >= value * (1 - 1e-9))
