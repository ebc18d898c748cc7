"""What executors report about actions in one call, and the numbers among it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from repo.domain.errors import RepoError
from repo.domain.identifiers import ActionIdentifier, check_name
from repo.domain.models import Abort, NewAction, NewEvent, Progress, check_number
from repo.domain.phases import PhaseUpdate

MAX_METRICS = 64
"""The maximum number of metrics of an action."""
MAX_POINTS = 128
"""The maximum number of values that a metric keeps."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class NewMetric:
    """A value of a metric. Raises InvalidArgument for one that is not finite."""

    name: str
    value: float
    at: datetime
    unit: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "metrics.name")
        check_number(self.value, "metrics.value")


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """A value of a metric at a time."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """The values of a metric of an action."""

    name: str
    unit: str | None
    last: float
    last_at: datetime
    minimum: float
    maximum: float
    sample: tuple[int, tuple[tuple[int, float], ...]]
    """A level, and the first value of each interval of 2**level microseconds, with its time in microseconds
    since 1970."""

    @property
    def series(self) -> list[MetricPoint]:
        """The sample, with the last value."""
        points = dict(self.sample[1]) | {_microseconds(self.last_at): self.last}
        return [MetricPoint(_EPOCH + at * _MICROSECOND, value) for at, value in sorted(points.items())]

    def with_values(self, new: Iterable[NewMetric]) -> "Metric":
        """The metric with further values. Of two values at one time the greater counts. Neither the order of
        arrival nor repetitions change the result: the level is the lowest that leaves MAX_POINTS of all
        values, and the first values of two intervals include the first of both."""
        level, points, last = self.sample[0], dict(self.sample[1]), (self.last_at, self.last)
        minimum, maximum, units = self.minimum, self.maximum, {self.unit}
        for each in new:
            at = _microseconds(each.at)
            points[at] = max(each.value, points.get(at, each.value))
            last = max(last, (each.at, each.value))
            minimum, maximum = min(minimum, each.value), max(maximum, each.value)
            units.add(each.unit)
        while len(kept := {at >> level: at for at in sorted(points, reverse=True)}) > MAX_POINTS:
            level += 1
        unit = max((each for each in units if each is not None), default=None)
        sample = level, tuple((at, points[at]) for at in sorted(kept.values()))
        return Metric(self.name, unit, last[1], last[0], minimum, maximum, sample)


def first_value(new: NewMetric) -> Metric:
    """The metric with this value only."""
    sample = 0, ((_microseconds(new.at), new.value),)
    return Metric(new.name, new.unit, new.value, new.at, new.value, new.value, sample)


def latest_progress(stored: Progress | None, new: Progress) -> Progress:
    """The progress that was reported last, by the time of the report."""
    if stored is None:
        return new
    return max(
        stored, new, key=lambda each: (each.reported_at, each.done, each.total or 0, each.message or "")
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What an executor says about one attempt of an action. The action need not exist."""

    id: ActionIdentifier
    attempt: int = 1
    update: PhaseUpdate | None = None
    event: NewEvent | None = None
    details: NewAction | None = None
    """What describes the action; its phase and its number of attempts do not count."""
    progress: Progress | None = None
    metrics: tuple[NewMetric, ...] = ()


@dataclass(slots=True)
class ReportResult:
    """What became of a report."""

    created: bool = False
    """The action was not stored before."""
    applied: bool = False
    """The action is in the reported phase, if the report has one."""
    changed: bool = False
    """Anything was stored."""
    error: RepoError | None = None
    """Why nothing of the report was stored."""
    abort: Abort | None = None
    """The abort request of the action, or else the nearest above it."""


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
