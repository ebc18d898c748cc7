"""Write transactions whose statements SQLAlchemy compiles once and the driver itself runs, as prepared
statements: through SQLAlchemy's connections a small write costs several times as much."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from repo.sql.errors import OutdatedRead
from repo.sql.pools import Execute, Pool
from repo.sql.statements import ResultSet, Returning, StatementCache

_LOCK = "SELECT pg_advisory_xact_lock(1198682738, number) FROM unnest($1::integer[]) AS number"
"""Locks numbers between 0 and 255; the first argument keeps them apart from the locks of others."""

_LOST = "an executor reports again that counted as lost; retry the call"

Initialize = Callable[[Execute], Awaitable[None]]


class Session(Protocol):
    """A connection of the driver that writes."""

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        """The rows that a statement returns."""

    async def execute_alone(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        """As `execute`, for the only statement of a transaction: PostgreSQL needs no BEGIN for it."""

    async def execute_each(self, text: str, rows: Sequence[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
        """The rows that a statement returns for each of these arguments."""


class WritePool(Pool, Protocol):
    """Connections for writes; `postgres_pool` and `sqlite_writer` implement it."""

    def transaction(self, initialize: Initialize | None = None) -> AbstractAsyncContextManager[Session]:
        """A transaction. `initialize` is called before the first one over a new connection, in one of its
        own."""


class Transaction:
    """A write transaction."""

    def __init__(
        self, session: Session, statements: StatementCache, is_sqlite: bool, leases: set[bytes]
    ) -> None:
        self.is_sqlite = is_sqlite
        self.leases = leases
        """The runs whose leases it locks first, as earlier attempts of it found."""
        self._session = session
        self._statements = statements

    def require_leases(self, run_keys: Iterable[bytes]) -> None:
        """Leases are locked before actions, but only locked actions tell whether they are lost. Raises
        OutdatedRead unless these leases are locked: the transaction is repeated, and locks them first. SQLite
        has one write transaction at a time anyway."""
        keys = set(run_keys)
        if not self.is_sqlite and not keys <= self.leases:
            self.leases |= keys
            raise OutdatedRead(_LOST)

    async def lock(self, keys: Iterable[bytes]) -> None:
        """Until the transaction ends, no other one gets past this call with one of the keys. SQLite has one
        write transaction at a time anyway."""
        if not self.is_sqlite:
            # Few numbers: PostgreSQL keeps a lock for each in a table of limited size.
            numbers = sorted({key[0] for key in keys})
            await self._session.execute(_LOCK, (numbers,))

    async def fetch(
        self, key: Hashable, make: Callable[[], Returning], values: Mapping[str, Any]
    ) -> list[list[Any]]:
        """The rows that the statement returns, with the values of its parameters. `key` identifies the
        statement, which `make` returns and which is prepared only once."""
        prepared = self._statements.prepare(key, make, values)
        raw = await self._session.execute(prepared.text, prepared.arguments(values))
        return ResultSet(prepared, raw).decoded()

    async def fetch_alone(
        self, key: Hashable, make: Callable[[], Returning], values: Mapping[str, Any]
    ) -> list[list[Any]]:
        """As `fetch`, for the only statement of the transaction."""
        prepared = self._statements.prepare(key, make, values)
        raw = await self._session.execute_alone(prepared.text, prepared.arguments(values))
        return ResultSet(prepared, raw).decoded()

    async def fetch_each(
        self, key: Hashable, make: Callable[[], Returning], rows: Sequence[Mapping[str, Any]]
    ) -> list[list[Any]]:
        """As `fetch`, for each of the rows of values. For SQLite; PostgreSQL takes them all in one."""
        prepared = self._statements.prepare(key, make, rows[0])
        raw = await self._session.execute_each(prepared.text, [prepared.arguments(row) for row in rows])
        return ResultSet(prepared, raw).decoded()
