"""Reads JSON files; errors name the position in the document."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAX_DEPTH = 60
"""The API accepts 64 levels of JSON, of which a few are outside the file's content."""


class InvalidFile(Exception):
    """The file cannot be imported; the message names the file, the position, and what was expected."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


def read_json(path: Path) -> tuple[bytes, Any]:
    """The bytes of the file and its document. Raises InvalidFile unless it is one JSON document in UTF-8
    with finite numbers and storable text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidFile(path, f"cannot be read ({error.strerror or error})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(path, f"is not UTF-8 text (byte {error.start})") from None
    if not text.strip():
        raise InvalidFile(path, "is empty; expected a JSON document")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidFile(path, f"{where}: not valid JSON ({error.msg})") from None
    except RecursionError:
        raise InvalidFile(path, f"nests deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        # Python limits integers to 4,300 digits.
        raise InvalidFile(path, "holds a number that is too large") from None
    _check_values(path, document)
    return content, document


def spell(place: Sequence[str | int]) -> str:
    """A position in a document in readable form: workflow.execution.tasks[3].id."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "document"


def _check_values(path: Path, document: Any) -> None:
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            for key in value:
                _check_text(path, (*place, "(a key)"), key)
            waiting.extend(((*place, key), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend(((*place, index), item) for index, item in enumerate(value))
        elif isinstance(value, str):
            _check_text(path, place, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidFile(path, f"{spell(place)}: expected a finite number, found {value}")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InvalidFile(path, f"{spell(place)}: expected a number of at most 64 bits")
        if len(place) > MAX_DEPTH:
            raise InvalidFile(path, f"{spell(place[:3])}: nests deeper than {MAX_DEPTH} levels")


def _check_text(path: Path, place: Sequence[str | int], text: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidFile(path, f"{spell(place)}: text with U+0000 or half of a surrogate pair")
