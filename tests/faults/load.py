"""Executors that write runs through any replica that responds, and record what was acknowledged."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from repo import ActionPhase, RunIdentifier

_CREATE = """mutation ($input: CreateActionInput!) { createAction(input: $input) { action { revision } } }"""
_UPDATE = """mutation ($input: UpdateActionPhaseInput!) {
  updateActionPhase(input: $input) { applied action { revision } }
}"""
_TOGETHER = """mutation ($input: UpdateActionPhaseInput!, $events: [ActionEventInput!]!) {
  insertEvents(events: $events) { inserted }
  updateActionPhase(input: $input) { applied action { revision } }
}"""
_ON_THE_WAY = ["INITIALIZING", "RUNNING"]
_PAUSE = 0.04
"""Average seconds between two writes of an action."""


class WriteRejected(Exception):
    """A server rejected a write, although all of them are valid."""


@dataclass(frozen=True)
class AcknowledgedWrite:
    """An acknowledged write."""

    time: float
    """The time.monotonic() of the acknowledgement."""
    name: str
    revision: int
    attempt: int
    phase: str


@dataclass
class Journal:
    """The acknowledged writes of one run."""

    run: RunIdentifier
    written: list[AcknowledgedWrite] = field(default_factory=list)
    events: set[str] = field(default_factory=set)
    """Each as ACTION/ATTEMPT/PHASE/VERSION."""


class Executor:
    """Executes one run: a root, and below it more and more actions until `finish`."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        urls: list[str],
        run: RunIdentifier,
        lanes: int,
        seed: int,
        pause: float = _PAUSE,
    ) -> None:
        self.journal = Journal(run)
        self._urls = urls
        self._lanes = lanes
        self._chance = random.Random(f"{run.name}-{seed}")
        self._finishing = asyncio.Event()
        self._client = client
        self._pause = pause

    async def begin(self, *names: str) -> None:
        """Creates the run, and in it actions written by others."""
        await self._create("a0", None)
        for name in names:
            await self._create(name, "a0")

    async def work(self) -> None:
        """Executes actions until `finish`, then ends them and the run."""
        await self._update("a0", "RUNNING", 1)
        await asyncio.gather(*(self._lane(number) for number in range(self._lanes)))
        await self._update("a0", "SUCCEEDED", 1)

    def finish(self) -> None:
        """Starts no more actions."""
        self._finishing.set()

    async def play(self, name: str) -> None:
        """Executes one action from creation to end."""
        await self._create(name, "a0")
        await self._go_through(name)

    async def _lane(self, lane: int) -> None:
        number = 0
        while not self._finishing.is_set():
            name = f"l{lane}-{number}"
            # Every fourth one is the parent of those after it: a tree of three levels.
            parent = "a0" if number % 4 == 0 else f"l{lane}-{number // 4 * 4}"
            await self._create(name, parent)
            await self._go_through(name)
            number += 1

    async def _go_through(self, name: str) -> None:
        """Executes the phases of an action, with failing attempts and with repeated and late updates."""
        sent: list[tuple[str, int]] = []
        attempt = 1
        while True:
            fails = attempt < 3 and self._chance.random() < 0.25
            for phase in [*_ON_THE_WAY, "FAILED" if fails else "SUCCEEDED"]:
                await asyncio.sleep(self._chance.uniform(0, 2 * self._pause))
                await self._update(name, phase, attempt)
                sent.append((phase, attempt))
                if self._chance.random() < 0.2:
                    again = self._chance.choice(sent)
                    await self._update(name, *again)
            if not fails:
                return
            attempt += 1

    async def _create(self, name: str, parent: str | None) -> None:
        made = await self._write(_CREATE, {"input": {"id": self._id(name), "parentName": parent}})
        revision = int(made["createAction"]["action"]["revision"])
        self.journal.written.append(AcknowledgedWrite(time.monotonic(), name, revision, 1, "QUEUED"))

    async def _update(self, name: str, phase: str, attempt: int) -> None:
        event = {
            "action": self._id(name),
            "attempt": attempt,
            "phase": phase,
            "occurredAt": datetime.now(UTC).isoformat(),
        }
        update = {"id": self._id(name), "phase": phase, "attempts": attempt}
        made = await self._write(_TOGETHER, {"events": [event], "input": update})
        self.journal.events.add(f"{name}/{attempt}/{phase}/0")
        result = made["updateActionPhase"]
        if result["applied"]:
            revision = int(result["action"]["revision"])
            self.journal.written.append(AcknowledgedWrite(time.monotonic(), name, revision, attempt, phase))

    def _id(self, name: str) -> dict[str, str]:
        run = self.journal.run
        return {"project": run.project, "domain": run.domain, "runName": run.name, "name": name}

    async def _write(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of a mutation, which is retried until a replica acknowledges it."""
        while True:
            try:
                response = await self._client.post(
                    f"{self._urls[0]}/graphql", json={"query": query, "variables": variables}
                )
                body = response.json()
            except (httpx2.TransportError, ValueError):
                body = {"errors": [{"extensions": {"code": "UNREACHABLE"}}]}
            errors = body.get("errors")
            if not errors:
                data: dict[str, Any] = body["data"]
                return data
            code = errors[0].get("extensions", {}).get("code")
            if code not in ("UNREACHABLE", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"):
                raise WriteRejected(f"{errors} to {variables}")
            self._urls = [*self._urls[1:], self._urls[0]]
            await asyncio.sleep(self._chance.uniform(0, 0.2))


def is_terminal(phase: str) -> bool:
    """Whether the phase is terminal."""
    return ActionPhase[phase].is_terminal
