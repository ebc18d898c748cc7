"""Checks texts and times in inputs. Each raises InvalidArgument with the name of the field; messages are
cut."""

from datetime import UTC, datetime, timedelta

import repo

MAX_TEXT = 4096
"""Characters of a name or a reason: lists show many of them."""
MAX_MESSAGE = 256 * 1024
"""Characters that are kept of a message, which may be a traceback, and of a URL."""

_CUT = "\n…\n"

_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
"""The zero time of Go, whose clients send it for a missing time."""
_MAX_AHEAD = timedelta(days=1)
"""How far a client's clock may be ahead: an update with a later time would stay the newest for as long."""


def short(value: str, name: str) -> str:
    """A name or another short text."""
    return _limited(value, name, MAX_TEXT)


def optional_short(value: str | None, name: str) -> str | None:
    """A short text that may be omitted."""
    return None if value is None else _limited(value, name, MAX_TEXT)


def address(value: str, name: str) -> str:
    """A URL."""
    return _limited(value, name, MAX_MESSAGE)


def message(value: str, limit: int = MAX_MESSAGE) -> str:
    """A message: of a longer one the beginning and the end are kept. What it is about must not be lost for
    its length."""
    return value if len(value) <= limit else value[: limit // 2] + _CUT + value[len(_CUT) - limit // 2 :]


def _limited(value: str, name: str, limit: int) -> str:
    if len(value) > limit:
        raise repo.InvalidArgument(f"{name} has {len(value):,} characters; at most {limit:,} are allowed")
    return value


def optional_time(value: datetime | None) -> datetime | None:
    """A time in a filter; None if it is the zero time."""
    return None if value == _ZERO_TIME else value


def optional_moment(value: datetime | None, name: str) -> datetime | None:
    """When something happened; None if it is omitted or the zero time."""
    return None if value is None or value == _ZERO_TIME else moment(value, name)


def moment(value: datetime, name: str) -> datetime:
    """When something happened."""
    if value == _ZERO_TIME:
        raise repo.InvalidArgument(f"{name} is required; 0001-01-01T00:00:00Z means that it is not set")
    if value > datetime.now(UTC) + _MAX_AHEAD:
        text = f"{name} is more than a day ahead: {value.isoformat()}. Check the clock that it comes from"
        raise repo.InvalidArgument(text)
    return value
