"""Dataloaders: one statement for all siblings of a nested field."""

from asyncio import Future, Task, create_task, gather, get_running_loop
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

import repo

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_REQUIRED: Any = object()

Listing = tuple[repo.ActionFilter | None, repo.Order | None, repo.PageRequest, repo.Attributes]
RunListing = tuple[repo.RunFilter | None, int, repo.Attributes]
EventListing = tuple[int | None, Any, repo.PageRequest]
ArtifactListing = tuple[int | None, tuple[repo.ArtifactKind, ...] | None, int]
AttemptKey = tuple[repo.ActionIdentifier, int]


class Loader(Generic[K, V]):
    """Reads all keys requested in one turn of the event loop together, and each of them once. Each caller
    has a future of its own: an error in a non-null field cancels its siblings, which must not cancel the
    read of others."""

    def __init__(self, read: Callable[[list[K]], Awaitable[Sequence[V | BaseException]]]) -> None:
        """`read` returns a value, or an error, for each of at most repo.MAX_BATCH keys."""
        self.read = read
        self._waiting: dict[K, list[tuple[Future[Any], Callable[[V], Any] | None]]] = {}
        self._known: dict[K, V | BaseException] = {}
        self._next: list[K] = []
        self._tasks: set[Task[None]] = set()

    def load(self, key: K) -> Awaitable[V]:
        """The value of the key, read together with those of other keys."""
        return self.load_as(key, None)

    def load_as(self, key: K, make: Callable[[V], Any] | None) -> Awaitable[Any]:
        """The result of `make` for the value of the key."""
        loop = get_running_loop()
        future: Future[Any] = loop.create_future()
        if key in self._known:
            _settle(future, self._known[key], make)
        elif key in self._waiting:
            self._waiting[key].append((future, make))
        else:
            if not self._next:
                loop.call_soon(self._dispatch)
            self._waiting[key] = [(future, make)]
            self._next.append(key)
        return future

    async def load_many(self, keys: Iterable[K]) -> list[V]:
        """The values of the keys, in the same order."""
        return await gather(*map(self.load, keys))

    def _dispatch(self) -> None:
        keys, self._next = self._next, []
        for start in range(0, len(keys), repo.MAX_BATCH):
            task = create_task(self._fetch(keys[start : start + repo.MAX_BATCH]))
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
            for future, make in self._waiting.pop(key):
                if not future.done():  # the caller may have been cancelled
                    _settle(future, value, make)


def _settle(future: Future[Any], value: V | BaseException, make: Callable[[V], Any] | None) -> None:
    if isinstance(value, BaseException):
        future.set_exception(value)
        future.exception()  # retrieved: callers get it, and asyncio must not log it
    else:
        future.set_result(value if make is None else make(value))


def _by_arguments(
    load: Callable[..., Awaitable[Mapping[K, Any]]], default: Any = _REQUIRED
) -> Loader[tuple[K, tuple[Any, ...]], Any]:
    """A loader for a field with arguments: one read for all keys with the same arguments. `default` is the
    value of a missing key; without it, no key is missing."""

    async def load_all(keys_and_arguments: list[tuple[K, tuple[Any, ...]]]) -> list[V | BaseException]:
        groups: dict[tuple[Any, ...], dict[K, None]] = {}
        for key, arguments in keys_and_arguments:
            groups.setdefault(arguments, {})[key] = None
        # Invalid arguments, such as a bad cursor, are the error of their own fields only.
        reads = [load(list(keys), *arguments) for arguments, keys in groups.items()]
        found = dict(zip(groups, await gather(*reads, return_exceptions=True), strict=True))
        return [value(found[arguments], key) for key, arguments in keys_and_arguments]

    def value(found: Mapping[K, V] | BaseException, key: K) -> V | BaseException:
        if isinstance(found, BaseException):
            return found
        return found[key] if default is _REQUIRED else found.get(key, default)

    return Loader(load_all)


def _by_listing(load: Callable[..., Awaitable[Mapping[K, Any]]]) -> Loader[tuple[K, tuple[Any, ...]], Any]:
    """A loader for a field whose last argument is the attributes to read: one read for all keys with the
    same other arguments, of all their attributes. `nodes` and `edges` of a page may select different
    attributes."""
    read = _by_arguments(_narrowed(load)).read

    async def load_all(keys_and_arguments: list[tuple[K, tuple[Any, ...]]]) -> Sequence[Any]:
        requested: dict[tuple[Any, ...], repo.Attributes] = {}
        for _, (*arguments, attributes) in keys_and_arguments:
            known = requested.get(tuple(arguments), frozenset())
            requested[tuple(arguments)] = None if known is None or attributes is None else known | attributes
        return await read([(key, (*rest, requested[tuple(rest)])) for key, (*rest, _) in keys_and_arguments])

    return Loader(load_all)


def _narrowed(load: Callable[..., Awaitable[Mapping[K, V]]]) -> Callable[..., Awaitable[Mapping[K, V]]]:
    """A read whose last argument is the attributes."""
    return lambda keys, *arguments: load(keys, *arguments[:-1], attributes=arguments[-1])


class Loaders:
    """The loaders of one operation, which read each row once. A mutation resets them."""

    def __init__(self, repository: repo.ActionRepo) -> None:
        self._repository = repository

    @cached_property
    def run(self) -> Loader[tuple[bytes, tuple[repo.Attributes]], repo.Run | None]:
        """Runs by key."""
        return _by_arguments(_narrowed(self._repository.runs.find), None)

    @cached_property
    def action(self) -> Loader[tuple[bytes, tuple[repo.Attributes]], repo.Action | None]:
        """Actions by key."""
        return _by_arguments(_narrowed(self._repository.actions.find), None)

    @cached_property
    def run_actions(self) -> Loader[tuple[bytes, Listing], repo.Page[repo.Action]]:
        """The actions of runs, by the key of the run."""
        return _by_listing(partial(self._repository.actions.pages, "run_key"))

    @cached_property
    def children(self) -> Loader[tuple[bytes, Listing], repo.Page[repo.Action]]:
        """The children of actions, by the key of the action."""
        return _by_listing(partial(self._repository.actions.pages, "parent_key"))

    @cached_property
    def run_action_count(self) -> Loader[tuple[bytes, tuple[repo.ActionFilter | None]], int]:
        """The number of actions of runs, by the key of the run."""
        return _by_arguments(partial(self._repository.actions.counts, "run_key"))

    @cached_property
    def child_count(self) -> Loader[tuple[bytes, tuple[repo.ActionFilter | None]], int]:
        """The number of children of actions, by the key of the action."""
        return _by_arguments(partial(self._repository.actions.counts, "parent_key"))

    @cached_property
    def run_phases(self) -> Loader[tuple[bytes, tuple[()]], list[repo.PhaseCount]]:
        """The number of actions of runs in each phase, by the key of the run."""
        return _by_arguments(self._repository.runs.count_phases)

    @cached_property
    def descendant_phases(self) -> Loader[tuple[bytes, tuple[()]], list[repo.PhaseCount]]:
        """The number of descendants of actions in each phase, by the key of the action."""
        return _by_arguments(self._repository.actions.count_phases_of_descendants)

    @cached_property
    def metrics(self) -> Loader[tuple[bytes, tuple[repo.Attributes]], list[repo.Metric]]:
        """The metrics of actions, by the key of the action."""
        return _by_listing(self._repository.actions.list_metrics)

    @cached_property
    def column_values(self) -> Loader[tuple[bytes, tuple[tuple[repo.ActionColumn, ...]]], list[Any]]:
        """The values of actions in columns, by the key of the action."""
        return _by_arguments(self._repository.actions.list_values)

    @cached_property
    def activity(self) -> Loader[tuple[bytes, tuple[()]], repo.RunActivity | None]:
        """When runs were last reported, and their leases, by the key of the run."""
        return _by_arguments(self._repository.leases.list_activity, None)

    @cached_property
    def aborts(self) -> Loader[tuple[bytes, tuple[repo.Attributes]], list[repo.Action]]:
        """The actions of runs whose abort is not confirmed, by the key of the run."""
        return _by_listing(self._repository.leases.list_aborts)

    @cached_property
    def events(self) -> Loader[tuple[repo.ActionIdentifier, EventListing], repo.Page[repo.ActionEvent]]:
        """Pages of the events of actions."""
        return _by_arguments(self._repository.events.page)

    @cached_property
    def event(self) -> Loader[tuple[repo.EventKey, tuple[()]], repo.ActionEvent | None]:
        """Single events."""
        return _by_arguments(self._repository.events.find, None)

    @cached_property
    def attempts(
        self,
    ) -> Loader[
        tuple[repo.ActionIdentifier, tuple[repo.AttemptRange, repo.Attributes]], list[repo.ActionAttempt]
    ]:
        """The attempts of actions."""
        return _by_listing(self._repository.events.list_attempts)

    @cached_property
    def latest_event(self) -> Loader[tuple[AttemptKey, tuple[()]], repo.ActionEvent | None]:
        """The latest events of attempts."""
        return _by_arguments(self._repository.events.get_latest, None)

    @cached_property
    def log_summary(self) -> Loader[tuple[AttemptKey, tuple[()]], repo.LogSummary | None]:
        """The summaries of the logs of attempts."""
        return _by_arguments(self._repository.logs.summaries, None)

    @cached_property
    def artifacts(self) -> Loader[tuple[repo.ActionIdentifier, ArtifactListing], list[repo.Artifact]]:
        """The artifacts of actions."""
        return _by_arguments(self._repository.artifacts.list_of)

    @cached_property
    def notes(self) -> Loader[tuple[repo.ActionIdentifier, tuple[int]], list[repo.Note]]:
        """The last notes of actions."""
        return _by_arguments(self._repository.notes.list_of)

    @cached_property
    def artifact_content(self) -> Loader[tuple[bytes, tuple[()]], bytes | None]:
        """The bytes of small artifacts, by id."""
        return _by_arguments(self._repository.artifacts.read, None)

    @cached_property
    def durations_of_task(self) -> Loader[tuple[repo.TaskKey, tuple[repo.RunFilter | None]], repo.Durations]:
        """The durations of runs by task, of those that match a filter."""
        return _by_arguments(self._repository.summaries.list_durations)

    @cached_property
    def typical_duration(self) -> Loader[tuple[repo.TaskKey, tuple[()]], repo.TypicalDuration | None]:
        """How long the recent runs of tasks took."""
        return _by_arguments(self._repository.overview.list_typical_durations, None)

    @cached_property
    def runs_of_task(self) -> Loader[tuple[repo.TaskKey, RunListing], Sequence[repo.Run]]:
        """The newest runs by task, of those that match a filter."""
        return _by_listing(self._repository.summaries.list_recent_runs)
