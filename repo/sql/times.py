"""Times as the drivers exchange them: a number of microseconds, since 1970 on SQLite and 2000 on PostgreSQL.

asyncpg takes four times as long to make a `datetime` as to return a number, and msgspec converts a column of
numbers in a fifth of the difference.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import asyncpg
import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT = 2**33 * 1_000_000
"""Microseconds before and after 1970, until 2242, that a float of seconds is precise enough for."""

Times = list[datetime | None]


def to_microseconds(value: datetime, since: datetime = EPOCH) -> int:
    """Microseconds since a time, exactly."""
    return (value - since) // _MICROSECOND


class TimeDecoder:
    """Converts a driver's numbers to times."""

    def __init__(self, epoch: datetime) -> None:
        """`epoch` is the time of the number 0."""
        self._epoch = epoch
        self._offset = to_microseconds(epoch)

    def one(self, value: int) -> datetime:
        """The time of a number, exactly."""
        microseconds = value + self._offset
        if -_EXACT < microseconds < _EXACT:
            return datetime.fromtimestamp(microseconds / 1e6, UTC)
        return self._epoch + value * _MICROSECOND

    def all(self, values: Sequence[int | None]) -> Times:
        """The time of each number, exactly, and None for None. Raises ValidationError for a time that takes
        `one`."""
        offset = self._offset
        first, last = -_EXACT - offset, _EXACT - offset
        seconds = [
            None if value is None else (value + offset) / 1e6 if first < value < last else math.nan
            for value in values
        ]
        return msgspec.convert(seconds, Times, strict=False)


SQLITE_TIMES = TimeDecoder(EPOCH)
POSTGRES_TIMES = TimeDecoder(_POSTGRES_EPOCH)


async def return_numbers(connection: asyncpg.Connection) -> None:
    """Have a connection return times as numbers; as parameters it still takes times."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda value: (to_microseconds(value, since=_POSTGRES_EPOCH),),
        decoder=itemgetter(0),
        format="tuple",
    )
