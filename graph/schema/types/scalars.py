"""Custom scalars: DateTime, JSON and BigInt."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import FloatValueNode, GraphQLError, IntValueNode, ListValueNode, ObjectValueNode, ValueNode
from graphql.utilities import value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

from graph.schema.types.json_numbers import Inexact, float_of

JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)

MAX_JSON_DEPTH = 64
MAX_JSON_PARTS = 100_000
"""Objects, lists and names that one value may hold: nobody else is served while it is made text again."""
_INT64 = 2**63
_LARGEST = 2**1024
"""Where the numbers end that readers who know only doubles can take."""
_MOST_DIGITS = 4300
"""Of an integer that Python reads."""
_PLAIN = frozenset({str, bool, type(None)})
"""What may be anything, and holds nothing."""
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)


def _parse_time(value: object) -> datetime:
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise GraphQLError(
            f"DateTime needs RFC 3339 text with an offset, such as 2026-01-31T12:00:00Z, not {_short(value)}"
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError(f"DateTime has no such moment: {_short(value)}") from None


def _serialize_time(value: datetime) -> str:
    text = datetime.isoformat(value)
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def _parse_integer(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -_INT64 <= value < _INT64:
        raise GraphQLError(f"BigInt needs a 64-bit integer, not {_short(value)}")
    return value


def _parse_integer_literal(node: ValueNode, variables: Mapping[str, Any] | None = None) -> int:
    return _parse_integer(_value_of(node, variables or {}))


def _parse_json(value: object) -> object:
    check_json(value)
    return value


def _parse_json_literal(node: ValueNode, variables: Mapping[str, Any] | None = None) -> object:
    return _parse_json(_value_of(node, variables or {}))


def _value_of(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    """What a literal stands for, with numbers that are exact or say that they are not."""
    if isinstance(node, FloatValueNode):
        return float_of(node.value)
    if isinstance(node, IntValueNode):
        return int(node.value) if len(node.value) <= _MOST_DIGITS else Inexact(node.value)
    if isinstance(node, ListValueNode):
        return [_value_of(item, variables) for item in node.values]
    if isinstance(node, ObjectValueNode):
        return {field.name.value: _value_of(field.value, variables) for field in node.fields}
    return value_from_ast_untyped(node, dict(variables))


def check_json(value: object) -> None:
    """Raise GraphQLError for what cannot be stored and given back as it is, with the place in the value."""
    try:
        parts = _parts(value, 0)
    except _Wrong as wrong:
        place = "".join(reversed(wrong.place)).removeprefix(".")
        raise GraphQLError(f"{wrong.what}, at {place}" if place else wrong.what) from None
    if parts > MAX_JSON_PARTS:
        raise GraphQLError(
            f"JSON may hold at most {MAX_JSON_PARTS:,} objects, lists and names, not {parts:,}"
        )


class _Wrong(Exception):
    """What is wrong with a part of a JSON value."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.place: list[str] = []
        """Where the part is, from the inside out."""


def _parts(value: object, depth: int) -> int:
    """How many objects, lists and names a value holds. Raises _Wrong."""
    place: object = None
    items: Iterable[tuple[object, object]]
    if isinstance(value, dict):
        parts, items, name = 1 + len(value), value.items(), ".{}"
    elif isinstance(value, list | tuple):
        parts, items, name = 1, enumerate(value), "[{}]"
    else:
        _check_number(value)
        return 0
    if value and depth == MAX_JSON_DEPTH:
        raise _Wrong(f"JSON may nest at most {MAX_JSON_DEPTH} levels deep")
    try:
        for place, item in items:  # noqa: B007 - it is told below where that went wrong
            kind = type(item)
            if kind not in _PLAIN and (kind is not int or not -_INT64 <= item < _INT64):  # type: ignore[operator]
                parts += _parts(item, depth + 1)
    except _Wrong as wrong:
        wrong.place.append(name.format(place))
        raise
    return parts


def _check_number(value: object) -> None:
    if isinstance(value, Inexact):
        text = _short(value)
        raise _Wrong(f"JSON holds {text}, a number that no double can hold: round it, or send it as text")
    if isinstance(value, float) and not math.isfinite(value):
        raise _Wrong("JSON cannot hold NaN or Infinity")
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise _Wrong("JSON holds a number that is too large")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


scalars: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A time in RFC 3339 format, in UTC, with up to six decimals of a second. Input must have "
        "a UTC offset. For an optional time, 0001-01-01T00:00:00Z (the zero time of Go) means null. The time "
        "at which something happened may be at most a day ahead of the server's clock.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=_serialize_time,
        parse_value=_parse_time,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value. Integers are exact, however long; other numbers are doubles, and a "
        "number that a double cannot represent is refused, as are NaN and Infinity. The order "
        "of keys is kept; of duplicate keys, the last value counts.",
        serialize=lambda value: value,
        parse_value=_parse_json,
        parse_literal=_parse_json_literal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A 64-bit integer, sent as a JSON number. Input may also be a string, for clients "
        "whose numbers have only 53 bits.",
        serialize=int,
        parse_value=_parse_integer,
        parse_literal=_parse_integer_literal,
    ),
}
"""What the schema is configured with: Python's types and the scalars that they are."""
