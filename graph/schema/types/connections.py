"""Relay connections over the repository's keyset pages."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import strawberry

import repo
from graph.context import Call
from graph.schema.fields import described
from repo import Page, PageRequest

T = TypeVar("T")

First = Annotated[int | None, strawberry.argument("The number of items, from the start of the list.")]
After = Annotated[str | None, strawberry.argument("Only items after this cursor.")]
Last = Annotated[int | None, strawberry.argument("The number of items, from the end of the list.")]
Before = Annotated[str | None, strawberry.argument("Only items before this cursor.")]


def page_request(
    info: Call, first: int | None, after: str | None, last: int | None = None, before: str | None = None
) -> PageRequest:
    """The requested page. Raises InvalidArgument."""
    check_page_size(info, first, last)
    if first is None and last is None:
        first = min(repo.DEFAULT_PAGE, info.context.max_page_size)
    return PageRequest(first, after, last, before)


def check_page_size(info: Call, first: int | None, last: int | None) -> None:
    """Raise InvalidArgument for a page over the limit of this server."""
    largest = info.context.max_page_size
    for name, count in (("first", first), ("last", last)):
        if count is not None and count > largest:
            raise repo.InvalidArgument(f"{name} must be at most {largest}, not {count}")


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    """An item and its cursor."""

    node: T
    cursor: str


@dataclass(frozen=True, slots=True)
class Connection(Generic[T]):
    """A page, and a function that counts the whole list if selected."""

    page: Page[T]
    count: Callable[[], Awaitable[int]] | None = None
    count_at_most: Callable[[int | None], Awaitable[int]] | None = None
    """Instead of `count`, if counting can end at a number."""

    @property
    def nodes(self) -> Sequence[T]:
        """The items of the page."""
        return self.page.items

    @property
    def edges(self) -> list[Edge[T]]:
        """The items of the page with their cursors."""
        pairs = zip(self.page.items, self.page.cursors, strict=True)
        return [Edge(item, cursor) for item, cursor in pairs]

    @property
    def page_info(self) -> "Connection[T]":
        """Whether there are items before and after the page."""
        return self

    @property
    def has_next_page(self) -> bool:
        """Whether there is a next page."""
        return self.page.has_next

    @property
    def has_previous_page(self) -> bool:
        """Whether there is a previous page."""
        return self.page.has_previous

    @property
    def start_cursor(self) -> str | None:
        """The cursor of the first item."""
        return self.page.start_cursor

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last item."""
        return self.page.end_cursor


@strawberry.type(description="Whether there are items before and after a page.")
class PageInfo:
    has_next_page: bool = described("Whether there is a next page: request it with `after: endCursor`.")
    has_previous_page: bool = described(
        "Whether there is a previous page: request it with `before: startCursor`."
    )
    start_cursor: str | None = described(
        "The cursor of the first item on the page, or at which the search for earlier ones ended."
    )
    end_cursor: str | None = described(
        "The cursor of the last item on the page, or at which the search for more ended."
    )


def total_count() -> Any:
    """The field that counts the whole list, only when it is selected."""

    async def resolve(root: strawberry.Parent[Connection[Any]]) -> int:
        assert root.count is not None
        return await root.count()

    return strawberry.field(
        resolver=resolve,
        description="The number of items in the whole list. Computed only when selected, since it reads "
        "them all.",
    )


def total_count_at_most() -> Any:
    """As `total_count`, for lists of which counting can end at a number."""

    async def resolve(
        root: strawberry.Parent[Connection[Any]],
        at_most: Annotated[
            int | None, strawberry.argument("Counting ends at this number: there may be more.")
        ] = None,
    ) -> int:
        assert root.count_at_most is not None
        return await root.count_at_most(at_most)

    return strawberry.field(
        resolver=resolve,
        description="The number of items in the whole list, or `atMost` if there are more. Computed only "
        "when selected, since it reads all that it counts: give `atMost` where the exact number does not "
        "matter.",
    )
