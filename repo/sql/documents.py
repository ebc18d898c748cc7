"""Counts the single values that JSON documents have, by their paths."""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
)

from repo.sql.database import Database
from repo.sql.types import Document, FreeText

SEPARATOR = "\x01"
"""Between the names of a path."""
_COMPARED: ColumnElement[int] = literal_column("100")
"""Characters by which values are told apart."""
_ONE = literal_column("1", Integer)


def counted_values(database: Database, documents: FromClause, depth: int, limit: int) -> Select[Any]:
    """The paths, joined by SEPARATOR, under which these documents have numbers, texts and booleans, the most
    frequent first: with the number of values, of numbers and of different values. `documents` has a column
    `document`; a path has at most `depth` names, and there are at most `limit` paths."""
    is_sqlite = database.is_sqlite
    found = _values(documents, is_sqlite, depth).c
    is_number = found.kind.in_(["integer", "real"] if is_sqlite else ["number"])
    counts = func.count(), func.count(case((is_number, _ONE))), func.count(found.text.distinct())
    counted = select(found.path, *counts).where(found.kind.not_in(["object", "array", "null"]))
    return (
        counted.group_by(found.path).order_by(counts[0].desc(), found.path).limit(literal_column(str(limit)))
    )


def _values(documents: FromClause, is_sqlite: bool, depth: int) -> CTE:
    """The values of all keys: the path, the kind, the text of a single value, and an inner document."""
    kind_of = func.json_type if is_sqlite else func.json_typeof
    document = documents.c.document
    members, rest = _members(case((kind_of(document) == "object", document)), is_sqlite)
    first = select(cast(members.c.key, Text).label("path"), *rest, _ONE.label("depth"))
    values = first.select_from(documents.join(members, true())).cte("document_values", recursive=True)
    members, rest = _members(values.c.inner, is_sqlite)
    path = values.c.path + literal(SEPARATOR, FreeText()) + members.c.key
    inner = select(path, *rest, values.c.depth + _ONE).select_from(values.join(members, true()))
    return values.union_all(inner.where(values.c.depth < literal_column(str(depth))))


def _members(document: ColumnElement[Any], is_sqlite: bool) -> tuple[Any, list[ColumnElement[Any]]]:
    """The members of an object as a table, and their kind, text and inner document."""
    columns: list[Any] = [column("key", Text), column("value", Document)]
    if is_sqlite:
        columns += [column("type", Text), column("atom", Text)]
    members = func.json_each(document).table_valued(*columns, name="member")
    value = members.c.value
    kind = members.c.type if is_sqlite else func.json_typeof(value)
    text = members.c.atom if is_sqlite else value
    return members, [
        kind.label("kind"),
        func.substr(cast(text, Text), _ONE, _COMPARED).label("text"),
        case((kind == "object", value)).label("inner"),
    ]
