"""Times that a caller gives: which of them mean that none is given, and which cannot be right."""

from datetime import UTC, datetime, timedelta

import repo

_NOT_SET = datetime(1, 1, 1, tzinfo=UTC)
"""The zero time of Go, which its clients send for a time that they do not have."""
_MOST_AHEAD = timedelta(days=1)
"""How far a clock may be ahead of ours: what is later would stay the newest for as long."""


def optional_time(value: datetime | None) -> datetime | None:
    """A time that may be left out."""
    return None if value == _NOT_SET else value


def optional_moment(value: datetime | None, name: str) -> datetime | None:
    """When something happened, where that is given. Raises InvalidArgument."""
    return None if value is None or value == _NOT_SET else moment(value, name)


def moment(value: datetime, name: str) -> datetime:
    """When something happened. Raises InvalidArgument."""
    if value == _NOT_SET:
        raise repo.InvalidArgument(f"{name} is needed, and 0001-01-01T00:00:00Z says that it is not set")
    if value > datetime.now(UTC) + _MOST_AHEAD:
        text = f"{name} is more than a day ahead: {value.isoformat()}. Check the clock that it comes from"
        raise repo.InvalidArgument(text)
    return value
