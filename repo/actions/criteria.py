"""The kinds of criteria that filters are declared with, each as SQL and as Python.

A field of a filter is declared once, in `repo.actions.filters`. Lists apply the SQL; watches apply the Python
to every row that changed.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement

from repo.actions.rows import ActionRow
from repo.sql.terms import AllOf, AnyOf, Terms

Conditions = Callable[[Any], Iterable[ColumnElement[bool]]]
"""The SQL conditions for a value of the filter, all of which must hold."""
Predicate = Callable[[ActionRow], bool]
"""Whether a row matches a value of the filter."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """How one field of a filter is applied."""

    conditions: Conditions
    predicate: Callable[[Any], Predicate]
    can_change: bool | Callable[[Any], bool]
    """Whether a row that does not match a value now may have matched before."""
    ignores_empty: bool
    """Whether an empty value matches every row, as None does."""
    terms: Callable[[Any], Terms | None]
    """The terms of the index that runs with a value of the filter have; None if they have none in common."""
    companion: str | None
    """Another field of the filter, whose value is passed along as the second of a pair."""
    has_index: bool
    """Whether an index of `runs` itself finds the rows, perhaps better than terms do."""


def declare(
    conditions: Conditions,
    predicate: Callable[[Any], Predicate],
    can_change: bool | Callable[[Any], bool] = False,
    ignores_empty: bool = False,
    terms: Callable[[Any], Terms | None] = lambda value: None,
    companion: str | None = None,
    has_index: bool = False,
) -> Any:
    """An optional field of a filter; the arguments are those of Criterion."""
    criterion = Criterion(conditions, predicate, can_change, ignores_empty, terms, companion, has_index)
    return field(default=None, metadata={"criterion": criterion})


def equal(
    column: ColumnElement[Any],
    path: str | Callable[[ActionRow], Any],
    term: str | None = None,
    can_change: bool = False,
) -> Any:
    """A field for rows that have its value in `column`, and at `path` in memory. `term` is the name of its
    terms in the index, if it has any."""
    read = _reader(path)
    return declare(
        lambda value: [column == value],
        lambda value: lambda row: read(row) == value,
        can_change,
        terms=lambda value: term and f"{term}={value}",
    )


def any_of(
    column: ColumnElement[Any],
    path: str,
    can_change: bool | Callable[[Any], bool] = False,
    term: str | None = None,
    has_index: bool = False,
) -> Any:
    """A field for rows that have one of its values; none have one of an empty list."""
    read = attrgetter(path)
    return declare(
        lambda values: [column.in_(values)],
        lambda values: lambda row: read(row) in values,
        can_change,
        terms=lambda values: AnyOf(f"{term}={int(value)}" for value in values) if term and values else None,
        has_index=has_index,
    )


def none_of(column: ColumnElement[Any], path: str, can_change: bool = False, has_index: bool = False) -> Any:
    """A field for rows that have none of its values."""
    read = attrgetter(path)
    return declare(
        lambda values: [column.not_in(values)],
        lambda values: lambda row: read(row) not in values,
        can_change,
        ignores_empty=True,
        has_index=has_index,
    )


def has_value(column: ColumnElement[Any], path: str, term: str) -> Any:
    """A field that is true for rows with any value, and false for those without one, such as placeholders."""
    read = attrgetter(path)
    return declare(
        lambda expected: [column.is_not(None) if expected else column.is_(None)],
        lambda expected: lambda row: (read(row) is not None) is expected,
        lambda expected: not expected,
        terms=lambda expected: None if expected else f"{term}-",
    )


def at_least(
    column: ColumnElement[Any], path: str | Callable[[ActionRow], Any], has_index: bool = False
) -> Any:
    """A field for rows with its value or a greater one, which can change."""
    return _compared(column, path, operator.ge, has_index)


def at_most(
    column: ColumnElement[Any], path: str | Callable[[ActionRow], Any], has_index: bool = False
) -> Any:
    """A field for rows with its value or a lesser one, which can change."""
    return _compared(column, path, operator.le, has_index)


def _compared(
    column: ColumnElement[Any],
    path: str | Callable[[ActionRow], Any],
    compare: Callable[[Any, Any], Any],
    has_index: bool,
) -> Any:
    read = _reader(path)

    def predicate(bound: Any) -> Predicate:
        return lambda row: (value := read(row)) is not None and bool(compare(value, bound))

    return declare(lambda bound: [compare(column, bound)], predicate, True, has_index=has_index)


def _reader(path: str | Callable[[ActionRow], Any]) -> Callable[[ActionRow], Any]:
    return attrgetter(path) if isinstance(path, str) else path


def criteria(kind: type[Any]) -> dict[str, Criterion]:
    """The declared criteria of a filter class, by the names of their fields."""
    return {each.name: each.metadata["criterion"] for each in fields(kind) if "criterion" in each.metadata}


def _applied(filter: Any) -> Iterator[tuple[Criterion, Any]]:
    """The criteria that restrict anything, each with its value."""
    for name, criterion in criteria(type(filter)).items():
        value = getattr(filter, name)
        if value is None or (criterion.ignores_empty and not value):
            continue
        yield (
            criterion,
            value if criterion.companion is None else (value, getattr(filter, criterion.companion)),
        )


def conditions(filter: Any) -> list[ColumnElement[bool]]:
    """The filter as SQL; no conditions for None."""
    if filter is None:
        return []
    return [each for criterion, value in _applied(filter) for each in criterion.conditions(value)]


def terms(filter: Any) -> Terms | None:
    """The terms of the index that all matching rows have; None if they have none in common."""
    if filter is None:
        return None
    found = [each for criterion, value in _applied(filter) if (each := criterion.terms(value)) is not None]
    return AllOf(found) if found else None


def has_indexes(filter: Any) -> bool:
    """Whether an index of `runs` itself may find what matches, better than terms do."""
    return filter is not None and any(criterion.has_index for criterion, _ in _applied(filter))


def predicates(filter: Any, can_change: bool) -> tuple[Predicate, ...]:
    """The part of the filter in Python whose results can change, or the part whose results cannot."""
    return tuple(
        criterion.predicate(value)
        for criterion, value in _applied(filter)
        if _can_change(criterion, value) is can_change
    )


def _can_change(criterion: Criterion, value: Any) -> bool:
    can_change = criterion.can_change
    return can_change if isinstance(can_change, bool) else can_change(value)
