"""Benchmark: lists over HTTP beside the floor and stock execution."""

from bench import floor
from bench import stock as tuned
from bench.data import LIST, make_runs
from bench.load import Load, run_load
from bench.processes import rungraph, running
from bench.report import Result

_WITH_ROOTS = "query ($first: Int) { runs(first: $first) { nodes { name phase rootAction { name state } } } }"
_TURNS = 2


async def lists(database_url: str, seconds: float) -> list[Result]:
    """A list of 50 runs with 20 fields, and one with a dataloader field."""
    plain, loading = ({"query": query, "variables": {"first": 50}} for query in (LIST, _WITH_ROOTS))
    async with (
        rungraph(database_url) as ours,
        running(tuned.__name__, RUNGRAPH_DATABASE_URL=database_url) as stock,
        running(floor.__name__, RUNGRAPH_DATABASE_URL=database_url) as bare,
    ):
        await make_runs(ours, 2000)
        targets = [(ours, plain), (bare, plain), (stock, plain), (ours, loading), (stock, loading)]
        for process, body in targets:
            await run_load(process, body, seconds / 10)
        # In turns, so that other load affects all of them.
        found = [Load(0, 0, 0, 0)] * len(targets)
        for _ in range(_TURNS):
            for number, (process, body) in enumerate(targets):
                found[number] += await run_load(process, body, seconds / 3 / _TURNS)
    mine, least, slow, with_roots, slow_with_roots = found
    client = max(each.client for each in found)
    cpu, rate = mine.cpu_each / least.cpu_each, mine.rate / least.rate
    faster, faster_with_roots = mine.rate / slow.rate, with_roots.rate / slow_with_roots.rate
    name = "list 50 × 20"
    return [
        Result(f"{name}: CPU", cpu, "× floor", "≤ 1.15", cpu <= 1.15),
        Result(
            f"{name}: requests/s",
            rate,
            "× floor",
            "≥ 0.90",
            rate >= 0.9,
            f"{mine.rate:,.0f} a second",
            client,
        ),
        Result(
            f"{name}: requests/s",
            faster,
            "× stock",
            "≥ 12",
            faster >= 12,
            f"stock: {slow.rate:,.0f} a second",
        ),
        Result(
            "list with a dataloader's field: requests/s",
            faster_with_roots,
            "× stock",
            "≥ 5",
            faster_with_roots >= 5,
            f"{with_roots.rate:,.0f} a second, stock {slow_with_roots.rate:,.0f}",
        ),
        Result("the floor: CPU for a request", least.cpu_each * 1e6, "µs", "", None),
    ]
