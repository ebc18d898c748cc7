"""Trials with many viewers: first subscribers, a storm of subscribers, clients that do not read, and a large
run."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from repo import RunIdentifier
from tests.faults import checks
from tests.faults.checks import Watched
from tests.faults.load import Executor
from tests.faults.stack import Replica, Stack
from tests.faults.trial import Outcome, leaks, settle, usage, watching

Measurements = dict[str, float]
_TIMEOUT = 30.0
_BATCH = 5000
_SMALL_BUFFER = 4096
_CREATE_MANY = """mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"""
_HEAVY = """subscription ($run: RunIdentifierInput!) {
  actions(run: $run) { kind cursor actions { id name revision phase attempts createdAt updatedAt spec } }
}"""


async def try_first_subscribers(stack: Stack, rounds: int, seed: int) -> Outcome:
    """Repeatedly subscribes 20 viewers at once, as the first ones, during writes."""
    outcome = Outcome()
    before = await usage(stack)
    run = RunIdentifier(f"first subscribers, {seed}", "faults", "run")
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        executor = Executor(client, stack.urls, run, 2, seed)
        await executor.begin()
        for turn in range(rounds):
            crowd = [
                checks.watch_actions(f"viewer {number} of turn {turn}", _rotated(stack.urls, number), run)
                for number in range(20)
            ]
            writing = asyncio.create_task(executor.play(f"t{turn}"))
            async with watching(crowd):
                await writing
                await settle(stack, crowd, outcome)
            outcome.count(crowd)
    outcome.problems += await leaks(stack, before)
    return outcome


async def try_storm(stack: Stack, seconds: float, seed: int) -> Outcome:
    """Viewers subscribe, and some leave, while executors write as fast as they can."""
    outcome = Outcome()
    before = await usage(stack)
    run = RunIdentifier(f"storm, {seed}", "faults", "run")
    async with AsyncExitStack() as exits, httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        executor = Executor(client, stack.urls, run, 6, seed, pause=0.005)
        await executor.begin()
        working = asyncio.create_task(executor.work())
        crowd: list[Watched] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            urls = _rotated(stack.urls, len(crowd))
            new = [
                checks.watch_actions(f"viewer {len(crowd)}", urls, run),
                checks.watch_events(f"viewer {len(crowd)} of events", urls, run),
            ]
            passing = checks.watch_actions("passing", urls, run)
            await exits.enter_async_context(watching(new))
            async with watching([passing]):
                await asyncio.sleep(0.1)
            crowd += new
        executor.finish()
        await asyncio.wait_for(working, _TIMEOUT)
        await settle(stack, crowd, outcome)
        outcome.count(crowd)
    outcome.problems += await leaks(stack, before)
    return outcome


async def try_stalled(stack: Stack, healthy: int, stalled: int, seconds: float, seed: int) -> Measurements:
    """Measures one replica with healthy viewers, then with additional clients that do not read. Times in
    seconds, memory in bytes per client that does not read."""
    replica, measurements = stack.replicas[0], {}
    urls = [replica.url]
    project = f"stalled, {seed}"
    big = RunIdentifier(project, "faults", "big")
    await make_large_run(replica, big, 3000)
    run = RunIdentifier(project, "faults", "run")
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        executor = Executor(client, urls, run, 1, seed, pause=0.1)
        await executor.begin()
        crowd = [checks.watch_actions(f"viewer {number}", urls, run) for number in range(healthy)]
        async with watching(crowd):
            measurements["p99_alone"] = await _p99(executor, crowd, "alone", seconds)
            before = replica.memory()
            async with AsyncExitStack() as exits:
                for _ in range(stalled):
                    await exits.enter_async_context(_non_reading_client(replica, big))
                # Their snapshot costs as much as that of any other viewer.
                await asyncio.sleep(stalled / 10)
                measurements["p99_with_stalled"] = await _p99(executor, crowd, "stalled", seconds)
                measurements["bytes_each"] = (replica.memory() - before) / stalled
                measurements["subscribers"] = (await replica.usage())["subscribers"]
            measurements["p99_alone_again"] = await _p99(executor, crowd, "again", seconds)
    return measurements


async def _p99(executor: Executor, crowd: Sequence[Watched], name: str, seconds: float) -> float:
    """The 99th percentile of the seconds from an acknowledged write until a viewer receives it."""
    began, turn = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        await executor.play(f"{name}-{turn}")
        turn += 1
    await asyncio.sleep(1)
    lags = []
    for written in executor.journal.written:
        if written.time >= began:
            seen = [watched.viewer.first_seen(written.name, written.revision) for watched in crowd]
            lags += [_TIMEOUT if at is None else max(0.0, at - written.time) for at in seen]
    return checks.percentile(lags, 0.99) or 0.0


@asynccontextmanager
async def _non_reading_client(replica: Replica, run: RunIdentifier) -> AsyncIterator[ClientConnection]:
    """A client that subscribes to many rows and does not read."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    link.connect(("127.0.0.1", urlsplit(replica.url).port))
    async with connect(
        f"{replica.url.replace('http', 'ws', 1)}/graphql",
        sock=link,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        ping_interval=None,
        close_timeout=0.1,
        max_queue=1,
        max_size=None,
    ) as connection:
        await connection.send('{"type":"connection_init"}')
        await connection.recv()
        payload = {"query": _HEAVY, "variables": {"run": checks.run_input(run)}}
        await connection.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        yield connection


async def try_large_run(stack: Stack, actions: int, seed: int) -> Measurements:
    """Measures watching a run of this many actions, in seconds; `longest_stall` is the longest latency of
    another request meanwhile."""
    replica = stack.replicas[0]
    run = RunIdentifier(f"large, {seed}", "faults", "run")
    await make_large_run(replica, run, actions)
    watched = checks.watch_actions("viewer", [replica.url], run)
    before = replica.memory()
    client = asyncio.create_task(_longest_answer(replica))
    await asyncio.sleep(1)
    began = time.monotonic()
    async with watching([watched]):
        took = time.monotonic() - began
        memory = replica.memory()
        outcome = Outcome()
        await settle(stack, [watched], outcome)
    client.cancel()
    assert outcome.problems == []
    return {
        "actions": float(len(watched.viewer.seen)),
        "seconds": took,
        "longest_stall": await client,
        "memory_grown": float(memory - before),
    }


async def _longest_answer(replica: Replica) -> float:
    """Sends small requests until cancelled; returns the longest latency."""
    longest = 0.0
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        try:
            while True:
                began = time.monotonic()
                await client.get(f"{replica.url}/livez")
                longest = max(longest, time.monotonic() - began)
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            return longest


async def make_large_run(replica: Replica, run: RunIdentifier, actions: int) -> None:
    """Creates a run of this many actions, including the root."""
    async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
        for start in range(0, actions, _BATCH):
            numbers = range(start, min(start + _BATCH, actions))
            batch = [_new(run, number) for number in numbers]
            body = {"query": _CREATE_MANY, "variables": {"input": batch}}
            made = (await client.post(f"{replica.url}/graphql", json=body)).json()
            assert made["data"]["createActions"]["created"] == len(batch), made


def _new(run: RunIdentifier, number: int) -> dict[str, Any]:
    names = {"project": run.project, "domain": run.domain, "runName": run.name, "name": f"a{number}"}
    spec = {"image": "registry/task:1", "arguments": [f"--part={number}", "--verbose"]}
    return {"id": names, "parentName": "a0" if number else None, "spec": spec}


def _rotated(urls: list[str], number: int) -> list[str]:
    """The URLs, rotated by `number`."""
    at = number % len(urls)
    return [*urls[at:], *urls[:at]]
