"""JSON as Python values whose numbers are exactly those of the text, or say that they are not."""

import math
import sys
from decimal import Decimal
from typing import Any

import msgspec
import orjson

_DIGITS = 17
"""Significant digits that are enough to tell all doubles apart."""
_MOST_OF_A_DOUBLE = _DIGITS + len("-0.e-308")
_ALL_DIGITS = 767
"""Significant digits that are enough to write any double out in full."""

_KINDS = bytes(
    ord("0" if chr(byte) in "0123456789." else "e" if chr(byte) in "eE" else " ") for byte in range(256)
)
"""Makes all digits the same, and of all else a space."""
_SIGNS = b"+-"
_LONG = b"0" * (_DIGITS + 1)
_LONG_WITH_EXPONENT = b"0" * (_DIGITS - 1) + b"e"
_EXPONENT, _LONG_EXPONENT = b"0e0", b"0e000"


class Inexact:
    """A number with a fraction or an exponent that no double holds."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    __inspect__ = __repr__  # what graphql-core shows


def float_of(text: str) -> float | Inexact:
    """The double that a number of JSON stands for, where it is given back as the same number, or is this
    double rounded to as many digits as the number has."""
    value = float(text)
    if repr(value) == text:
        return value
    if math.isinf(value):
        return Inexact(text)
    if value == 0:
        return Inexact(text) if text.lower().partition("e")[0].strip("-0.") else value
    number = Decimal(text)
    digits = len(number.as_tuple().digits)
    # Other programs print a double with more digits than tell it from others, or with fewer near zero.
    rounded = Decimal(f"{value:.{min(digits, _ALL_DIGITS) - 1}e}")
    if number in (Decimal(repr(value)), Decimal(value), rounded):
        return value
    # Some print 17 digits of which the last is not quite right.
    is_close = abs(value) >= sys.float_info.min and len(text) <= _MOST_OF_A_DOUBLE
    if is_close and digits <= _DIGITS and number != number.to_integral_value():
        return value
    return Inexact(text)


_decoder = msgspec.json.Decoder(float_hook=float_of)


def loads(data: bytes) -> Any:
    """The value of a JSON text. Integers are exact; what no double holds is an `Inexact`. Raises ValueError
    for what is no JSON."""
    if not _may_be_inexact(data):
        return orjson.loads(data)
    # orjson makes doubles of integers beyond 64 bits, and does not say where it rounds.
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _may_be_inexact(data: bytes) -> bool:
    """Whether a number has many digits or a long exponent, or text looks as if it were one."""
    kinds = data.translate(_KINDS, _SIGNS)
    if _LONG in kinds:
        return True
    return _EXPONENT in kinds and (_LONG_EXPONENT in kinds or _LONG_WITH_EXPONENT in kinds)
