"""What the notebooks share: a Chinese font where there is one, labels in English where there is none, shares with intervals."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib import font_manager

from screening.intervals import wilson
from screening.report.names import SIGNALS as NAMES

FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Heiti TC",
)
"""Fonts with simplified Chinese, best first: Linux, macOS and Windows have one of them, or `apt-get install fonts-noto-cjk`."""
BLUE, ORANGE, GREY = "#2f6db5", "#d1661f", "#9aa3ad"
LEVELS = {"A": "#b3261e", "B": "#e08a00", "C": "#4a80c4"}


def _font() -> str | None:
    there = {entry.name for entry in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in there), None)


FONT = _font()
plt.rcParams.update(
    {
        "font.sans-serif": [*([FONT] if FONT else []), "DejaVu Sans"],
        "axes.unicode_minus": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.axisbelow": True,
        "figure.dpi": 80,
        "legend.frameon": False,
    }
)
if FONT is None:
    print("这台机器没有中文字体，图中改用英文 / no Chinese font: labels are in English (apt-get install fonts-noto-cjk)")


def say(chinese: str, english: str) -> str:
    """A label in Chinese, or in English where no font shows Chinese."""
    return chinese if FONT else english


def name(signal: str) -> str:
    """What a chart calls a signal."""
    return say(NAMES.get(signal, signal), signal)


def share_bars(ax: Any, counts: Sequence[tuple[int, int]], at: Sequence[float], colour: str, label: str | None = None) -> None:
    """Shares as dots with their Wilson intervals, one below the other; nothing where nothing was counted."""
    kept = [(place, right, total) for place, (right, total) in zip(at, counts, strict=True) if total]
    shares = np.array([right / total for _, right, total in kept])
    limits = np.array([wilson(right, total) for _, right, total in kept]).reshape(-1, 2)
    errors = np.abs(np.stack([shares - limits[:, 0], limits[:, 1] - shares]))
    ax.errorbar(shares, [place for place, _, _ in kept], xerr=errors, fmt="o", color=colour, ms=5, lw=1.5, capsize=2, label=label)


def rows_of(ax: Any, labels: Sequence[str]) -> None:
    """Name the rows of a chart from the top down, and show shares in per cent."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def share(right: int, total: int) -> str:
    """A share with its counts and interval, for a table."""
    if not total:
        return "—"
    low, high = wilson(right, total)
    return f"{right / total:.0%}（{right}/{total}，{low:.0%}–{high:.0%}）"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> HTML:
    """A table; tables need no font of matplotlib's and are always Chinese."""
    head = "".join(f"<th style='text-align:left'>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
