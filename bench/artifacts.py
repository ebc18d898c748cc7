"""Benchmark: small artifacts in calls beside events, and large ones by uploads and downloads beside Starlette
that writes to a file."""

import asyncio
import hashlib
import os
import tempfile
import time
from typing import Any

from bench.data import action_id, execute, make_actions
from bench.load import connected, request
from bench.processes import Process, rungraph, running
from bench.report import Result

_RUN = "artifacts"
_EXECUTORS = 16
_TURNS = 3
_UPLOADS = 6
_CHUNK = 256 * 1024
_STORE = "mutation ($input: StoreArtifactInput!) { storeArtifact(input: $input) { digest } }"
_INSERT = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
_ANNOUNCE = "mutation ($input: ArtifactUploadInput!) { createArtifactUpload(input: $input) { url } }"
_READ = "query ($id: ActionIdentifierInput!) { action(id: $id) { artifacts(attempt: 1) { name url } } }"


async def artifacts(database_url: str, seconds: float, size: int) -> list[Result]:
    """Artifacts of 1 KiB for this many seconds, and one of `size` bytes a few times."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            rungraph(database_url, RUNGRAPH_ARTIFACT_STORE=f"file://{folder}") as process,
            running("bench.stored_files") as floor,
        ):
            await make_actions(process, _RUN, 2_001)
            return [*await _small(process, seconds), *await _large(process, floor, size)]


async def _small(process: Process, seconds: float) -> list[Result]:
    """One after the other in turns, so that other load affects both."""
    rates = {"artifacts": 0.0, "events": 0.0}
    cpu = 0.0
    for turn in range(2 * _TURNS):
        what = "events" if turn % 2 else "artifacts"
        deadline, counts = time.monotonic() + seconds / _TURNS / 2, [0] * _EXECUTORS
        began, client = time.monotonic(), time.process_time()
        sending = (
            _send(process, what, f"{turn}-{executor}", executor, counts, deadline)
            for executor in range(_EXECUTORS)
        )
        await asyncio.gather(*sending)
        took = time.monotonic() - began
        rates[what] += sum(counts) / took / _TURNS
        cpu = max(cpu, (time.process_time() - client) / took)
    ratio = rates["artifacts"] / rates["events"]
    note = f"{rates['artifacts']:,.0f} a second of 1 KiB, {rates['events']:,.0f} events"
    return [
        Result("storeArtifact by 16 executors", ratio, "× insertEvents", "≥ 0.2", ratio >= 0.2, note, cpu)
    ]


async def _send(
    process: Process, what: str, of: str, executor: int, counts: list[int], deadline: float
) -> None:
    async with connected(process) as connection:
        while time.monotonic() < deadline:
            number = counts[executor]
            action = action_id(_RUN, f"a{1 + (executor * 125 + number % 125)}")
            body: dict[str, Any]
            if what == "events":
                event = {"action": action, "phase": "RUNNING", "attempt": 1, "version": number}
                event["occurredAt"] = f"2026-01-01T00:00:{int(of[0]):02}Z"
                event["attempt"] = 1 + int(of[0])
                body = {"query": _INSERT, "variables": {"events": [event]}}
            else:
                text = f"{of} {number} ".ljust(1024, "x")
                stored = {"action": action, "kind": "FILE", "name": f"{of} {number}", "text": text}
                body = {"query": _STORE, "variables": {"input": stored}}
            await connection.post(request(body))
            counts[executor] += 1


async def _large(process: Process, floor: Process, size: int) -> list[Result]:
    content = os.urandom(1024 * 1024) * (size // (1024 * 1024) + 1)
    content = content[:size]
    times: dict[str, list[float]] = {"up": [], "up floor": [], "down": [], "down floor": []}
    most = before = process.memory()
    for turn in range(_UPLOADS):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        announced = {"action": action_id(_RUN, "a0"), "kind": "FILE", "name": f"large {turn}"}
        input = announced | {"size": size, "digest": digest}
        url = (await execute(process, _ANNOUNCE, {"input": input}))["createArtifactUpload"]["url"]
        watching = asyncio.create_task(_peak(process))
        times["up"].append(await _put(process, f"/{url}", content))
        found = await execute(process, _READ, {"id": action_id(_RUN, "a0")})
        stored = found["action"]["artifacts"][-1]
        times["down"].append(await _get(process, f"/{stored['url']}", size))
        watching.cancel()
        most = max(most, _peaks.pop(watching))
        times["up floor"].append(await _put(floor, "/file", content))
        times["down floor"].append(await _get(floor, "/file", size))
    best = {name: min(each) for name, each in times.items()}
    megabytes, results = size / 1e6, []
    for way, name, goal in (("up", "upload", 1.5), ("down", "download", 1.5)):
        ratio = best[way] / best[f"{way} floor"]
        speeds = (megabytes / best[way], megabytes / best[f"{way} floor"])
        note = f"{speeds[0]:,.0f} MB/s, Starlette with a file {speeds[1]:,.0f}"
        results.append(
            Result(f"{name} of {megabytes:.0f} MB", ratio, "× Starlette", f"≤ {goal}", ratio <= goal, note)
        )
    grown = (most - before) / 2**20
    results.append(Result("memory meanwhile", grown, "MiB more", "≤ 32", grown <= 32))
    return results


_peaks: dict["asyncio.Task[None]", int] = {}


async def _peak(process: Process) -> None:
    """Notes the most memory until it is cancelled."""
    this = asyncio.current_task()
    assert this is not None
    while True:
        _peaks[this] = max(_peaks.get(this, 0), process.memory())
        await asyncio.sleep(0.01)


async def _put(process: Process, path: str, content: bytes) -> float:
    """The seconds of an upload."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    began = time.monotonic()
    writer.write(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n".encode())
    for start in range(0, len(content), _CHUNK):
        writer.write(content[start : start + _CHUNK])
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    took = time.monotonic() - began
    writer.close()
    return took


async def _get(process: Process, path: str, size: int) -> float:
    """The seconds of a download."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    began = time.monotonic()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    while size > 0:
        part = await reader.read(_CHUNK)
        assert part
        size -= len(part)
    took = time.monotonic() - began
    writer.close()
    return took
