"""Draw training curves for the page as static SVG; the page's style sheet colours them."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 340, 180
LEFT, RIGHT, TOP, BOTTOM = 38, 34, 20, 24
"""Margins in pixels, for the axes' numbers."""
TICKS = 4


def draw_curve(lines: Sequence[Mapping[str, float]], score: str = "val_mean_iou") -> Markup:
    """Return a training as SVG: its loss on the left axis, a score in percent on the right one.

    Args:
        lines: one per epoch: `epoch`, `loss` and, if it was measured, the score as a fraction.
        score: its name.
    """
    highest = _round_up(max(line["loss"] for line in lines))
    last = max(lines[-1]["epoch"], 2)

    def to_pixel(epoch: float, fraction: float) -> tuple[float, float]:
        """Return x and y of an epoch and a fraction of the height from below."""
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + width * (epoch - 1) / (last - 1), TOP + height * (1 - fraction)

    loss = [to_pixel(line["epoch"], line["loss"] / highest) for line in lines]
    scores = [
        to_pixel(line["epoch"], line[score])
        for line in lines
        if math.isfinite(line.get(score, math.nan))
    ]
    parts = []
    for tick in range(TICKS + 1):
        fraction = tick / TICKS
        left, y = to_pixel(1, fraction)
        parts += [
            Markup('<line class="grid" x1="{:.1f}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                left, WIDTH - RIGHT, y, y
            ),
            _text(left - 5, y + 4, f"{highest * fraction:.3g}", "end"),
            _text(WIDTH - RIGHT + 5, y + 4, f"{100 * fraction:.0f}", "start"),
        ]
    for epoch in sorted({1, round((1 + last) / 2), round(last)}):
        parts.append(_text(to_pixel(epoch, 0)[0], HEIGHT - 8, str(epoch), "middle"))
    parts += [
        _polyline(loss, "loss"),
        _polyline(scores, "score"),
        _text(2, 11, "loss", "start", "loss"),
        _text(WIDTH - 2, 11, "validation mean IoU %", "end", "score"),
    ]
    head = Markup('<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    label = _describe(lines[0], lines[-1], score)
    return head.format(WIDTH, HEIGHT, label) + Markup("").join(parts) + Markup("</svg>")


def _describe(first: Mapping[str, float], last: Mapping[str, float], score: str) -> str:
    """Return the curve in words, for screen readers."""
    text = f"Loss {first['loss']:.3g} to {last['loss']:.3g} in {last['epoch']:.0f} epochs"
    if score in last:
        text += f", validation mean IoU {100 * first[score]:.1f} to {100 * last[score]:.1f} %"
    return text


def _polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Return points joined by lines; a single point is a dot."""
    if len(points) == 1:
        return Markup('<circle class="{0} dot" cx="{1:.1f}" cy="{2:.1f}" r="3"/>').format(
            kind, *points[0]
        )
    coordinates = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, coordinates)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, text
    )


def _round_up(value: float) -> float:
    """Return the next number with the single digit 1, 2, 4 or 8 before or after zeros."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 8, 10) if power * step >= value * (1 - 1e-9))
