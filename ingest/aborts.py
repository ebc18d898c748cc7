"""Pending abort requests of an executor, from a subscription or by polling."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Protocol

from ingest.client import GraphQLClient
from ingest.executor import Executor
from ingest.plan import Json, Plan
from ingest.subscription import OnInterruption, follow
from repo.domain.identifiers import RunIdentifier

_REQUESTS = """subscription AbortRequests($project: String!, $after: String) {
  abortRequests(project: $project, after: $after) {
    kind cursor removed
    actions { id project domain runName name abort { attemptCount } }
  }
}"""


@dataclass(frozen=True, slots=True)
class PendingAborts:
    """The pending aborts of a run."""

    attempts: Mapping[str, int] = field(default_factory=dict)
    """The actions to stop, by name, with the number of attempts so far; 0 with a subscription until the
    first attempt is counted."""
    ended: bool = False
    """The run was ended by another client."""


class RunAborts(Protocol):
    """A source of the pending aborts of one run."""

    async def pending(self) -> PendingAborts:
        """The pending aborts. Raises ApiError."""

    async def wait(self, seconds: float) -> None:
        """Returns when there may be a change, at the latest after `seconds`."""

    def confirmed(self, name: str) -> None:
        """Removes an action whose abort is confirmed."""


class PolledAborts:
    """Polls the pending aborts of a run and marks an attempt for each. For an executor of a single run: with
    a subscription the server would rely on it for the whole project."""

    def __init__(self, executor: Executor, plan: Plan, interval_s: float = 1) -> None:
        """`interval_s` is the poll interval in seconds."""
        self._executor = executor
        self._plan = plan
        self._interval_s = interval_s
        self._polled_at = float("-inf")
        self._pending = PendingAborts()

    async def pending(self) -> PendingAborts:
        """The pending aborts as of the last poll. Raises ApiError."""
        now = asyncio.get_running_loop().time()
        if now - self._polled_at < self._interval_s:
            return self._pending
        self._polled_at = now
        phase, names = await self._executor.pending_aborts(self._plan)
        attempts = {
            name: await self._executor.mark_abort_attempt(self._plan.id_input(name)) for name in names
        }
        self._pending = PendingAborts(attempts, phase is not None and phase.is_terminal)
        return self._pending

    async def wait(self, seconds: float) -> None:
        """Returns at the next poll at the latest."""
        await asyncio.sleep(min(seconds, self._interval_s))

    def confirmed(self, name: str) -> None:
        """Does nothing: the next poll omits confirmed aborts."""


@dataclass(frozen=True, slots=True)
class _Request:
    run: RunIdentifier
    name: str
    attempts: int


class AbortRequests:
    """The pending aborts of all runs of a project, from one subscription."""

    def __init__(
        self, client: GraphQLClient, project: str, on_interruption: OnInterruption = lambda _: None
    ) -> None:
        """`on_interruption` is called when the subscription is interrupted and when it has resumed."""
        self._client = client
        self._project = project
        self._on_interruption = on_interruption
        self._requests: dict[str, _Request] = {}
        self._confirmed: set[str] = set()
        self._fresh: set[str] | None = set()
        self._changed = asyncio.Event()
        self._synced = asyncio.Event()
        self.version = 0
        """Increases with every change."""

    async def follow(self) -> None:
        """Follows the subscription until cancelled. Raises ApiError."""
        self._fresh = set()
        stream = follow(
            self._client, _REQUESTS, {"project": self._project}, on_interruption=self._on_interruption
        )
        async with aclosing(stream) as frames:
            async for frame in frames:
                self._apply(frame)

    @property
    def is_synced(self) -> bool:
        """Whether the first snapshot is complete."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Waits for the first snapshot."""
        await self._synced.wait()

    def runs(self) -> set[RunIdentifier]:
        """The runs with pending aborts."""
        return {request.run for request in self._requests.values()}

    def of(self, run: RunIdentifier) -> dict[str, int]:
        """The pending aborts of a run: the number of attempts by action name."""
        return {each.name: each.attempts for each in self._requests.values() if each.run == run}

    def confirm(self, run: RunIdentifier, name: str) -> None:
        """Removes a confirmed abort, also if the server sends it once more."""
        for id_ in [id_ for id_, each in self._requests.items() if (each.run, each.name) == (run, name)]:
            del self._requests[id_]
            self._confirmed.add(id_)

    def wake(self) -> None:
        """Wakes all waiters."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, since: int, seconds: float) -> None:
        """Returns when the version differs from `since`, at the latest after `seconds`."""
        if self.version == since:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    def _apply(self, frame: Json) -> None:
        if frame["kind"] == "RESYNC":
            # Known requests stay until the new snapshot is complete: one that is still missing may follow.
            self._fresh = set()
        for id_ in frame["removed"]:
            self._requests.pop(id_, None)
            self._confirmed.discard(id_)
        for node in frame["actions"]:
            if node["id"] not in self._confirmed:
                run = RunIdentifier(node["project"], node["domain"], node["runName"])
                self._requests[node["id"]] = _Request(run, node["name"], node["abort"]["attemptCount"])
            if self._fresh is not None:
                self._fresh.add(node["id"])
        if frame["kind"] == "SYNCED" and self._fresh is not None:
            for id_ in self._requests.keys() - self._fresh:
                del self._requests[id_]
            self._confirmed &= self._fresh
            self._fresh = None
            self._synced.set()
        self.wake()


class SubscribedAborts:
    """The pending aborts of one run, from the subscription of its project."""

    def __init__(self, requests: AbortRequests, run: RunIdentifier) -> None:
        self._requests = requests
        self._run = run
        self._seen = -1
        self._ended = False

    def end(self) -> None:
        """Notes that another client ended the run, which the subscription does not report."""
        self._ended = True
        self._requests.wake()

    async def pending(self) -> PendingAborts:
        """The pending aborts."""
        await self._requests.synced()
        self._seen = self._requests.version
        return PendingAborts(self._requests.of(self._run), self._ended)

    async def wait(self, seconds: float) -> None:
        """Returns at the next change of the subscription, at the latest after `seconds`."""
        await self._requests.change(self._seen, seconds)

    def confirmed(self, name: str) -> None:
        """Removes it, also if the server sends it once more."""
        self._requests.confirm(self._run, name)
