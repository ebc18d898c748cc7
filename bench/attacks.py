"""Benchmark: what attacks cost the other clients of a server."""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.blocked import VARIABLE, BlockRecorder
from bench.data import LIST, make_runs
from bench.load import Connection, connected, request
from bench.processes import Process, rungraph
from bench.report import Result
from tests.faults.checks import percentile

_GOAL = 0.25
"""The goal for the longest block of the event loop, in seconds."""
_AT_ONCE = 8
"""The number of connections of an attack."""
_PAUSE = 0.01
"""Seconds between two requests of the honest client."""

_CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
_EVENTS = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
_UPDATE = "mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }"
_FILTERED = "query ($filter: RunFilter) { runs(filter: $filter) { totalCount } }"
_JSON = """mutation ($spec: JSON, $name: String!) { createAction(input: {spec: $spec,
             id: {project: "bench", domain: "d", runName: $name, name: "root"}}) { created } }"""

Body = Callable[[int], bytes]
"""The n-th request of an attack: no two are equal, so that nothing is cached."""


def _document(text: str) -> Body:
    return lambda number: request({"query": f"query Q{number} {{ {text} }}"})


def _variables(query: str, **variables: object) -> Body:
    text, once = json.dumps(variables), request({"query": query, "variables": variables})
    if "NUMBER" not in text:
        return lambda _: once
    return lambda number: request(
        {"query": query, "variables": json.loads(text.replace("NUMBER", str(number)))}
    )


def _body(json_text: bytes) -> Body:
    content = b'{"query":"query ($v: JSON) { __typename }","variables":{"v":%b}}' % json_text
    head = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    sent = head + b"Content-Length: %d\r\n\r\n" % len(content) + content
    return lambda _: sent


def _action(number: int, **rest: object) -> dict[str, object]:
    names = {"project": "bench", "domain": "d", "runName": "bomb-NUMBER", "name": f"a{number}"}
    return {"id": names, **rest}


def _id(number: int) -> dict[str, str]:
    return {"project": "bench", "domain": "d", "runName": "bomb-0", "name": f"a{number}"}


def attacks() -> Iterator[tuple[str, int, Body]]:
    """The attacks: name, request body, and number of requests."""
    yield "50,000 aliases", 40, _document(" ".join(f"a{i}: __typename" for i in range(50_000)))
    yield "aliases within the tokens", 40, _document(" ".join(f"a{i}: __typename" for i in range(1_300)))
    yield "tokens", 40, _document("__typename " * 3_900)
    yield "one field again and again", 40, _document("runs { nodes { name } } " * 490)
    arguments = " ".join(f"runs(first: {i}) {{ totalCount }}" for i in range(390))
    yield "one field with other arguments", 40, _document(arguments)
    yield "unknown fields", 40, _document(" ".join(f"x{i}" for i in range(3_900)))
    yield "unknown names", 40, _document("runs(filter: {" + "projct: 1 " * 1_200 + "}) { totalCount }")
    yield "blank lines", 40, _document("\n" * 60_000 + " x y z")
    phases = f"runs(filter: {{phases: [{'RUNNING ' * 3_900}]}}) {{ totalCount }}"
    yield "a list in the document", 40, _document(phases)
    schema = " ".join(f"a{i}: __schema {{ types {{ fields {{ name }} }} }}" for i in range(5))
    yield "the schema", 40, _document(schema)
    deep = "id"
    for _ in range(40):
        deep = f"children {{ nodes {{ {deep} }} }}"
    yield "depth", 40, _document(deep)
    yield "cost", 40, _document("runs(first: 1000) { nodes { actions(first: 1000) { nodes { id } } } }")
    yield "650,000 names", 24, _body(b"{%b}" % b",".join(b'"k%d":1' % i for i in range(650_000)))
    yield "2.5 million lists", 24, _body(b"[%b]" % b",".join([b"[]"] * 2_500_000))
    yield "as many objects as are allowed", 24, _body(b"[%b]" % b",".join([b'{"a":1}'] * 249_000))
    yield "a list of 500,000", 24, _variables(_FILTERED, filter={"phases": ["RUNNING"] * 500_000})
    yield "500,000 unknown names", 24, _variables(_FILTERED, filter={f"p{i}": 1 for i in range(495_000)})
    yield "100 labels", 24, _variables(_FILTERED, filter={"labels": [{"key": f"k{i}"} for i in range(100)]})
    yield "a batch with mistakes", 24, _variables(_CREATE, input=[_action(i, colour=1) for i in range(5_000)])
    yield (
        "JSON that is stored",
        4,
        _variables(_JSON, spec={f"k{i}": i for i in range(95_000)}, name="NUMBER"),
    )
    parents = [_action(i, parentName="a0" if i else None) for i in range(5_000)]
    yield "batches of 5,000 actions", 4, _variables(_CREATE, input=parents)
    updates = [{"id": _id(i), "phase": "RUNNING", "attempts": 1} for i in range(5_000)]
    yield "batches of 5,000 updates", 4, _variables(_UPDATE, input=updates)
    occurred = {"attempt": 1, "phase": "RUNNING", "occurredAt": "2026-01-31T12:00:00Z"}
    events = [{"action": _id(i), **occurred} for i in range(5_000)]
    yield "batches of 5,000 events", 4, _variables(_EVENTS, events=events)


class _Honest:
    """An honest client that requests a list every 10 ms."""

    def __init__(self, connection: Connection) -> None:
        self.times: list[float] = []
        self._connection = connection

    async def run(self) -> None:
        sent = request({"query": LIST, "variables": {"first": 20}})
        while True:
            began = time.monotonic()
            await self._connection.post(sent)
            self.times.append(time.monotonic() - began)
            await asyncio.sleep(_PAUSE)


async def _send(process: Process, bodies: list[bytes]) -> None:
    """Sends them over a few connections and reads the responses."""

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port, limit=2**26)
        while bodies:
            writer.write(bodies.pop())
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            assert int(head[9:12]) < 500, head
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            assert b"INTERNAL_SERVER_ERROR" not in await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(send() for _ in range(_AT_ONCE)))


async def bombs(database_url: str, seconds: float) -> list[Result]:
    """Runs each attack after a quiet period, beside an honest client."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blocked"
        recorder = BlockRecorder(path)
        async with rungraph(database_url, **{VARIABLE: str(path)}) as process:
            await make_runs(process, 1_000)
            for name, count, body in attacks():
                # Precomputed, since this process shares the cores.
                prepared = [body(number) for number in reversed(range(count))]
                results.append(await _attack(process, recorder, name, prepared, max(1.0, seconds / 10)))
    return results


async def _attack(
    process: Process, recorder: BlockRecorder, name: str, bodies: list[bytes], calm_for: float
) -> Result:
    """Measures the honest client in a quiet period, then during the attack."""
    async with connected(process) as connection:
        honest = _Honest(connection)
        running = asyncio.create_task(honest.run())
        await asyncio.sleep(0.5)
        honest.times.clear()
        recorder.take()
        await asyncio.sleep(calm_for)
        calm, calm_blocked = _summary(honest.times), recorder.take()
        honest.times.clear()
        count, before, began = len(bodies), process.memory(), time.monotonic()
        await _send(process, bodies)
        took = time.monotonic() - began
        await asyncio.sleep(0.1)
        (blocked, cpu), grown = recorder.take(), process.memory() - before
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    details = f"{cpu * 1000:.0f} ms of CPU time, {calm_blocked[0] * 1000:.0f} in a quiet period;  "
    details += f"honest p50/p99/max {_summary(honest.times)} ms, quiet {calm} ms; "
    details += f"{count} in {took:.1f} s, {grown / 2**20:+.0f} MiB"
    return Result(f"{name}: loop blocked", blocked * 1000, "ms", "≤ 250", blocked <= _GOAL, details)


def _summary(times: list[float]) -> str:
    parts = (percentile(times, 0.5), percentile(times, 0.99), max(times, default=None))
    return " / ".join("–" if part is None else f"{part * 1000:.0f}" for part in parts)
