"""The log of an attempt: lines that are numbered 1, 2, … over all its streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum

MAX_LINE = 16_384
"""Characters of a line's text; a longer one is cut."""
DEFAULT_LOG_QUOTA = 100 * 1024 * 1024
"""Bytes that are kept of a log."""
MAX_STREAMS = 30
"""Streams of an attempt."""
MAX_STREAM_NAME = 64
"""Characters of a stream's name."""
MAX_NUMBER = 2**53 - 1
"""The highest number of a line: the highest integer that all JSON parsers read exactly."""


class LogLevel(IntEnum):
    """How severe a line is."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


class LogGapReason(Enum):
    """Why lines are missing."""

    QUOTA = "quota"
    """The log was longer than allowed: its middle was removed."""
    NOT_RECEIVED = "not received"
    """The executor never sent them, or their call failed for good."""


@dataclass(frozen=True, slots=True)
class NewLogLine:
    """A line to append."""

    text: str
    at: datetime | None = None
    level: LogLevel | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A stored line."""

    number: int
    stream: str
    at: datetime
    level: LogLevel | None
    text: str


@dataclass(frozen=True, slots=True)
class LogGap:
    """Numbers whose lines are missing, both inclusive."""

    first: int
    last: int
    reason: LogGapReason


@dataclass(frozen=True, slots=True)
class LogStream:
    """A stream of a log."""

    name: str
    next_offset: int
    """How many lines its executor has sent, as far as is known."""


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What is known of the log of an attempt without reading its lines."""

    line_count: int = 0
    """The number of the last line, missing ones included."""
    byte_count: int = 0
    """UTF-8 bytes of all lines that were received, each with a line end."""
    first_error: int | None = None
    """The number of the first line of level ERROR or CRITICAL."""
    streams: Sequence[LogStream] = ()
    quota_gap: LogGap | None = None
    """The middle, if it was removed."""

    @property
    def is_truncated(self) -> bool:
        """Whether the middle was removed."""
        return self.quota_gap is not None


NO_LOG = LogSummary()


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines of a log a page or a stream is about."""

    stream: str | None = None
    levels: frozenset[LogLevel] | None = None
    search: str | None = None
    """A part of the text, in any case."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a log, in order."""

    lines: Sequence[LogLine]
    start: int
    """The first number that the page covers."""
    end: int
    """The last number that the page covers; below `start` if it covers none."""
    has_more: bool
    """Whether there is more in the direction of the page: after `end`, or before `start`."""
    omitted: Sequence[LogGap]
    """The gap by the quota, wherever it is, and the other gaps that the page covers."""
    summary: LogSummary


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What a call appended."""

    appended: int
    repeated: int
    """Lines that were stored before, and left out."""
    missing: int
    """Lines before these that were not received."""
    cut: int
    """Lines that were too long, and cut."""
    next_offset: int
    first_number: int | None
    last_number: int | None
    is_truncated: bool
