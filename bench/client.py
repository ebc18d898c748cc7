"""Benchmark: what the Python client costs a script of 10,000 steps, and how many a second it delivers."""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.processes import rungraph
from bench.report import Result
from tests import ROOT

_SCRIPT = str(Path(__file__).with_name("tracked_loop.py"))
_UNREACHABLE = "http://127.0.0.1:9"
Values = dict[str, float]


async def client(database_url: str, rounds: int) -> list[Result]:
    """With a server on the same machine, with nothing listening, and with a server that never responds. The
    medians of some rounds, which take turns."""
    up: list[Values] = []
    disabled: list[Values] = []
    server_cpu = 0.0
    unavailable: list[Values] = []
    silent: list[Values] = []
    waiting: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        await reader.read()

    async with rungraph(database_url) as server, await asyncio.start_server(accept, "127.0.0.1", 0) as mute:
        silent_url = f"http://127.0.0.1:{mute.sockets[0].getsockname()[1]}"
        await _run(server.url, "flush")
        for _ in range(rounds):
            used = server.cpu()
            up.append(await _run(server.url, "flush"))
            server_cpu += (server.cpu() - used) / rounds
            disabled.append(await _run(server.url, RUNGRAPH_DISABLED="1"))
            unavailable.append(await _run(_UNREACHABLE))
            silent.append(await _run(silent_url))
        for writer in waiting:
            writer.close()
    results = []
    for name, values in (("", up), (", nothing listening", unavailable), (", a silent server", silent)):
        p50, p99 = _median(values, "p50"), _median(values, "p99")
        note = (
            f"untracked {_median(values, 'untracked_p50'):.2f} and {_median(values, 'untracked_p99'):.2f} µs"
        )
        results += [
            Result(f"a tracked call{name}: p50", p50, "µs", "≤ 20", p50 <= 20, note),
            Result(f"a tracked call{name}: p99", p99, "µs", "≤ 60", p99 <= 60),
        ]
    delivered = _median(up, "delivered")
    memory = max(_median(values, "memory_mib") for values in (up, unavailable, silent))
    plain = _median(disabled, "exit")
    refused = _median(unavailable, "exit") - plain
    mute_exit = _median(silent, "exit") - plain
    imported = min(values["import_ms"] for values in up + unavailable + silent)
    cpu = f"CPU a step: server {server_cpu * 100:.0f} µs, script {_median(up, 'cpu') * 100:.0f} µs"
    return [
        *results,
        Result("steps delivered", delivered, "/s", "≥ 2,000", delivered >= 2000, cpu),
        Result("memory of the script after 10,000 steps", memory, "MiB", "≤ 30", memory <= 30, "all of it"),
        Result("exit with nothing listening: delay", refused, "s", "≤ 0.5", refused <= 0.5),
        Result("exit with a silent server: delay", mute_exit, "s", "≤ 0.5", mute_exit <= 0.5),
        Result("`import rungraph`: CPU", imported, "ms", "≤ 30", imported <= 30, "the best"),
    ]


def _median(values: list[Values], name: str) -> float:
    return statistics.median(each[name] for each in values)


async def _run(url: str, *arguments: str, **environment: str) -> Values:
    with tempfile.TemporaryDirectory() as spool:
        environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": str(ROOT / "client"),
            "RUNGRAPH_URL": url,
            "RUNGRAPH_SPOOL": spool,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, _SCRIPT, *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        printed, _ = await process.communicate()
        ended = time.time()
    assert process.returncode == 0
    values: Values = json.loads(printed)
    return {**values, "exit": ended - values["ended"]}
