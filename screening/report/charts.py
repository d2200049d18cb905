"""Line charts as plain SVG geometry: points in a fixed box, gaps where there is no value, n below."""

from collections.abc import Sequence
from math import floor, log10

import msgspec

HEIGHT = 250
_LEFT, _RIGHT, _TOP, _BOTTOM, _STRIP = 52, 14, 14, 76, 30
_PER_LABEL = 75
_FEW = 10


class Tick(msgspec.Struct, frozen=True):
    """A labelled place on an axis."""

    at: float
    label: str


class Point(msgspec.Struct, frozen=True):
    """A value of a series, with what a reader sees when pointing at it."""

    x: float
    y: float
    title: str


class Series(msgspec.Struct, frozen=True):
    """One line: its points, and `paths` of SVG between gaps."""

    name: str
    points: tuple[Point, ...]
    paths: tuple[str, ...]


class Chart(msgspec.Struct, frozen=True):
    """A chart to draw. `bands` are polygons of intervals, `columns` (x, y, width, height) the n of each place, `limit` a line."""

    width: int
    series: tuple[Series, ...]
    bands: tuple[str, ...]
    columns: tuple[tuple[float, float, float, float], ...]
    most: int
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    limit: Tick | None
    left: int = _LEFT
    base: int = HEIGHT - _BOTTOM
    strip: int = HEIGHT - _BOTTOM + 8 + _STRIP
    height: int = HEIGHT

    @property
    def right(self) -> int:
        """Where the axes end."""
        return self.width - _RIGHT


def chart(
    labels: Sequence[str],
    lines: Sequence[tuple[str, Sequence[float | None]]],
    counts: Sequence[int],
    unit: str,
    *,
    intervals: Sequence[tuple[float, float] | None] | None = None,
    limit: tuple[float, str] | None = None,
    ceiling: float | None = None,
    width: int = 720,
) -> Chart:
    """A chart of lines over `labels`; `counts` are the n beside them, `ceiling` the largest value the axis may reach.

    Intervals that rest on a few do not stretch the axis; they are cut at its top.
    """
    known = [value for _, values in lines for value in values if value is not None]
    known += [pair[1] for pair, n in zip(intervals or (), counts, strict=False) if pair is not None and n >= _FEW]
    top, step = _scale(max([*known, limit[0] if limit else 0.0, 1e-9]), ceiling)
    step_x = (width - _LEFT - _RIGHT) / max(1, len(labels))
    height = HEIGHT - _TOP - _BOTTOM
    xs = [_LEFT + step_x * (i + 0.5) for i in range(len(labels))]

    def y(value: float) -> float:
        return round(_TOP + height * (1 - min(value, top) / top), 1)

    series = []
    for name, values in lines:
        points = [
            None if value is None else Point(round(x, 1), y(value), f"{label}  {name} {value:.3g}{unit}（n = {n}）")
            for x, label, value, n in zip(xs, labels, values, counts, strict=True)
        ]
        series.append(Series(name, tuple(point for point in points if point), tuple(_paths(points))))
    most = max(counts, default=0)
    return Chart(
        width=width,
        series=tuple(series),
        bands=tuple(_bands(xs, intervals or (), y)),
        columns=tuple(_columns(xs, counts, min(step_x * 0.7, 24), most)),
        most=most,
        y_ticks=tuple(Tick(y(step * i), f"{step * i:g}{unit}") for i in range(round(top / step) + 1)),
        x_ticks=tuple(_x_ticks(xs, labels, width // _PER_LABEL)),
        limit=None if limit is None else Tick(y(limit[0]), limit[1]),
    )


def _scale(most: float, ceiling: float | None) -> tuple[float, float]:
    """A round top of the axis and its step."""
    raw = most / 4
    base = 10 ** floor(log10(raw))
    step = next(base * factor for factor in (1, 2, 2.5, 5, 10) if base * factor >= raw)
    top = step * max(1, -(-most // step))
    return (ceiling, ceiling / 4) if ceiling is not None and top > ceiling else (top, step)


def _paths(points: Sequence[Point | None]) -> list[str]:
    paths: list[list[str]] = [[]]
    for point in points:
        if point is None:
            paths.append([])
        else:
            paths[-1].append(f"{point.x:g} {point.y:g}")
    return ["M" + " L".join(path) for path in paths if len(path) > 1]


def _bands(xs: Sequence[float], intervals: Sequence[tuple[float, float] | None], y: object) -> list[str]:
    assert callable(y)
    groups: list[list[tuple[float, float, float]]] = [[]]
    for x, pair in zip(xs, intervals, strict=False):
        if pair is None:
            groups.append([])
        else:
            groups[-1].append((x, y(pair[0]), y(pair[1])))
    bands = []
    for group in groups:
        if group:
            alone = len(group) == 1  # it has an interval, too
            places = [(x + shift, low, high) for x, low, high in group for shift in ((-4, 4) if alone else (0,))]
            there = [f"{x:g},{high:g}" for x, _, high in places]
            bands.append(" ".join(there + [f"{x:g},{low:g}" for x, low, _ in reversed(places)]))
    return bands


def _columns(xs: Sequence[float], counts: Sequence[int], width: float, most: int) -> list[tuple[float, float, float, float]]:
    base = HEIGHT - _BOTTOM + 8 + _STRIP
    heights = [_STRIP * n / most if most else 0.0 for n in counts]
    return [(round(x - width / 2, 1), round(base - h, 1), round(width, 1), round(h, 1)) for x, h in zip(xs, heights, strict=True)]


def _x_ticks(xs: Sequence[float], labels: Sequence[str], at_most: int) -> list[Tick]:
    every = max(1, -(-len(labels) // at_most))
    return [Tick(round(x, 1), label) for i, (x, label) in enumerate(zip(xs, labels, strict=True)) if i % every == 0]
