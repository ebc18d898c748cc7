"""How an executor learns of abort requests: by a subscription or by polling."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Protocol

from ingest.client import GraphQLClient
from ingest.executor import Executor
from ingest.plan import Json, Plan
from ingest.subscription import Trouble, follow
from repo.domain.identifiers import RunIdentifier

_REQUESTS = """subscription AbortRequests($project: String!, $after: String) {
  abortRequests(project: $project, after: $after) {
    kind cursor removed
    actions { id project domain runName name abort { attemptCount } }
  }
}"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of whoever plays a run."""

    attempts: Mapping[str, int] = field(default_factory=dict)
    """The actions to stop, by name, with how often that was asked by now; 0 is not counted yet, and asked
    again at once."""
    ended: bool = False
    """The run has ended without its player."""


class AbortsOfRun(Protocol):
    """What a player hears of the aborts of its run."""

    async def asked(self) -> Asked:
        """What waits now. Raises ApiError."""

    async def wait(self, seconds: float) -> None:
        """Until there may be something new, or until so many seconds have passed."""

    def confirmed(self, name: str) -> None:
        """That an action is gone, and the server knows: it is not asked for any more."""


class PolledAborts:
    """The aborts of a run as the server answers when it is asked; each answer counts as an attempt.

    For who plays one run of many: a subscription makes the server count on it for a whole project.
    """

    def __init__(self, executor: Executor, plan: Plan, every_s: float = 1) -> None:
        """The server is asked every so many seconds."""
        self._executor = executor
        self._plan = plan
        self._every_s = every_s
        self._asked_at = float("-inf")
        self._answer = Asked()

    async def asked(self) -> Asked:
        """What waits now, or waited when the server was asked. Raises ApiError."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at < self._every_s:
            return self._answer
        self._asked_at = now
        phase, names = await self._executor.aborts_of(self._plan)
        attempts = {
            name: await self._executor.mark_abort_attempt(self._plan.id_input(name)) for name in names
        }
        self._answer = Asked(attempts, phase is not None and phase.is_terminal)
        return self._answer

    async def wait(self, seconds: float) -> None:
        """Until the server is asked again at the latest."""
        await asyncio.sleep(min(seconds, self._every_s))

    def confirmed(self, name: str) -> None:
        """The server does not name it any more."""


@dataclass(frozen=True, slots=True)
class _Request:
    run: RunIdentifier
    name: str
    attempts: int


class AbortRequests:
    """The aborts that wait in a project, as one subscription tells of them for all its runs."""

    def __init__(self, client: GraphQLClient, project: str, trouble: Trouble = lambda _: None) -> None:
        """`trouble` is told when the subscription is cut off, and when it goes on."""
        self._client = client
        self._project = project
        self._trouble = trouble
        self._requests: dict[str, _Request] = {}
        self._confirmed: set[str] = set()
        self._fresh: set[str] | None = set()
        self._changed = asyncio.Event()
        self._synced = asyncio.Event()
        self.version = 0
        """Grows with every change."""

    async def follow(self) -> None:
        """Keep them up to date until cancelled. Raises ApiError."""
        self._fresh = set()
        stream = follow(self._client, _REQUESTS, {"project": self._project}, trouble=self._trouble)
        async with aclosing(stream) as frames:
            async for frame in frames:
                self._apply(frame)

    @property
    def is_synced(self) -> bool:
        """Whether everything that waited at the start is known."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Return once everything that waited at the start is known."""
        await self._synced.wait()

    def runs(self) -> set[RunIdentifier]:
        """The runs in which something is to be stopped."""
        return {request.run for request in self._requests.values()}

    def of(self, run: RunIdentifier) -> dict[str, int]:
        """The actions of a run that are to be stopped, and how often that was asked."""
        return {asked.name: asked.attempts for asked in self._requests.values() if asked.run == run}

    def confirm(self, run: RunIdentifier, name: str) -> None:
        """Leave out what is gone, also where the server had asked again meanwhile."""
        for id_ in [id_ for id_, asked in self._requests.items() if (asked.run, asked.name) == (run, name)]:
            del self._requests[id_]
            self._confirmed.add(id_)

    def wake(self) -> None:
        """Have whoever waits look again."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, since: int, seconds: float) -> None:
        """Return once the version is another one, or after so many seconds."""
        if self.version == since:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    def _apply(self, frame: Json) -> None:
        if frame["kind"] == "RESYNC":
            # What was known stays until all is there anew: it is not confirmed by being sent again.
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


class FollowedAborts:
    """What the subscription says of one run."""

    def __init__(self, requests: AbortRequests, run: RunIdentifier) -> None:
        self._requests = requests
        self._run = run
        self._seen = -1
        self._ended = False

    def end(self) -> None:
        """Say that the run has ended without its player: its requests do not tell that."""
        self._ended = True
        self._requests.wake()

    async def asked(self) -> Asked:
        """What waits now."""
        await self._requests.synced()
        self._seen = self._requests.version
        return Asked(self._requests.of(self._run), self._ended)

    async def wait(self, seconds: float) -> None:
        """Until the subscription brings something."""
        await self._requests.change(self._seen, seconds)

    def confirmed(self, name: str) -> None:
        """Leave it out, also where the server had asked again meanwhile."""
        self._requests.confirm(self._run, name)
