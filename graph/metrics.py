"""Owns what is measured for an operator: /metrics, in the text format of Prometheus."""

import asyncio
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from repo import ActionRepo


class WatchCollector(Collector):
    """The figures of watching, read when they are asked for."""

    def __init__(self, repository: ActionRepo) -> None:
        self._repository = repository

    def collect(self) -> Iterator[Metric]:
        figures = self._repository.watch_figures()
        for name, value, what in (
            ("subscribers", figures.watches, "Watches that are open."),
            ("mailbox_entries", figures.pending, "Changes that wait for slow subscribers."),
            ("feed_lag_seconds", figures.lag_seconds, "Since when changes may not have been seen."),
            (
                "database_connections_in_use",
                self._repository.connections_in_use,
                "Connections to the database that are taken.",
            ),
            ("tasks", len(asyncio.all_tasks()), "Tasks of the event loop."),
            ("bus_connected", int(figures.bus_connected), "Whether other replicas can be told of a write."),
        ):
            yield GaugeMetricFamily(f"rungraph_{name}", what, value)
        for name, value, what in (
            ("feed_looks", figures.looks, "Looks at what was written."),
            ("feed_failures", figures.failures, "Looks that failed."),
            ("sweeps_that_found", figures.sweeps_that_found, "Looks that found what no bell rang for."),
            ("resyncs", figures.resyncs, "Subscribers that had to begin anew."),
        ):
            yield CounterMetricFamily(f"rungraph_{name}", what, value)


async def metrics(request: Request) -> Response:
    """All figures of this process."""
    registry = CollectorRegistry()
    registry.register(WatchCollector(request.app.state.repository))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
