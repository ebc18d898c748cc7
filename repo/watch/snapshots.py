"""Reading what exists when a stream begins: pages of about the size of a frame."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Select

from repo.domain.pages import Page, PageRequest
from repo.sql.database import Database
from repo.sql.paging import Keyset, fetch_page
from repo.sql.statements import ResultSet
from repo.watch import stream
from repo.watch.stream import until_available

T = TypeVar("T")

_UNLIMITED = frozenset({"spec", "state", "outputs", "info"})
"""Fields that may be as long as a request."""
_GROWTH = 4


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
    pages: Callable[[PageRequest, Callable[[ResultSet], Sequence[T]]], Awaitable[Page[T]]] | None = None
    """Reads a page, if one statement does not."""
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

            if self.pages is not None:
                return await self.pages(request, read), sizes
            page = await fetch_page(
                database, self.key, self.statement, self.order, request, read, self.values
            )
            return page, sizes

        return await until_available(fetch)


class PageSize:
    """How many rows to read at a time, so that a page is about a frame. It starts low if rows may be large,
    and adapts to the sizes that were read."""

    def __init__(self, names: Collection[str]) -> None:
        """`names` are the fields that are read."""
        if not _UNLIMITED.isdisjoint(names):
            self.rows = 32
        else:
            has_documents = any(name.endswith("_document") for name in names)
            self.rows = 100 if has_documents else stream.MAX_ROWS

    def note(self, sizes: Sequence[int]) -> None:
        """A page with rows of these sizes was read."""
        if sizes:
            fitting = stream.MAX_BYTES * len(sizes) // max(1, sum(sizes))
            self.rows = max(1, min(fitting, stream.MAX_ROWS, self.rows * _GROWTH))
