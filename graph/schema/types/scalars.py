"""Custom scalars: DateTime, JSON and BigInt."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
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
"""The maximum number of objects, lists and names in a value: encoding it blocks the event loop."""
_INT64 = 2**63
_FLOAT_RANGE = 2**1024
"""Numbers from here on exceed the range of doubles."""
_MAX_DIGITS = 4300
"""The most digits of an integer that Python parses."""
_LEAF_TYPES = frozenset({str, bool, type(None)})
"""Types without inner values or limits."""
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
        raise GraphQLError(f"DateTime is out of range: {_short(value)}") from None


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


def _parse_json(value: object) -> object:
    check_json(value)
    return value


def _literal(parse: Callable[[object], Any]) -> Callable[..., Any]:
    """Parses a literal as the value that it has."""
    return lambda node, variables=None: parse(_value_of(node, variables or {}))


def _value_of(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    """The value of a literal, with exact numbers or `Inexact`."""
    if isinstance(node, FloatValueNode):
        return float_of(node.value)
    if isinstance(node, IntValueNode):
        return int(node.value) if len(node.value) <= _MAX_DIGITS else Inexact(node.value)
    if isinstance(node, ListValueNode):
        return [_value_of(item, variables) for item in node.values]
    if isinstance(node, ObjectValueNode):
        return {field.name.value: _value_of(field.value, variables) for field in node.fields}
    return value_from_ast_untyped(node, dict(variables))


def check_json(value: object) -> None:
    """Raise GraphQLError, with the path in the value, for a part that cannot be stored and returned
    unchanged."""
    try:
        parts = _parts(value, 0)
    except _InvalidPart as error:
        path = "".join(reversed(error.path)).removeprefix(".")
        raise GraphQLError(f"{error.reason}, at {path}" if path else error.reason) from None
    if parts > MAX_JSON_PARTS:
        raise GraphQLError(
            f"JSON may hold at most {MAX_JSON_PARTS:,} objects, lists and names, not {parts:,}"
        )


class _InvalidPart(Exception):
    """A part of a JSON value is invalid."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []
        """The path of the part, innermost step first."""


def _parts(value: object, depth: int) -> int:
    """The number of objects, lists and names in a value. Raises _InvalidPart."""
    step: object = None
    items: Iterable[tuple[object, object]]
    if isinstance(value, dict):
        parts, items, name = 1 + len(value), value.items(), ".{}"
    elif isinstance(value, list | tuple):
        parts, items, name = 1, enumerate(value), "[{}]"
    else:
        _check_number(value)
        return 0
    if value and depth == MAX_JSON_DEPTH:
        raise _InvalidPart(f"JSON may nest at most {MAX_JSON_DEPTH} levels deep")
    try:
        for step, item in items:  # noqa: B007 - used in the handler below
            kind = type(item)
            if kind not in _LEAF_TYPES and (kind is not int or not -_INT64 <= item < _INT64):  # type: ignore[operator]
                parts += _parts(item, depth + 1)
    except _InvalidPart as error:
        error.path.append(name.format(step))
        raise
    return parts


def _check_number(value: object) -> None:
    if isinstance(value, Inexact):
        text = _short(value)
        raise _InvalidPart(
            f"JSON holds {text}, a number that no double can hold: round it, or send it as text"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise _InvalidPart("JSON cannot hold NaN or Infinity")
    if isinstance(value, int) and abs(value) >= _FLOAT_RANGE:
        raise _InvalidPart("JSON holds a number that is too large")


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
        parse_literal=_literal(_parse_json),
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A 64-bit integer, sent as a JSON number. Input may also be a string, for clients "
        "whose numbers have only 53 bits.",
        serialize=int,
        parse_value=_parse_integer,
        parse_literal=_literal(_parse_integer),
    ),
}
"""The scalars of the schema by Python type."""
