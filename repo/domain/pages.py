"""Pages of a list: what is requested, in which order, and what comes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from repo.domain.errors import InvalidArgument
from repo.domain.models import ActionAttempt

T = TypeVar("T")

MAX_PAGE = 1000
DEFAULT_PAGE = 100


class OrderField(Enum):
    """What a list of runs or actions can be ordered by."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    ENDED_AT = "ended_at"
    DURATION = "duration_ms"
    PHASE = "phase"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Rows without a value (an end, a duration) come last in both directions; rows with equal
    values are ordered by key, so that the order is total."""

    field: OrderField = OrderField.CREATED_AT
    descending: bool = True


@dataclass(frozen=True, slots=True)
class _Part(Generic[T]):
    """The part of a list that is requested: the `first` items after one, or the `last` before one. Raises
    InvalidArgument if a number is not from 0 to MAX_PAGE, or both are set."""

    first: int | None = None
    after: T | None = None
    last: int | None = None
    before: T | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise InvalidArgument("give first or last, not both")
        for name, count in (("first", self.first), ("last", self.last)):
            if count is not None and not 0 <= count <= MAX_PAGE:
                raise InvalidArgument(f"{name} must be between 0 and {MAX_PAGE}, not {count}")

    @property
    def size(self) -> int:
        """The maximum number of items."""
        if self.last is not None:
            return self.last
        return DEFAULT_PAGE if self.first is None else self.first


class PageRequest(_Part[str]):
    """The part of a list of rows that is requested, between two cursors."""

    __slots__ = ()

    @property
    def backward(self) -> bool:
        """Whether the page is taken from the end of the list."""
        return self.last is not None


class AttemptRange(_Part[int]):
    """The part of an action's attempts that is requested, between two numbers; the newest by default."""

    __slots__ = ()

    def of(self, attempts: list[ActionAttempt]) -> list[ActionAttempt]:
        """Those of the attempts that are in the range."""
        after, before = -1 if self.after is None else self.after, self.before
        inside = [x for x in attempts if x.attempt > after and (before is None or x.attempt < before)]
        return inside[: self.size] if self.first is not None else inside[max(0, len(inside) - self.size) :]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, in the order of the list."""

    items: Sequence[T]
    has_next: bool
    has_previous: bool
    encode_cursor: Callable[[Sequence[Any]], str]
    positions: Sequence[Sequence[Any]]
    """The values in the cursor of each item."""

    searched_to: Sequence[Any] | None = None
    """The values in the cursor at which the search for items ended before the page was full."""
    searched_backward: bool = False
    """The search ended before the first item, not behind the last."""

    @property
    def cursors(self) -> list[str]:
        """The cursors of the items."""
        return [self.encode_cursor(position) for position in self.positions]

    def cursor(self, index: int) -> str:
        """The cursor of one item."""
        return self.encode_cursor(self.positions[index])

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first item, or at which the search for earlier ones ended."""
        return self._cursor_at(0, self.searched_backward)

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last item, or at which the search for more ended."""
        return self._cursor_at(-1, not self.searched_backward)

    def _cursor_at(self, index: int, is_searched: bool) -> str | None:
        if is_searched and self.searched_to is not None:
            return self.encode_cursor(self.searched_to)
        return self.cursor(index) if self.positions else None
