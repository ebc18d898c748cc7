"""Owns what is measured for an operator: /metrics, in the text format of Prometheus.

Several workers keep their figures in one folder, so that whichever is asked tells those of all.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import Response

from graph.aborts.reconciler import Reconciler
from graph.observability.logs import dropped_log_lines
from graph.transport.http import GraphQLEndpoint
from repo import ActionRepo, DatabaseUnavailable, Supervisor

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which the library knows where the workers' figures are."""

_EVERY = 1.0
"""Seconds after which a worker tells the others its figures again."""

_DATABASE_WITHIN = 2.0
"""Seconds that the database has to tell of aborts: who asks for the rest waits no longer."""

_OfWorkers = Literal["livesum", "livemin", "livemax", "livemostrecent"]
"""What the figures of several workers come to."""

# When a counter began says nothing that its reset would not, and doubles the page.
disable_created_metrics()  # type: ignore[no-untyped-call]


def share_metrics(folder: Path, worker: int) -> None:
    """Keep the figures of this process in a folder that all workers share. Call it before any is made."""
    os.environ[_FOLDER] = str(folder)
    # By number, not by process: who replaces a worker goes on counting where it died.
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def forget_worker(folder: Path, worker: int) -> None:
    """Take away what a worker that is dead measured last; what it counted stays."""
    mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class Metrics:
    """The figures of this process."""

    def __init__(
        self,
        repository: ActionRepo,
        endpoint: GraphQLEndpoint,
        reconciler: Reconciler,
        supervisor: Supervisor,
    ) -> None:
        self._supervisor = supervisor
        self._repository = repository
        self._endpoint = endpoint
        self._reconciler = reconciler
        self._registry = CollectorRegistry()
        self._counted: dict[Counter, int] = {}
        self._loop_restarts: dict[str, Counter] = {}
        self._workers = self._gauge("workers", "Processes that serve requests.")
        self._subscribers = self._gauge("subscribers", "Subscriptions that are open.")
        self._watches = self._gauge("watches", "Streams they read; those that ask the same share one.")
        self._mailbox_entries = self._gauge("mailbox_entries", "Changes that wait for slow subscribers.")
        self._lag = self._gauge("feed_lag_seconds", "Since when changes may not have been seen.", "livemax")
        self._websockets = self._gauge("websockets", "Websockets that are open.")
        self._subscriptions = Gauge(
            "rungraph_subscriptions",
            "Subscriptions that are open, by field.",
            ["field"],
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._connections = self._gauge(
            "database_connections_in_use", "Connections to the database that are taken."
        )
        self._most_connections = self._gauge(
            "database_connections_max", "Connections to the database that may be taken at a time."
        )
        self._waiting = self._gauge("database_waiting", "Calls that wait for such a connection.")
        hits = self._of_caches("cache_hits", "How often what was needed was still known.")
        misses = self._of_caches("cache_misses", "How often it had to be made.")
        self._caches = [(hits.labels(name), misses.labels(name)) for name in ("documents", "statements")]
        self._tasks = self._gauge("tasks", "Tasks of the event loop.")
        self._bus_connected = self._gauge(
            "bus_connected", "Whether other replicas can be told of a write.", "livemin"
        )
        self._looks = self._counter("feed_looks", "Looks at what was written.")
        self._failures = self._counter("feed_failures", "Looks that failed.")
        self._sweeps_that_found = self._counter(
            "sweeps_that_found", "Looks that found what no bell rang for."
        )
        self._resyncs = self._counter("resyncs", "Streams that had to begin anew.")
        self._aborts_pending = self._gauge(
            "aborts_pending", "Aborts that wait for an executor, of all replicas.", "livemostrecent"
        )
        self._abort_age = self._gauge(
            "abort_oldest_age_seconds", "Since when the oldest of them does.", "livemostrecent"
        )
        self._abort_attempts = self._counter("abort_attempts", "How often executors were told of an abort.")
        self._aborts_given_up = self._counter("aborts_given_up", "Aborts that were given up.")
        self._failed_loops = self._gauge(
            "background_loops_failed", "Background loops that ended by an error and are not alive again."
        )
        self._restarts = Counter(
            "rungraph_background_restarts",
            "How often background loops ended by an error, and were started again.",
            ["loop"],
            registry=self._registry,
        )
        self._dropped_lines = self._counter("log_lines_dropped", "Log lines that could not be written.")

    def _gauge(self, name: str, what: str, of_workers: _OfWorkers = "livesum") -> Gauge:
        return Gauge(f"rungraph_{name}", what, registry=self._registry, multiprocess_mode=of_workers)

    def _counter(self, name: str, what: str) -> Counter:
        return Counter(f"rungraph_{name}", what, registry=self._registry)

    def _of_caches(self, name: str, what: str) -> Counter:
        return Counter(f"rungraph_{name}", what, ["cache"], registry=self._registry)

    def refresh(self) -> None:
        """Read the figures that are kept elsewhere anew."""
        figures, database = self._repository.watch_figures(), self._repository.database_figures()
        live, engine = self._endpoint.live, self._endpoint.engine
        self._workers.set(1)
        self._subscribers.set(live.operations)
        self._websockets.set(self._endpoint.telemetry.websockets)
        for field, count in live.subscriptions.items():
            self._subscriptions.labels(field).set(count)
        self._watches.set(figures.watches)
        self._mailbox_entries.set(figures.pending)
        self._lag.set(figures.lag_seconds)
        self._connections.set(database.in_use)
        self._most_connections.set(database.most)
        self._waiting.set(database.waiting)
        self._tasks.set(len(asyncio.all_tasks()))
        self._bus_connected.set(figures.bus_connected)
        self._failed_loops.set(len(self._supervisor.failed))
        for loop in self._supervisor.restarts:
            if loop not in self._loop_restarts:
                self._loop_restarts[loop] = self._restarts.labels(loop)
        for counter, count in (
            (self._looks, figures.looks),
            (self._failures, figures.failures),
            (self._sweeps_that_found, figures.sweeps_that_found),
            (self._resyncs, figures.resyncs),
            (self._abort_attempts, self._reconciler.attempts),
            (self._aborts_given_up, self._reconciler.given_up),
            (self._dropped_lines, dropped_log_lines()),
            *((self._loop_restarts[loop], count) for loop, count in self._supervisor.restarts.items()),
            *zip(self._caches[0], (engine.known, engine.unknown), strict=True),
            *zip(self._caches[1], (database.hits, database.misses), strict=True),
        ):
            counter.inc(count - self._counted.get(counter, 0))
            self._counted[counter] = count

    async def text(self) -> bytes:
        """The figures of all workers as Prometheus reads them."""
        self.refresh()
        with contextlib.suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(_DATABASE_WITHIN):
                aborts = await self._repository.abort_figures()
            oldest = aborts.oldest_requested_at
            age = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
            self._aborts_pending.set(aborts.pending)
            self._abort_age.set(max(0.0, age))
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        # What the endpoint counts goes on where the application is started again; these begin anew.
        return generate_latest(self._registry) + generate_latest(self._endpoint.telemetry.registry)

    async def keep_fresh(self) -> None:
        """Tell the other workers these figures, again and again."""
        while True:
            self.refresh()
            await asyncio.sleep(_EVERY)


@asynccontextmanager
async def measuring(
    repository: ActionRepo, endpoint: GraphQLEndpoint, reconciler: Reconciler, supervisor: Supervisor
) -> AsyncIterator[Metrics]:
    """The figures of this process, which other workers know too as long as the context lasts."""
    metrics = Metrics(repository, endpoint, reconciler, supervisor)
    if _FOLDER not in os.environ:
        yield metrics
        return
    keeping = supervisor.start("metrics", metrics.keep_fresh)
    try:
        yield metrics
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        metrics.refresh()


async def metrics(request: Request) -> Response:
    """All figures of this server."""
    page: Metrics = request.app.state.metrics
    return Response(await page.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
