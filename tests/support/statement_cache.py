"""Statements that are compiled once for all databases of the tests."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from types import FunctionType
from typing import Any

from sqlalchemy import Dialect

from repo.sql.statements import PreparedStatement, Returning, StatementCache

_compiled: defaultdict[str, dict[Hashable, tuple[PreparedStatement, object]]] = defaultdict(dict)


class SharedStatements(StatementCache):
    """As the cache of one database, whose metrics it has, but a statement that was compiled for another
    database of the same dialect is not compiled again: tests open thousands of them in one process. A key of
    two different statements is an error."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._compiled = _compiled[dialect.name]
        self._used: set[Hashable] = set()

    def prepare(
        self, key: Hashable, make: Callable[[], Returning], values: Mapping[str, Any]
    ) -> PreparedStatement:
        if key not in self._compiled:
            self._compiled[key] = super().prepare(key, make, values), _identity(make)
        elif key in self._used:
            self.hits += 1
        else:
            self.misses += 1
        self._used.add(key)
        prepared, made_by = self._compiled[key]
        assert made_by == _identity(make), f"two statements have the key {key!r}"
        return prepared


def _identity(make: Callable[..., Any]) -> object:
    """What the functions that make a statement do, to tell whether two of them make the same."""
    if isinstance(make, partial):
        return [_identity(make.func), *(_identity(each) for each in make.args if callable(each))]
    if isinstance(make, FunctionType):
        return make.__code__.co_code, make.__code__.co_names
    return make
