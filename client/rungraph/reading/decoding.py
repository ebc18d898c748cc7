"""From JSON of the API to dataclasses, by the types of their fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_DECODERS: dict[Any, Callable[[Any], Any]] = {}
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def decode(cls: type[T], value: dict[str, Any]) -> T:
    """The object, whose fields have the names of the JSON's keys in snake case."""
    result: T = _decoder(cls)(value)
    return result


def camel_case(name: str) -> str:
    """The name of a field in GraphQL."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def parse_time(text: str) -> datetime:
    """A time in RFC 3339. `datetime.fromisoformat` takes all of these only since Python 3.11."""
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    return datetime.fromisoformat(_FRACTION.sub(lambda found: f".{found[1]:0<6}", text, count=1))


def _decoder(kind: Any) -> Callable[[Any], Any]:
    if (known := _DECODERS.get(kind)) is not None:
        return known
    hints = get_type_hints(kind)
    plans = [(field.name, camel_case(field.name), _converter(hints[field.name])) for field in fields(kind)]

    def decoder(value: Any) -> Any:
        return kind(
            **{name: value[key] if convert is None else convert(value[key]) for name, key, convert in plans}
        )

    _DECODERS[kind] = decoder
    return decoder


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    """What makes the value from JSON; None if it stays as it is."""
    if get_origin(hint) is Union:  # Optional
        (inner,) = (each for each in get_args(hint) if each is not type(None))
        return _optional(_converter(inner))
    if get_origin(hint) is tuple:
        convert = _converter(get_args(hint)[0])
        return tuple if convert is None else lambda values: tuple(map(convert, values))
    if hint is datetime:
        return parse_time
    if hint in (int, float):
        return hint  # type: ignore[no-any-return]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return _decoder(hint) if is_dataclass(hint) else None


def _optional(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)
