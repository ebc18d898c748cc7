"""Column types that store and return the same values on PostgreSQL and SQLite."""

import json
import re
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Interval,
    SmallInteger,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeEngine

from repo.domain.errors import InvalidArgument
from repo.sql.times import SQLITE_TIMES, to_microseconds

_MICROSECOND = timedelta(microseconds=1)
_SURROGATE = re.compile("[\ud800-\udfff]")
# asyncpg encodes the minimum and maximum datetime as minus and plus infinity.
_MIN_TIME = datetime.min.replace(tzinfo=UTC)
_MAX_TIME = datetime.max.replace(tzinfo=UTC)


class Unstorable(DontWrapMixin, InvalidArgument):
    """A value that one of the databases cannot store. SQLAlchemy raises it unchanged."""


def check_text(value: str) -> None:
    """Raise Unstorable for text with U+0000 or an unpaired surrogate."""
    if "\0" in value:
        raise Unstorable("text must not contain the character U+0000")
    if not value.isascii() and _SURROGATE.search(value):
        raise Unstorable("text must not contain an unpaired surrogate")


def dump_json(value: Any) -> str:
    """Compact JSON text. Raises ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def check_value(value: object) -> None:
    """Raise Unstorable for text or a time that one of the databases cannot store."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, datetime):
        _check_time(value)


def _check_time(value: datetime) -> None:
    if value.tzinfo is None:
        raise Unstorable("a time needs an offset from UTC")
    if not _MIN_TIME < value < _MAX_TIME:
        raise Unstorable(f"a time must be after {_MIN_TIME.isoformat()} and before {_MAX_TIME.isoformat()}")


class FreeText(TypeDecorator[str]):
    """Text of any length that both databases can store."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None:
            check_text(value)
        return value


class _TextDocument(TypeDecorator[Any]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else dump_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


Name = String(255).with_variant(String(255, collation="C"), "postgresql")
"""An identifier, ordered by code point on both databases."""

# A column declared JSON has numeric affinity on SQLite, which would convert a document that is one number.
Document = JSON(none_as_null=True).with_variant(_TextDocument(), "sqlite")
"""Any JSON value; object keys keep their order."""

CodePoints = Text().with_variant(Text(collation="C"), "postgresql")
"""Text of any length, ordered by code point on both databases."""

Labels = JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A JSON object that is searched by key and value."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time with microseconds. SQLite stores microseconds since 1970."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        _check_time(value)
        return to_microseconds(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value  # type: ignore[no-any-return]
        return SQLITE_TIMES.one(value)


class Duration(TypeDecorator[timedelta]):
    """A length of time as a parameter. SQLite takes microseconds."""

    impl = Interval
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Interval())

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> Any:
        return value // _MICROSECOND if value is not None and dialect.name == "sqlite" else value


class EnumNumber(TypeDecorator[IntEnum]):
    """An enumeration stored as its number; `members` maps numbers to members."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, enumeration: type[IntEnum]) -> None:
        super().__init__()
        self.enumeration = enumeration
        self.members = {int(member): member for member in enumeration}

    @property
    def python_type(self) -> type[int]:
        return int

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> IntEnum | None:
        return None if value is None else self.members[value]
