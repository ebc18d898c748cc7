"""Benchmark: lists of callers that authenticate with an API token."""

import asyncio
import os
import sys
from pathlib import Path

from bench.data import LIST, make_runs
from bench.load import Load, run_load
from bench.processes import rungraph
from bench.report import Result

_RUNGRAPH = str(Path(sys.executable).with_name("rungraph"))
_SCOPE = ("--project", "bench", "--domain", "production")
_TURNS = 3


async def tokens(database_url: str, seconds: float) -> list[Result]:
    """A list of 50 runs: without authentication, by a viewer of everything and by a viewer of one domain."""
    body = {"query": LIST, "variables": {"first": 50}}
    async with (
        rungraph(database_url) as free,
        rungraph(database_url, RUNGRAPH_AUTH="token") as guarded,
    ):
        await make_runs(free, 2000)
        viewer = await _create(database_url, "viewer")
        scoped = await _create(database_url, "scoped viewer", *_SCOPE)
        targets = [(free, None), (guarded, viewer), (guarded, scoped)]
        for process, token in targets:
            await run_load(process, body, seconds / 10, token=token)
        # In turns, so that other load affects all of them.
        found = [Load(0, 0, 0, 0)] * len(targets)
        for _ in range(_TURNS):
            for number, (process, token) in enumerate(targets):
                found[number] += await run_load(process, body, seconds / 3 / _TURNS, token=token)
    without, *with_token = found
    return [
        Result(
            f"list 50 × 20 by a token of {whom}: CPU",
            load.cpu_each / without.cpu_each,
            "× without authentication",
            f"≤ {most}",
            load.cpu_each <= most * without.cpu_each,
            f"{load.rate:,.0f} a second, {without.rate:,.0f} without",
            load.client,
        )
        for load, whom, most in zip(
            with_token, ("everything", "one project and domain"), (1.15, 1.25), strict=True
        )
    ]


async def _create(database_url: str, name: str, *scope: str) -> str:
    """A new API token."""
    creating = await asyncio.create_subprocess_exec(
        *(_RUNGRAPH, "token", "create", "--name", name, "--role", "viewer", *scope),
        env={**os.environ, "RUNGRAPH_DATABASE_URL": database_url},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await creating.communicate()
    assert creating.returncode == 0
    return printed.decode().strip()
