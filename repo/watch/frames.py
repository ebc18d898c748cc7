"""Frames of a stream, and how many rows they have: bounded by number and by size."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from repo.domain.models import RemovedRun
from repo.sql.rows import Rows

T = TypeVar("T")

MAX_ROWS = 500
"""Rows in a frame. Executing and encoding them blocks the event loop."""
MAX_BYTES = 1024 * 1024
"""Characters of long text in a frame; one row may have more alone."""
MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Characters of long text in a mailbox, beyond which it overflows."""

_WITHOUT_LIMIT = frozenset({"spec", "state", "outputs", "info"})
"""Fields that may be as long as a request."""
_GROWTH = 4


def _rows_at_first(names: Collection[str]) -> int:
    if not _WITHOUT_LIMIT.isdisjoint(names):
        return 32
    return 100 if any(name.endswith("_document") for name in names) else MAX_ROWS


class FrameKind(Enum):
    """The kind of a frame."""

    SNAPSHOT = "snapshot"
    SYNCED = "synced"
    CHANGE = "change"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Frame(Generic[T]):
    """A part of a stream. Passed as `after`, `cursor` resumes the stream after it."""

    kind: FrameKind
    items: Sequence[T]
    removed: Sequence[T | RemovedRun]
    cursor: str


class PageSize:
    """How many rows to read at a time, so that a page is about a frame. It starts low if rows may be large,
    and adapts to the sizes that were read."""

    def __init__(self, names: Collection[str]) -> None:
        """`names` are the fields that are read."""
        self.rows = _rows_at_first(names)

    def note(self, sizes: Sequence[int]) -> None:
        """A page with rows of these sizes was read."""
        if sizes:
            fitting = MAX_BYTES * len(sizes) // max(1, sum(sizes))
            self.rows = max(1, min(fitting, MAX_ROWS, self.rows * _GROWTH))


def parts_of(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each frame begins and ends, for rows of these sizes."""
    if 0 < len(sizes) <= MAX_ROWS and sum(sizes) <= MAX_BYTES:
        yield 0, len(sizes)
        return
    start = total = 0
    for index, size in enumerate(sizes):
        if index - start == MAX_ROWS or (index > start and total + size > MAX_BYTES):
            yield start, index
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes)


def part(items: Sequence[T], start: int, end: int) -> Sequence[T]:
    """A slice of the items, which does not turn rows into objects."""
    return items.part(start, end) if isinstance(items, Rows) else items[start:end]
