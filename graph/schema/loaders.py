"""Dataloaders: one statement for all siblings of a nested field."""

from asyncio import Future, Task, create_task, gather, get_running_loop
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from repo import (
    MAX_BATCH,
    Action,
    ActionAttempt,
    ActionEvent,
    ActionFilter,
    ActionIdentifier,
    ActionRepo,
    AttemptRange,
    Attributes,
    Durations,
    Order,
    Page,
    PageRequest,
    PhaseCount,
    Run,
    RunFilter,
    TaskKey,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R")

_NONE: Any = object()

Listing = tuple[ActionFilter | None, Order | None, PageRequest, Attributes]
RunListing = tuple[RunFilter | None, int, Attributes]
EventListing = tuple[int | None, Any, PageRequest]


class Loader(Generic[K, V]):
    """Reads the values of all keys that are asked for in one turn of the event loop together, and each of
    them once.

    Whoever waits has a future of its own: an error in a field that cannot be null cancels its siblings,
    which must not take away what others wait for.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[Sequence[V | BaseException]]]) -> None:
        """`read` gives a value, or an error, for each of at most MAX_BATCH keys."""
        self.read = read
        self._asked: dict[K, list[tuple[Future[Any], Callable[[V], Any] | None]]] = {}
        self._known: dict[K, V | BaseException] = {}
        self._next: list[K] = []
        self._tasks: set[Task[None]] = set()

    def load(self, key: K) -> Awaitable[V]:
        """The value of the key, read together with those of other keys."""
        return self._load(key, None)

    def load_as(self, key: K, make: Callable[[V], R]) -> Awaitable[R]:
        """What `make` makes of the value of the key."""
        return self._load(key, make)

    def _load(self, key: K, make: Callable[[V], Any] | None) -> Awaitable[Any]:
        loop = get_running_loop()
        future: Future[Any] = loop.create_future()
        if key in self._known:
            _settle(future, self._known[key], make)
        elif key in self._asked:
            self._asked[key].append((future, make))
        else:
            if not self._next:
                loop.call_soon(self._dispatch)
            self._asked[key] = [(future, make)]
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
            values = await self.read(keys)
        except Exception as error:
            values = [error] * len(keys)
        for key, value in zip(keys, values, strict=True):
            self._known[key] = value
            for future, make in self._asked.pop(key):
                if not future.done():  # who waited may be gone
                    _settle(future, value, make)


def _settle(future: Future[Any], value: V | BaseException, make: Callable[[V], Any] | None) -> None:
    if isinstance(value, BaseException):
        future.set_exception(value)
        future.exception()  # whoever waits hears of it; asyncio must not log it as nobody's
    else:
        future.set_result(value if make is None else make(value))


def _by_key(load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> Loader[K, V | None]:
    """A loader over a read that gives back what it found by key."""

    async def load_all(keys: list[K]) -> list[V | BaseException | None]:
        found = await load(keys)
        return [found.get(key) for key in keys]

    return Loader(load_all)


def _by_arguments(
    load: Callable[..., Awaitable[Mapping[K, Any]]], otherwise: Any = _NONE
) -> Loader[tuple[K, tuple[Any, ...]], Any]:
    """A loader for a field with arguments: one read for all keys that share them. `otherwise` is the value
    of a key for which nothing is found; without it, every key has something."""

    async def load_all(wanted: list[tuple[K, tuple[Any, ...]]]) -> list[V | BaseException]:
        groups: dict[tuple[Any, ...], dict[K, None]] = {}
        for key, arguments in wanted:
            groups.setdefault(arguments, {})[key] = None
        # Arguments that are refused, such as a bad cursor, are the error of their own fields only.
        reads = [load(list(keys), *arguments) for arguments, keys in groups.items()]
        found = dict(zip(groups, await gather(*reads, return_exceptions=True), strict=True))
        return [value(found[arguments], key) for key, arguments in wanted]

    def value(found: Mapping[K, V] | BaseException, key: K) -> V | BaseException:
        if isinstance(found, BaseException):
            return found
        return found[key] if otherwise is _NONE else found.get(key, otherwise)

    return Loader(load_all)


def _by_listing(load: Callable[..., Awaitable[Mapping[K, Any]]]) -> Loader[tuple[K, tuple[Any, ...]], Any]:
    """A loader for a field with arguments, of which the last is which attributes are read: one read for all
    keys that share the others, of the attributes that are asked for of any of them. `nodes` and `edges` of a
    page may select different things of the same list."""
    read = _by_arguments(_narrowed(load)).read

    async def load_all(wanted: list[tuple[K, tuple[Any, ...]]]) -> Sequence[Any]:
        asked: dict[tuple[Any, ...], Attributes] = {}
        for _, (*arguments, attributes) in wanted:
            known = asked.get(tuple(arguments), frozenset())
            asked[tuple(arguments)] = None if known is None or attributes is None else known | attributes
        return await read([(key, (*rest, asked[tuple(rest)])) for key, (*rest, _) in wanted])

    return Loader(load_all)


def _narrowed(load: Callable[..., Awaitable[Mapping[K, V]]]) -> Callable[..., Awaitable[Mapping[K, V]]]:
    """A read whose last argument is which attributes it reads."""
    return lambda keys, *given: load(keys, *given[:-1], attributes=given[-1])


class Loaders:
    """What one operation reads, each thing once. A mutation begins with fresh ones."""

    def __init__(self, repository: ActionRepo) -> None:
        self._repository = repository

    @cached_property
    def run(self) -> Loader[tuple[bytes, tuple[Attributes]], Run | None]:
        """Runs, by their keys."""
        return _by_arguments(_narrowed(self._repository.runs.find), None)

    @cached_property
    def action(self) -> Loader[tuple[bytes, tuple[Attributes]], Action | None]:
        """Actions, by their keys."""
        return _by_arguments(_narrowed(self._repository.actions.find), None)

    @cached_property
    def run_actions(self) -> Loader[tuple[bytes, Listing], Page[Action]]:
        """The actions of runs, by the runs' keys."""
        return _by_listing(self._repository.actions.page_of_runs)

    @cached_property
    def children(self) -> Loader[tuple[bytes, Listing], Page[Action]]:
        """The children of actions, by the actions' keys."""
        return _by_listing(self._repository.actions.page_of_children)

    @cached_property
    def run_action_count(self) -> Loader[tuple[bytes, tuple[ActionFilter | None]], int]:
        """How many actions runs have, by the runs' keys."""
        return _by_arguments(self._repository.actions.count_of_runs)

    @cached_property
    def child_count(self) -> Loader[tuple[bytes, tuple[ActionFilter | None]], int]:
        """How many children actions have, by the actions' keys."""
        return _by_arguments(self._repository.actions.count_children)

    @cached_property
    def run_phases(self) -> Loader[tuple[bytes, tuple[()]], list[PhaseCount]]:
        """The actions of runs by phase, by the runs' keys."""
        return _by_arguments(self._repository.runs.count_phases)

    @cached_property
    def descendant_phases(self) -> Loader[tuple[bytes, tuple[()]], list[PhaseCount]]:
        """The descendants of actions by phase, by the actions' keys."""
        return _by_arguments(self._repository.actions.count_phases_of_descendants)

    @cached_property
    def events(self) -> Loader[tuple[ActionIdentifier, EventListing], Page[ActionEvent]]:
        """Pages of the events of actions."""
        return _by_arguments(self._repository.events.page)

    @cached_property
    def all_events(self) -> Loader[ActionIdentifier, list[ActionEvent] | None]:
        """All events of actions."""
        return _by_key(self._repository.events.list_all)

    @cached_property
    def attempts(self) -> Loader[tuple[ActionIdentifier, tuple[AttemptRange]], list[ActionAttempt]]:
        """The attempts of actions."""
        return _by_arguments(self._repository.events.list_attempts)

    @cached_property
    def latest_event(self) -> Loader[tuple[ActionIdentifier, int], ActionEvent | None]:
        """The latest events of attempts."""
        return _by_key(self._repository.events.get_latest)

    @cached_property
    def durations_of_task(self) -> Loader[tuple[TaskKey, tuple[RunFilter | None]], Durations]:
        """How long the runs of tasks took, of those that match a filter."""
        return _by_arguments(self._repository.summaries.list_durations)

    @cached_property
    def runs_of_task(self) -> Loader[tuple[TaskKey, RunListing], Sequence[Run]]:
        """The newest runs of tasks, of those that match a filter."""
        return _by_listing(self._repository.summaries.list_recent_runs)
