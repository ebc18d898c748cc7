"""Benchmark: the web UI in a real browser, on a large run and on a long, busy list."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.data import DOMAIN, PROJECT, action_id, make_actions, make_runs, update_phases
from bench.load import connected
from bench.processes import Process, rungraph
from bench.record import record
from bench.report import Result

_FRONTEND = Path(__file__).parent.parent / "frontend"
_LARGE, _SMALL = "wide", "small"
_FEW = 10
_BUSY = 50
"""The number of runs at the top of the list that keep changing."""


async def page(database_url: str, actions: int, runs: int, rate: int, seconds: float) -> list[Result]:
    """A run of many actions beside a small one, and a list of many runs with `rate` updates a second."""
    await record(database_url, 1, runs)
    async with rungraph(database_url) as process:
        await make_actions(process, _SMALL, _FEW)
        await make_actions(process, _LARGE, actions)
        await make_runs(process, _BUSY)
        async with _updates(process, rate) as count:
            seen = await _run_browser(process, seconds)
        written = count()
    many, few = seen["many"]["took"], seen["few"]["took"]
    longest = max(seen["scroll"]["longest"], seen["live"]["longest"], seen["liveScroll"]["longest"])
    floor = f"a page at rest: {seen['floor']['p95']:.0f} ms"
    return [
        Result(f"page: first rows of {actions:,} actions", many / 1000, "s", "≤ 1", many <= 1000),
        Result(f"page: first rows of {actions:,} actions", many / few, f"× those of {_FEW}", "", None),
        Result(f"page: all of {actions:,} actions", seen["many"]["all"] / 1000, "s", "", None),
        _smooth(f"page: scrolling through {actions:,} actions", seen["scroll"], floor),
        Result(f"page: memory for {actions:,} actions", seen["used"] / 1e6, "MB", "", None),
        Result(f"page: first of {runs:,} runs", seen["runs"]["took"] / 1000, "s", "", None),
        *_first("runs", seen["slow"]),
        *_first("a run", seen["slowRun"]),
        _smooth(f"page: {runs:,} runs, {rate} updates/s", seen["live"], f"{floor}; {written:,} updates"),
        _smooth(f"page: scrolling these, {rate} updates/s", seen["liveScroll"], floor),
        Result("page: longest time without a frame", longest, "ms", "", None),
    ]


def _first(what: str, seen: dict[str, float]) -> list[Result]:
    """Opened with nothing in the cache, on slow 4G (150 ms, 1.6 Mbit/s) and a CPU four times slower."""
    outline, row = seen["outline"] / 1000, seen["row"] / 1000
    return [
        Result(f"page: outline of {what}, slow 4G and CPU", outline, "s", "", None),
        Result(
            f"page: first of {what}, slow 4G and CPU", row, "s", "≤ 1.5", row <= 1.5, f"{seen['kB']:.0f} kB"
        ),
    ]


def _smooth(name: str, seen: dict[str, float], note: str) -> Result:
    # Two frames at 60 Hz: one missing frame is not visible.
    p95 = seen["p95"]
    return Result(f"{name}: between two frames, p95", p95, "ms", "≤ 34", p95 <= 34, note)


@asynccontextmanager
async def _updates(process: Process, rate: int) -> AsyncIterator[Any]:
    """Writes this many updates of runs per second while the context is open; yields their number."""
    written = 0

    async def write() -> None:
        nonlocal written
        attempt = 1
        async with connected(process) as connection:
            while True:
                attempt += 1
                names = [f"run-{number}" for number in range(_BUSY)]
                await update_phases(connection, [action_id(name, "a0") for name in names], attempt)
                written += _BUSY
                await asyncio.sleep(_BUSY / rate)

    writing = asyncio.create_task(write())
    try:
        yield lambda: written
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


async def _run_browser(process: Process, seconds: float) -> dict[str, Any]:
    """The browser's results."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "results.json"
        runs = {"large": _LARGE, "small": _SMALL}
        paths = {size: f"/runs/{PROJECT}/{DOMAIN}/{run}" for size, run in runs.items()}
        parameters = {"url": process.url, **paths, "seconds": seconds, "output": str(output)}
        running = await asyncio.create_subprocess_exec(
            *("npm", "run", "--silent", "bench"),
            cwd=_FRONTEND,
            env={**os.environ, "RUNGRAPH_BENCH": json.dumps(parameters)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output_text, _ = await running.communicate()
        if running.returncode:
            raise RuntimeError(output_text.decode())
        found: dict[str, Any] = json.loads(output.read_text())
        return found
