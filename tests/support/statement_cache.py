"""Statements that are compiled once for all databases of the tests."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from sqlalchemy import Dialect

from repo.sql.statements import PreparedStatement, Returning, StatementCache

_compiled: defaultdict[str, dict[Hashable, PreparedStatement]] = defaultdict(dict)


class SharedStatements(StatementCache):
    """As the cache of one database, whose metrics it has, but a statement that was compiled for another
    database of the same dialect is not compiled again: tests open thousands of them in one process."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._compiled = _compiled[dialect.name]
        self._used: set[Hashable] = set()

    def prepare(
        self, key: Hashable, make: Callable[[], Returning], values: Mapping[str, Any]
    ) -> PreparedStatement:
        if key not in self._compiled:
            self._compiled[key] = super().prepare(key, make, values)
        elif key in self._used:
            self.hits += 1
        else:
            self.misses += 1
        self._used.add(key)
        return self._compiled[key]
