"""Parses JSON with exact numbers; a number that cannot be represented is an `Inexact`."""

import math
import sys
from decimal import Decimal
from typing import Any

import msgspec

_DOUBLE_DIGITS = 17
"""Significant digits that distinguish all doubles."""
_MAX_DOUBLE_LENGTH = _DOUBLE_DIGITS + len("-0.e-308")
_MAX_DIGITS = 767
"""Significant digits of the longest double in full."""

_CHARACTER_CLASSES = bytes(
    ord("0" if chr(byte) in "0123456789." else "e" if chr(byte) in "eE" else " ") for byte in range(256)
)
"""Maps all digits to one, exponents to `e`, and all else to spaces."""
_SIGNS = b"+-"
_LONG = b"0" * (_DOUBLE_DIGITS + 1)
_LONG_WITH_EXPONENT = b"0" * (_DOUBLE_DIGITS - 1) + b"e"
_EXPONENT, _LONG_EXPONENT = b"0e0", b"0e000"


class Inexact:
    """A number with a fraction or an exponent that no double represents."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    __inspect__ = __repr__  # what graphql-core shows


def float_of(text: str) -> float | Inexact:
    """The double of a JSON number, if it is the same number, or the number is this double rounded to as many
    digits as it has."""
    value = float(text)
    if repr(value) == text:
        return value
    if math.isinf(value):
        return Inexact(text)
    if value == 0:
        return Inexact(text) if text.lower().partition("e")[0].strip("-0.") else value
    number = Decimal(text)
    digits = len(number.as_tuple().digits)
    # Other programs print doubles with more digits than necessary, or with fewer near zero.
    rounded = Decimal(f"{value:.{min(digits, _MAX_DIGITS) - 1}e}")
    if number in (Decimal(repr(value)), Decimal(value), rounded):
        return value
    # Some print 17 digits, the last of which is slightly off.
    is_close = abs(value) >= sys.float_info.min and len(text) <= _MAX_DOUBLE_LENGTH
    if is_close and digits <= _DOUBLE_DIGITS and number != number.to_integral_value():
        return value
    return Inexact(text)


_decoder = msgspec.json.Decoder()
_exact_decoder = msgspec.json.Decoder(float_hook=float_of)


def loads(data: bytes) -> Any:
    """The value of a JSON text. Integers are exact; a number that no double represents is an `Inexact`.
    Raises ValueError."""
    # The hook takes time for each number.
    decoder = _exact_decoder if _may_be_inexact(data) else _decoder
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _may_be_inexact(data: bytes) -> bool:
    """Whether a number, or text that looks like one, has many digits or a long exponent."""
    classes = data.translate(_CHARACTER_CLASSES, _SIGNS)
    if _LONG in classes:
        return True
    return _EXPONENT in classes and (_LONG_EXPONENT in classes or _LONG_WITH_EXPONENT in classes)
