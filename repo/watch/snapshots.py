"""Reading what exists when a stream begins: pages of about the size of a frame."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Select

from repo.domain.pages import Page, PageRequest
from repo.sql.database import Database
from repo.sql.paging import Keyset, fetch_page
from repo.sql.statements import ResultSet
from repo.watch.stream import until_available

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SnapshotQuery(Generic[T]):
    """The statement that reads the rows of a snapshot."""

    key: Hashable
    """Identifies the statement, for caches."""
    statement: Callable[[], Select[Any]]
    order: Keyset
    read: Callable[[ResultSet], Sequence[T]]
    values: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the statement."""
    names: Collection[str] = ()
    """The fields that are read."""
    limit: int | None = None
    """Rows in the whole snapshot, if limited."""
    check: Callable[[], Awaitable[None]] | None = None
    """Raises if the subject of the stream does not exist, or the request is invalid."""

    async def page(
        self, database: Database, rows: int, after: str | None, limit: int | None = None
    ) -> tuple[Page[T], list[int]]:
        """A page of so many rows, and the size of each in characters of long text."""
        request = PageRequest(rows if limit is None else min(rows, limit), after)

        async def fetch() -> tuple[Page[T], list[int]]:
            sizes: list[int] = []

            def read(found: ResultSet) -> Sequence[T]:
                sizes[:] = found.sizes()
                return self.read(found)

            page = await fetch_page(
                database, self.key, self.statement, self.order, request, read, self.values
            )
            return page, sizes

        return await until_available(fetch)
