"""The report on the history: what failed or drifted in words, and every metric over time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from utils.files import write_text
from utils.notebooks.files import NotebookError, find
from utils.plotting import PALETTE, set_style
from utils.runner import history
from utils.runner.drift import Series, findings, series_of
from utils.runner.executions import name_of
from utils.runner.pages.templates import data_url, render

PANEL = (3.5, 2.0)  # inches
HALF_A_DAY = timedelta(hours=12)
BLUE, ALARM = PALETTE[0], PALETTE[3]


def build(root: Path) -> tuple[list[str], Path]:
    """Write build/report.html; what it found, in sentences, and where it lies."""
    names = {name_of(path, root) for path in find(root)}
    lines, complaints = history.read(root)
    lines = [line for line in lines if line.notebook in names]
    if not lines:
        raise NotebookError("There is no history yet: run the notebooks first, with make run.")
    set_style()
    found = list(findings(lines))
    page = root / "build" / "report.html"
    text = render(
        "report.html.j2",
        title="What changed",
        facts=f"Newest execution: {lines[-1].time[:16].replace('T', ' ')} UTC",
        findings=found,
        complaints=complaints,
        sections=_sections(series_of(lines)),
    )
    write_text(text, page)
    nothing = [] if found else ["Nothing failed or drifted in the last execution of any notebook."]
    return [*complaints, *found, *nothing], page


def plot_series(series: Series) -> Figure:
    """One metric over time, where its last value should lie, and a drift marked."""
    fig = Figure(figsize=PANEL, layout="constrained")
    ax = fig.add_subplot()
    times = [datetime.fromisoformat(line.time) for line in series.lines]
    ax.plot(times, [line.value for line in series.lines], color=BLUE, marker="o", markersize=3)
    if series.interval:
        ax.axhspan(*series.interval, color=BLUE, alpha=0.12, linewidth=0)
    if series.drifted:
        ax.plot(times[-1], series.last.value, "D", color=ALARM)
    ax.set_title(series.last.metric, fontsize=9, wrap=True, parse_math=False)
    ax.set_xlim(times[0] - HALF_A_DAY, times[-1] + HALF_A_DAY)
    locator = AutoDateLocator(minticks=2, maxticks=6)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return fig


def _sections(series: Sequence[Series]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Metrics with their figures, under one heading for each notebook, dials and device."""
    ordered = sorted(series, key=_heading)  # stable: metrics stay as the notebook reports them
    return [
        (heading, [(each.last.metric, _picture(plot_series(each))) for each in group])
        for heading, group in groupby(ordered, _heading)
    ]


def _heading(series: Series) -> str:
    last = series.last
    return f"{last.notebook} at {last.dials} on {last.device_kind or 'an unknown device'}"


def _picture(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return data_url(file.getvalue(), "image/png")
