"""The index of the terms of runs: words such as `task=train`, and pairs of characters of their names. It only
narrows a search: a run that it names has to be checked, but it names all that match.

PostgreSQL has an inverted index (GIN) of hashes of terms, SQLite a full-text index of their hexadecimal
digits. Migration 0011 has the triggers that fill them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.selectable import GenerativeSelect
from sqlalchemy.sql.util import ClauseAdapter

from repo.sql.database import Database
from repo.sql.types import FreeText, check_text

_MAX_LENGTH = 100
"""SQLite indexes so many characters of a term."""

_run_terms = table("run_terms", column("number", Integer), column("rowid", Integer), column("terms"))


class AllOf:
    """All of these terms."""

    def __init__(self, parts: "Iterable[Terms]") -> None:
        self.parts = list(parts)


class AnyOf:
    """Any of these terms."""

    def __init__(self, parts: "Iterable[Terms]") -> None:
        self.parts = list(parts)


Terms = str | AllOf | AnyOf
"""A condition on the terms of a run; there is at least one."""


def numbers(database: Database, terms: Terms) -> Select[Any]:
    """The numbers of the runs that may have these terms."""
    if database.is_sqlite:
        found = literal(_match(terms), FreeText())
        return select(_run_terms.c.rowid.label("number")).where(
            column("run_terms", is_literal=True).op("MATCH")(found)
        )
    return select(_run_terms.c.number).where(_condition(terms))


def restricted_to(
    database: Database,
    found: GenerativeSelect,
    number: NamedColumn[int],
    statement: Select[Any],
    may_choose: bool,
) -> Select[Any]:
    """The statement, restricted to rows whose `number` was found, which are looked up by it. If `may_choose`,
    PostgreSQL may use another index instead, by its statistics; SQLite has none. Add all conditions before:
    afterwards, on SQLite, the statement reads a subquery in place of the table."""
    if database.is_sqlite:
        table: Any = number.table
        known = select(table).where(number.in_(found)).offset(literal_column("0")).subquery()
        return reading_from(known, statement)
    # The planner looks an array's members up, however many rows it expects to meet the conditions.
    as_array = func.any(func.array(found.scalar_subquery()))
    return statement.where(number.in_(found) if may_choose else number == as_array)


def reading_from(table: FromClause, statement: Select[Any]) -> Select[Any]:
    """The statement, reading a subquery with the same columns in place of its table."""
    adapted: Select[Any] = ClauseAdapter(table).traverse(statement)
    return adapted


def _match(terms: Terms) -> str:
    """The query of SQLite's full-text index."""
    if isinstance(terms, str):
        check_text(terms)
        return f'"{terms[:_MAX_LENGTH].encode().hex()}"'
    return "(" + (" AND " if isinstance(terms, AllOf) else " OR ").join(map(_match, terms.parts)) + ")"


def _condition(terms: Terms) -> ColumnElement[bool]:
    """The condition for PostgreSQL's index: an array contains others, or overlaps them."""
    if isinstance(terms, str):
        terms = AllOf([terms])
    is_all = isinstance(terms, AllOf)
    words = [part for part in terms.parts if isinstance(part, str)]
    found = [_condition(part) for part in terms.parts if not isinstance(part, str)]
    if words:
        hashes = postgresql.array([func.hashtext(literal(word, FreeText())) for word in words])
        found.append(_run_terms.c.terms.op("@>" if is_all else "&&")(hashes))
    return and_(*found) if is_all else or_(*found)
