"""What the history says about the last execution of each notebook: what failed, what drifted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from utils.chapter import format_value
from utils.runner.history import SECONDS, Line

WINDOW = 20  # so many earlier values count: a change that stays is the new normal after ten nights
TOLERANCE = 0.01  # relative: what a value without expected range may always move
SECONDS_TOLERANCE = 0.25  # machines are shared
STANDARD_DEVIATION = 1.4826  # of a normal distribution, in median absolute deviations


@dataclass(frozen=True)
class Series:
    """One numeric metric of one notebook at equal dials on one kind of device, oldest first."""

    lines: list[Line]

    @property
    def last(self) -> Line:
        return self.lines[-1]

    @property
    def earlier(self) -> list[float]:
        """The values to compare the last one with: the newest of executions that went well."""
        return [line.value for line in self.lines[:-1] if not line.failure][-WINDOW:]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the last value should lie: in the expected range, else near the earlier values.

        Near means within three standard deviations of their median, estimated from their median
        absolute deviation, or within the tolerance if that is wider. None: nothing to compare with.
        """
        if self.last.low is not None and self.last.high is not None:
            return self.last.low, self.last.high
        if not self.earlier:
            return None
        centre = median(self.earlier)
        spread = STANDARD_DEVIATION * median(abs(value - centre) for value in self.earlier)
        tolerance = SECONDS_TOLERANCE if self.last.metric == SECONDS else TOLERANCE
        reach = max(3 * spread, tolerance * abs(centre))
        return centre - reach, centre + reach

    @property
    def drifted(self) -> bool:
        return self.interval is not None and not (
            self.interval[0] <= self.last.value <= self.interval[1]
        )


def series_of(history: Iterable[Line]) -> list[Series]:
    """The history, oldest first, by notebook, dials, device and metric."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in history:
        if isinstance(line.value, int | float):
            key = (line.notebook, line.dials, line.device_kind, line.metric)
            groups.setdefault(key, []).append(line)
    return [Series(lines) for lines in groups.values()]


def findings(history: list[Line]) -> Iterator[str]:
    """A sentence for each failure and each drift in the last execution of each notebook."""
    newest = {(line.notebook, line.dials): line.time for line in history}
    for series in series_of(history):
        last = series.last
        if last.time == newest[last.notebook, last.dials]:
            yield from _finding(series)


def _finding(series: Series) -> Iterator[str]:
    last, subject = series.last, f"{series.last.notebook} at {series.last.dials}"
    if last.metric == SECONDS and last.failure:
        yield f"{subject} failed: {last.failure}"
    elif series.drifted and last.metric == SECONDS:
        yield f"{subject} took {last.value:.0f} s, {_expectation(series)}."
    elif series.drifted:
        yield f"{subject}: {last.metric} is {format_value(last.value)}, {_expectation(series)}."


def _expectation(series: Series) -> str:
    """What was to be expected of a value that lies elsewhere, in words."""
    low, high = map(format_value, series.interval)
    if series.last.low is not None:
        return f"outside the expected range {low} to {high}"
    earlier = series.earlier
    count = f"the {len(earlier)} values" if len(earlier) > 1 else "the one value"
    return (
        f"outside {low} to {high}, around {count} before (median {format_value(median(earlier))})"
    )
