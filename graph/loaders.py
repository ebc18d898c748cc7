"""Owns the batching of what nested fields read: one statement for all siblings of a field."""

from asyncio import Future, ensure_future, gather, shield
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from repo import (
    MAX_BATCH,
    Action,
    ActionEvent,
    ActionFilter,
    ActionIdentifier,
    ActionRepo,
    Order,
    Page,
    PageRequest,
    PhaseCount,
    Run,
    RunIdentifier,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Listing = tuple[ActionFilter | None, Order | None, PageRequest]
EventListing = tuple[int | None, Any, PageRequest]


class Loader(DataLoader[K, V]):
    """A DataLoader of which one who waits can be cancelled without the others.

    An error in a field that cannot be null cancels its siblings, and with what they wait for also those
    who wait for the same thing elsewhere in the operation.
    """

    def load(self, key: K) -> Awaitable[V]:
        """The value of the key, read together with those of other keys."""
        reading = ensure_future(super().load(key))
        reading.add_done_callback(_hear)
        return shield(reading)


def _hear(reading: Future[Any]) -> None:
    """Take note of its error: all who waited for it may be gone, and asyncio would log it as nobody's."""
    if not reading.cancelled():
        reading.exception()


def _by_key(load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> Loader[K, V | None]:
    """A loader over a read that gives back what it found by key."""

    async def load_all(keys: list[K]) -> list[V | None]:
        found = await load(keys)
        return [found.get(key) for key in keys]

    return Loader(load_all, max_batch_size=MAX_BATCH)


def _by_arguments(
    load: Callable[..., Awaitable[Mapping[K, V]]],
) -> Loader[tuple[K, tuple[Any, ...]], V]:
    """A loader for a field with arguments: one read for all keys that share them."""

    async def load_all(wanted: list[tuple[K, tuple[Any, ...]]]) -> list[V | BaseException]:
        groups: dict[tuple[Any, ...], list[K]] = {}
        for key, arguments in wanted:
            groups.setdefault(arguments, []).append(key)
        # Arguments that are refused, such as a bad cursor, are the error of their own fields only.
        reads = [load(keys, *arguments) for arguments, keys in groups.items()]
        found = dict(zip(groups, await gather(*reads, return_exceptions=True), strict=True))
        return [_value(found[arguments], key) for key, arguments in wanted]

    return Loader(load_all, max_batch_size=MAX_BATCH)


def _value(found: Mapping[K, V] | BaseException, key: K) -> V | BaseException:
    return found if isinstance(found, BaseException) else found[key]


class Loaders:
    """What one operation reads, each thing once. A mutation begins with fresh ones."""

    def __init__(self, repository: ActionRepo) -> None:
        self.run: Loader[RunIdentifier, Run | None] = _by_key(repository.get_runs)
        self.action: Loader[ActionIdentifier, Action | None] = _by_key(repository.get_actions)
        self.run_actions: Loader[tuple[bytes, Listing], Page[Action]] = _by_arguments(
            repository.list_actions_of_runs
        )
        self.children: Loader[tuple[bytes, Listing], Page[Action]] = _by_arguments(repository.list_children)
        self.run_action_count: Loader[tuple[bytes, tuple[ActionFilter | None]], int] = _by_arguments(
            repository.count_actions_of_runs
        )
        self.child_count: Loader[tuple[bytes, tuple[ActionFilter | None]], int] = _by_arguments(
            repository.count_children
        )
        self.run_phases: Loader[bytes, list[PhaseCount] | None] = _by_key(repository.count_phases_of_runs)
        self.descendant_phases: Loader[bytes, list[PhaseCount] | None] = _by_key(
            repository.count_phases_of_descendants
        )
        self.events: Loader[tuple[ActionIdentifier, EventListing], Page[ActionEvent]] = _by_arguments(
            repository.page_events
        )
        self.all_events: Loader[ActionIdentifier, list[ActionEvent] | None] = _by_key(
            repository.list_all_events
        )
        self.latest_event: Loader[tuple[ActionIdentifier, int], ActionEvent | None] = _by_key(
            repository.get_latest_events
        )
