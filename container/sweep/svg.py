"""Plots as inline SVG: lines over two axes, and bars. No script, no font and no file from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 14, 46
COLOURS = ("#1f6fb2", "#d1571b", "#2a8c4a", "#8a4fa3", "#b8323f", "#6b6b6b", "#b59a16", "#1898a8")
TICKS = 5


@dataclass(frozen=True)
class Point:
    """A point of a line, and what is said of it under the pointer."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Axis:
    """An axis: its label, and the largest value."""

    label: str
    most: float

    @property
    def step(self) -> float:
        """Between two ticks: 1, 2 or 5 times a power of ten."""
        raw = max(self.most, 1e-9) / TICKS
        power = 10.0 ** math.floor(math.log10(raw))
        return next(power * nice for nice in (1, 2, 5, 10) if power * nice >= raw)

    @property
    def end(self) -> float:
        """The value at its end."""
        return self.step * max(1, math.ceil(self.most / self.step))

    @property
    def ticks(self) -> list[float]:
        """Where it is labelled."""
        return [self.step * number for number in range(round(self.end / self.step) + 1)]


def lines(series: Mapping[str, Sequence[Point]], x_label: str, y_label: str) -> str:
    """A line with dots for each series, with a legend."""
    points = [point for several in series.values() for point in several]
    x, y = Axis(x_label, max(p.x for p in points)), Axis(y_label, max(p.y for p in points))
    parts = [_frame(x, y)]
    for number, (name, several) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(_across(x, p.x), _up(y, p.y)) for p in several]
        way = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for (a, b), point in zip(places, several, strict=True):
            title = f"<title>{escape(name)}: {escape(point.title)}</title>"
            parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}">{title}</circle>')
    return _whole(parts, HEIGHT) + _legend(list(series))


def bars(groups: Mapping[str, Sequence[float]], names: Sequence[str], label: str) -> str:
    """A group of bars side by side for each label; `names` are of the bars of a group."""
    axis = Axis(label, max((value for values in groups.values() for value in values), default=1.0))
    height = 24 + 18 * len(groups) * len(names) + 8 * len(groups) + BOTTOM
    left = 230
    room = WIDTH - left - RIGHT
    parts = []
    for tick in axis.ticks:
        at = left + room * tick / axis.end
        parts.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{height - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{_number(tick)}</text>')
    parts.append(f'<text x="{left + room / 2}" y="{height - 8}" text-anchor="middle">{escape(label)}</text>')
    y = TOP + 4
    for group, values in groups.items():
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(group)}</text>')
        for number, value in enumerate(values):
            long = max(0.5, room * value / axis.end)
            title = f"<title>{escape(group)}, {escape(names[number])}: {_number(value)}</title>"
            parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="15" fill="{COLOURS[number]}">{title}</rect>')
            y += 18
        y += 8
    return _whole(parts, height) + (_legend(names) if len(names) > 1 else "")


def _frame(x: Axis, y: Axis) -> str:
    parts = []
    for tick in y.ticks:
        at = _up(y, tick)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    for tick in x.ticks:
        at = _across(x, tick)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_number(tick)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>')
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y.label)}</text>')
    return "".join(parts)


def _across(axis: Axis, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / axis.end


def _up(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / axis.end


def _whole(parts: Sequence[str], height: int) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">{"".join(parts)}</svg>'


def _legend(names: Sequence[str]) -> str:
    items = (
        f'<span><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(items)}</p>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
