"""Columns of tables of actions: single values of their specifications, outputs and metrics."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from repo.domain.errors import InvalidArgument

MAX_COLUMNS = 30
"""The most columns that are read at once."""
MAX_DEPTH = 4
"""The most names in a path."""
MAX_NAME = 255
"""The most characters of a name in a path."""
MAX_TEXT = 500
"""Characters of a value as JSON; longer text is cut."""
MAX_DOCUMENT = 64 * 1024
"""Bytes of a document; values of larger ones are not read."""

_UNUSABLE = re.compile(r'["\\\x00-\x1f]|[\ud800-\udfff]')
"""Characters that no path of SQLite can have in a name."""


class ColumnSource(Enum):
    """Where the values of a column come from."""

    SPEC = "spec"
    OUTPUTS = "outputs"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class ActionColumn:
    """A column: names of keys within each other in a document, or the name of a metric."""

    source: ColumnSource
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """What some actions have in a column."""

    column: ActionColumn
    actions: int
    """How many have a value."""
    numbers: int
    """How many of the values are numbers."""
    distinct: int
    """How many different values there are."""
    unit: str | None = None
    """The unit of a metric."""

    @property
    def source(self) -> ColumnSource:
        """Where its values come from."""
        return self.column.source

    @property
    def path(self) -> tuple[str, ...]:
        """The path of the column."""
        return self.column.path


@dataclass(frozen=True, slots=True)
class FoundColumns:
    """The columns that were found in some actions of a run."""

    searched: int
    """How many actions were searched."""
    columns: Sequence[FoundColumn]
    """The columns, by source and then the most frequent first."""


def is_usable(name: str) -> bool:
    """Whether a path may have this name."""
    return 0 < len(name) <= MAX_NAME and _UNUSABLE.search(name) is None


def check_columns(columns: Collection[ActionColumn]) -> None:
    """Raise InvalidArgument for columns that cannot be read."""
    if len(columns) > MAX_COLUMNS:
        raise InvalidArgument(f"at most {MAX_COLUMNS} columns can be read at once, not {len(columns)}")
    for column in columns:
        path, source = column.path, column.source.name
        if column.source is ColumnSource.METRICS:
            if len(path) != 1:
                raise InvalidArgument(f"the path of a METRICS column is one name, not {len(path)}")
            continue
        if not 1 <= len(path) <= MAX_DEPTH:
            raise InvalidArgument(
                f"the path of a {source} column has 1 to {MAX_DEPTH} names, not {len(path)}"
            )
        for name in path:
            if not is_usable(name):
                raise InvalidArgument(
                    f"a name in the path of a {source} column has 1 to {MAX_NAME} characters without quotes, "
                    f"backslashes and control characters, unlike {name[:60]!r}"
                )


def cell_of(text: str | None) -> str:
    """The JSON text of a cell, from that of a value cut after MAX_TEXT + 1 characters: null for objects and
    lists, and the beginning of long text."""
    if text is None or text[0] in "{[":
        return "null"
    if len(text) <= MAX_TEXT:
        return text
    if text[0] != '"':  # an integer of hundreds of digits
        return json.dumps(text[:MAX_TEXT] + "…", ensure_ascii=False)
    for end in range(MAX_TEXT, MAX_TEXT - 12, -1):  # not within an escaped character
        try:
            cut = json.loads(text[:end] + '"')
        except ValueError:
            continue
        return json.dumps(cut + "…", ensure_ascii=False)
    return "null"


def rows_of(rows: Sequence[Sequence[str | None]]) -> list[list[Any]]:
    """The values of rows of JSON texts."""
    texts = ("[" + ",".join(map(cell_of, row)) + "]" for row in rows)
    parsed: list[list[Any]] = json.loads("[" + ",".join(texts) + "]")
    return parsed
