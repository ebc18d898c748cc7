"""Owns the scalars that GraphQL does not bring: DateTime, JSON and BigInt."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError, ValueNode
from graphql.utilities import value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)

MAX_JSON_DEPTH = 64
_INT64 = 2**63
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


def _parse_json(value: object) -> object:
    check_json(value)
    return value


def _parse_json_literal(node: ValueNode, variables: Mapping[str, Any] | None = None) -> object:
    return _parse_json(value_from_ast_untyped(node, dict(variables or {})))


def check_json(value: object, depth: int = 0) -> None:
    """Raise GraphQLError for what a JSON document cannot hold, or what nests too deep to be read back."""
    if isinstance(value, float) and not math.isfinite(value):
        raise GraphQLError("JSON cannot hold NaN or Infinity")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**1024:
        raise GraphQLError("JSON holds a number that is too large")
    if isinstance(value, dict | list | tuple):
        if value and depth == MAX_JSON_DEPTH:
            raise GraphQLError(f"JSON may nest at most {MAX_JSON_DEPTH} levels deep")
        for item in value.values() if isinstance(value, dict) else value:
            if type(item) not in _PLAIN:
                check_json(item, depth + 1)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


scalars: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment as RFC 3339 text, in UTC and with up to six decimals of a second. "
        "Input needs an offset from UTC; one without is refused.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=_serialize_time,
        parse_value=_parse_time,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value. NaN and Infinity are refused; the order of keys is kept.",
        serialize=lambda value: value,
        parse_value=_parse_json,
        parse_literal=_parse_json_literal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of 64 bits, sent as a JSON number. Input may also be text, "
        "for clients whose numbers have only 53 bits.",
        serialize=int,
        parse_value=_parse_integer,
    ),
}
"""What the schema is configured with: Python's types and the scalars that they are."""
