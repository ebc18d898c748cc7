"""Owns the batching of what nested fields read: one statement for all siblings of a field."""

from asyncio import Future, Task, create_task, gather, get_running_loop
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

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


class Loader(Generic[K, V]):
    """Reads the values of all keys that are asked for in one turn of the event loop together, and each of
    them once.

    Whoever waits has a future of its own: an error in a field that cannot be null cancels its siblings,
    which must not take away what others wait for.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[Sequence[V | BaseException]]]) -> None:
        """`read` gives a value, or an error, for each of at most MAX_BATCH keys."""
        self._read = read
        self._asked: dict[K, list[Future[V]]] = {}
        self._known: dict[K, V | BaseException] = {}
        self._next: list[K] = []
        self._tasks: set[Task[None]] = set()

    def load(self, key: K) -> Awaitable[V]:
        """The value of the key, read together with those of other keys."""
        loop = get_running_loop()
        future: Future[V] = loop.create_future()
        if key in self._known:
            _settle(future, self._known[key])
        elif key in self._asked:
            self._asked[key].append(future)
        else:
            if not self._next:
                loop.call_soon(self._dispatch)
            self._asked[key] = [future]
            self._next.append(key)
        return future

    async def load_many(self, keys: Iterable[K]) -> list[V]:
        """The values of the keys, in their order."""
        return await gather(*map(self.load, keys))

    def _dispatch(self) -> None:
        keys, self._next = self._next, []
        for start in range(0, len(keys), MAX_BATCH):
            task = create_task(self._fetch(keys[start : start + MAX_BATCH]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fetch(self, keys: list[K]) -> None:
        values: Sequence[V | BaseException]
        try:
            values = await self._read(keys)
        except Exception as error:
            values = [error] * len(keys)
        for key, value in zip(keys, values, strict=True):
            self._known[key] = value
            for future in self._asked.pop(key):
                if not future.done():  # who waited may be gone
                    _settle(future, value)


def _settle(future: Future[V], value: V | BaseException) -> None:
    if isinstance(value, BaseException):
        future.set_exception(value)
        future.exception()  # whoever waits hears of it; asyncio must not log it as nobody's
    else:
        future.set_result(value)


def _by_key(load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> Loader[K, V | None]:
    """A loader over a read that gives back what it found by key."""

    async def load_all(keys: list[K]) -> list[V | BaseException | None]:
        found = await load(keys)
        return [found.get(key) for key in keys]

    return Loader(load_all)


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

    return Loader(load_all)


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
