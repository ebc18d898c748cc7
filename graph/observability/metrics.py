"""Prometheus metrics of the server. Workers share theirs in a folder, so that each can serve those of all."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from graph.observability.logs import dropped_log_lines
from graph.observability.telemetry import Telemetry
from repo import ActionRepo, DatabaseUnavailable, Supervisor

__all__ = ["CONTENT_TYPE", "Metrics", "ServerCounts", "forget_worker", "measuring", "share_metrics"]

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder of the workers' metrics, as the library expects it."""

_REFRESH_INTERVAL = 1.0
"""Seconds between two updates of a worker's metrics in the folder."""

_DATABASE_TIMEOUT = 2.0
"""Seconds for the database to count aborts; after that the previous counts are served."""

_Aggregation = Literal["livesum", "livemin", "livemax", "livemostrecent"]
"""How gauges of several workers are combined."""

# The creation times of counters would double the size of the response.
disable_created_metrics()  # type: ignore[no-untyped-call]


def share_metrics(folder: Path, worker: int) -> None:
    """Keep the metrics of this process in a folder that all workers share. Call it before any is created."""
    os.environ[_FOLDER] = str(folder)
    # By worker number, not by process id: a replacement continues the counters of the worker that died.
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def forget_worker(folder: Path, worker: int) -> None:
    """Remove the gauges of a worker that has died; its counters stay."""
    mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class ServerCounts:
    """Counts that parts of the server keep."""

    operations: int
    """Streamed operations that are running."""
    subscriptions: Mapping[str, int]
    """Those of them that are subscriptions, by field."""
    document_cache_hits: int
    document_cache_misses: int
    abort_attempts: int
    aborts_failed: int


class Metrics:
    """The metrics of this process."""

    def __init__(
        self,
        repository: ActionRepo,
        supervisor: Supervisor,
        telemetry: Telemetry,
        read_counts: Callable[[], ServerCounts],
    ) -> None:
        self._repository = repository
        self._supervisor = supervisor
        self._telemetry = telemetry
        self._read_counts = read_counts
        self._registry = CollectorRegistry()
        self._counted: dict[Counter, int] = {}
        self._loop_restarts: dict[str, Counter] = {}
        self._workers = self._gauge("workers", "Worker processes.")
        self._subscribers = self._gauge("subscribers", "Open subscriptions.")
        self._watches = self._gauge("watches", "Streams that subscriptions read; identical ones share one.")
        self._mailbox_entries = self._gauge("mailbox_entries", "Changes queued for slow subscribers.")
        self._lag = self._gauge("feed_lag_seconds", "Age of the oldest change that may be unread.", "livemax")
        self._websockets = self._gauge("websockets", "Open WebSockets.")
        self._subscriptions = self._gauge(
            "subscriptions", "Open subscriptions, by field.", "livesum", "field"
        )
        self._connections = self._gauge("database_connections_in_use", "Database connections in use.")
        self._max_connections = self._gauge(
            "database_connections_max", "Size of the database connection pool."
        )
        self._waiting = self._gauge("database_waiting", "Calls that wait for a database connection.")
        hits = self._counter("cache_hits", "Cache hits.", "cache")
        misses = self._counter("cache_misses", "Cache misses.", "cache")
        self._caches = [(hits.labels(name), misses.labels(name)) for name in ("documents", "statements")]
        self._tasks = self._gauge("tasks", "Tasks in the event loop.")
        self._bus_connected = self._gauge(
            "bus_connected", "Whether notifications reach other replicas.", "livemin"
        )
        self._polls = self._counter("feed_looks", "Polls for changes.")
        self._failures = self._counter("feed_failures", "Polls for changes that failed.")
        self._polls_without_notification = self._counter(
            "sweeps_that_found", "Periodic polls that found changes without a notification."
        )
        self._resyncs = self._counter("resyncs", "Streams that had to restart from a snapshot (RESYNC).")
        self._aborts_pending = self._gauge(
            "aborts_pending", "Aborts that wait for an executor, of all replicas.", "livemostrecent"
        )
        self._abort_age = self._gauge(
            "abort_oldest_age_seconds", "Age of the oldest pending abort.", "livemostrecent"
        )
        self._abort_attempts = self._counter("abort_attempts", "Attempts to notify executors of an abort.")
        self._aborts_failed = self._counter("aborts_given_up", "Aborts that failed after all attempts.")
        self._leases_held = self._gauge(
            "leases_held", "Leases of executors that have not expired, of all replicas.", "livemostrecent"
        )
        self._leases_expired = self._counter("leases_expired", "Leases that expired: lost executors.")
        self._failed_loops = self._gauge(
            "background_loops_failed", "Background loops that failed and are not running again."
        )
        self._restarts = self._counter(
            "background_restarts", "Restarts of background loops after a failure.", "loop"
        )
        self._appended_lines = self._counter("appended_log_lines", "Lines appended to logs of attempts.")
        self._appended_bytes = self._counter("appended_log_bytes", "Bytes of these lines, in UTF-8.")
        self._uploads = self._gauge("artifact_uploads", "Uploads of artifacts in progress.")
        self._artifacts = (
            self._counter("artifacts_stored", "Artifacts that were stored, by calls and uploads."),
            self._counter("artifact_bytes_stored", "Bytes of artifacts that were stored."),
            self._counter("artifact_uploads_failed", "Uploads that were refused or interrupted."),
            self._counter("artifact_objects_deleted", "Objects of removed artifacts that were deleted."),
            self._counter("artifact_cleanups_failed", "Attempts to delete such objects that failed."),
        )
        self._dropped_lines = self._counter("log_lines_dropped", "Log lines that could not be written.")

    def _gauge(self, name: str, text: str, aggregation: _Aggregation = "livesum", *labels: str) -> Gauge:
        return Gauge(f"rungraph_{name}", text, labels, registry=self._registry, multiprocess_mode=aggregation)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"rungraph_{name}", text, labels, registry=self._registry)

    def refresh(self) -> None:
        """Update the metrics from the counts that are kept elsewhere."""
        watch, database = self._repository.watches.metrics(), self._repository.database.metrics
        counts = self._read_counts()
        self._workers.set(1)
        self._subscribers.set(counts.operations)
        self._websockets.set(self._telemetry.websockets)
        for field, count in counts.subscriptions.items():
            self._subscriptions.labels(field).set(count)
        self._watches.set(watch.watches)
        self._mailbox_entries.set(watch.pending)
        self._lag.set(watch.lag_seconds)
        self._connections.set(database.in_use)
        self._max_connections.set(database.limit)
        self._waiting.set(database.waiting)
        self._tasks.set(len(asyncio.all_tasks()))
        self._bus_connected.set(watch.bus_connected)
        self._failed_loops.set(len(self._supervisor.failed))
        for loop in self._supervisor.restarts:
            if loop not in self._loop_restarts:
                self._loop_restarts[loop] = self._restarts.labels(loop)
        stored = self._repository.artifacts.objects.counts
        self._uploads.set(stored.uploading)
        of_artifacts = (
            stored.stored,
            stored.bytes,
            stored.uploads_failed,
            stored.objects_deleted,
            stored.cleanups_failed,
        )
        for counter, count in (
            *zip(self._artifacts, of_artifacts, strict=True),
            (self._polls, watch.counts.polls),
            (self._failures, watch.counts.failures),
            (self._polls_without_notification, watch.counts.polls_without_notification),
            (self._resyncs, watch.counts.resyncs),
            (self._abort_attempts, counts.abort_attempts),
            (self._aborts_failed, counts.aborts_failed),
            (self._appended_lines, self._repository.logs.counts.lines),
            (self._appended_bytes, self._repository.logs.counts.bytes),
            (self._leases_expired, self._repository.leases.expiry.expired),
            (self._dropped_lines, dropped_log_lines()),
            *((self._loop_restarts[loop], count) for loop, count in self._supervisor.restarts.items()),
            *zip(self._caches[0], (counts.document_cache_hits, counts.document_cache_misses), strict=True),
            *zip(self._caches[1], (database.hits, database.misses), strict=True),
        ):
            counter.inc(count - self._counted.get(counter, 0))
            self._counted[counter] = count

    async def text(self) -> bytes:
        """The metrics of all workers in the Prometheus text format."""
        self.refresh()
        with contextlib.suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(_DATABASE_TIMEOUT):
                aborts = await self._repository.aborts.metrics()
                self._leases_held.set(await self._repository.leases.count_held())
            oldest = aborts.oldest_requested_at
            age = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
            self._aborts_pending.set(aborts.pending)
            self._abort_age.set(max(0.0, age))
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        # Counters of telemetry live as long as the endpoint, which may outlive this lifespan.
        return generate_latest(self._registry) + generate_latest(self._telemetry.registry)

    async def keep_fresh(self) -> None:
        """Refresh the metrics of this worker for the others."""
        while True:
            self.refresh()
            await asyncio.sleep(_REFRESH_INTERVAL)


@asynccontextmanager
async def measuring(
    repository: ActionRepo,
    supervisor: Supervisor,
    telemetry: Telemetry,
    read_counts: Callable[[], ServerCounts],
) -> AsyncIterator[Metrics]:
    """The metrics of this process, shared with other workers within this context."""
    metrics = Metrics(repository, supervisor, telemetry, read_counts)
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
