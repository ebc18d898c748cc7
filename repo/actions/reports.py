"""Stores what executors report: new actions, their events and phases, progress and metrics, in one
transaction, with a result for each report. Neither the order of arrival nor repetitions have an effect."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, select

from repo.actions.activity import Activity
from repo.actions.creation import Changes, check_description, store
from repo.actions.event_rows import decide_errors, key_of, row_of
from repo.actions.group_commit import GroupCommit, check_batch
from repo.actions.losses import (
    REPORTED_AGAIN,
    lock_leases_first,
    renew_by_report,
    take_back,
)
from repo.actions.metrics import Metrics, store_metrics, stored_metrics, with_values
from repo.actions.phase_updates import LIFECYCLE_COLUMNS, abort_below_aborts, lifecycle_values
from repo.actions.placement import Placement, place
from repo.domain.authorization import Access, Permission
from repo.domain.errors import InvalidArgument, RepoError
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import NewAction, Progress, progress_from_json, progress_to_json
from repo.domain.phases import (
    ActionPhase,
    CacheStatus,
    Lifecycle,
    PhaseUpdate,
    advance,
    begin,
    created_by,
    described_at,
    taken_back,
    takes_back,
)
from repo.domain.reports import (
    MAX_METRICS,
    Report,
    ReportResult,
    latest_progress,
)
from repo.domain.slices import in_slices
from repo.sql.batches import fetch_having, insert_new
from repo.sql.transactions import Transaction
from repo.sql.types import check_value
from repo.tables import action_events, actions

c = actions.c


@dataclass(slots=True)
class _Entry:
    """A report that is being stored."""

    report: Report
    key: bytes
    event: dict[str, Any] | None
    """The row of its event."""
    result: ReportResult = field(default_factory=ReportResult)


@dataclass(slots=True)
class _Stored:
    """What is stored about an action, and what it becomes."""

    before: Lifecycle | None
    after: Lifecycle
    error_attempt: int | None = None
    progress: Progress | None = None
    reported_progress: Progress | None = None


Batch = Sequence[_Entry]
ReportWrites = GroupCommit[Batch, list[ReportResult]]


class Reports:
    """What a caller may report."""

    def __init__(self, access: Access, writes: ReportWrites, activity: Activity) -> None:
        self._access = access
        self._writes = writes
        self._activity = activity

    async def store(self, reports: Sequence[Report]) -> list[ReportResult]:
        """Store the reports in one transaction and return a result for each. One with an error is left out;
        the others are stored."""
        check_batch(reports)
        entries, now = [], datetime.now(UTC)
        async for report in in_slices(reports):
            entry = _Entry(report, report.id.key, None)
            try:
                self._access.check(Permission.WRITE, [report.id])
                if report.details is not None:
                    check_description(report.details)
                if report.progress is not None:
                    report.progress.check()
                if report.event is not None:
                    entry.event = row_of(report.event, now)
            except RepoError as error:
                entry.result.error = error
            entries.append(entry)
        valid = [entry for entry in entries if entry.result.error is None]
        try:
            await self._write(valid)
        except InvalidArgument:
            # A value that the databases cannot store: find it, and store the other reports.
            async for entry in in_slices(valid):
                entry.result = ReportResult(error=_unstorable(entry.report))
            if all(entry.result.error is None for entry in valid):
                raise
            await self._write([entry for entry in valid if entry.result.error is None])
        return [entry.result for entry in entries]

    async def _write(self, entries: Batch) -> None:
        if entries:
            results = await self._writes.write(entries, len(entries))
            self._activity.note(entry.report.id for entry in entries)
            for entry, result in zip(entries, results, strict=True):
                entry.result = result


def _unstorable(value: object) -> InvalidArgument | None:
    """The error for the first value that the databases cannot store."""
    try:
        if is_dataclass(value):
            return next(
                filter(None, (_unstorable(getattr(value, each.name)) for each in fields(value))), None
            )
        if isinstance(value, tuple):
            return next(filter(None, map(_unstorable, value)), None)
        check_value(value)
    except InvalidArgument as error:
        return error
    return None


async def write_reports(
    transaction: Transaction, batches: Sequence[Batch], now: datetime
) -> list[list[ReportResult]]:
    """Store the reports of each batch and return their results."""
    for batch in batches:
        for entry in batch:
            entry.result = ReportResult()  # the transaction may be repeated
    entries = [entry for batch in batches for entry in batch]
    if entries:
        await _Writing(transaction, entries, now).run()
    return [[entry.result for entry in batch] for batch in batches]


class _Writing:
    """One transaction."""

    def __init__(self, transaction: Transaction, entries: Sequence[_Entry], now: datetime) -> None:
        self._transaction = transaction
        self._entries = entries
        self._now = now
        self._creations: dict[bytes, datetime] = {}
        self._stored: dict[bytes, _Stored] = {}
        self._returned: dict[bytes, Lifecycle] = {}
        """Lost actions whose executor reported again, as they were."""

    async def run(self) -> None:
        """Store the reports; their results are set."""
        await lock_leases_first(self._transaction)
        placement = await self._place()
        await self._read(placement)
        metrics_before, metrics_after, are_refused = await self._merge_metrics()
        if are_refused:  # nothing of these is stored, not their actions either
            placement = await self._place()
            await self._read(placement)
            metrics_before, metrics_after, _ = await self._merge_metrics()
        await self._advance(placement)
        self._transaction.require_leases(key[:16] for key in self._returned)
        await self._write(placement, metrics_before, metrics_after)
        for entry in self._accepted():
            if (abort := placement.aborts.get(entry.key)) is not None:
                entry.result.abort = abort.abort

    async def _place(self) -> Placement:
        """Place the actions of the accepted reports; those that cannot be placed are refused."""
        named: dict[bytes, ActionIdentifier] = {}
        entries: list[_Entry] = []
        described: list[NewAction] = []
        async for entry in in_slices(self._accepted()):
            if entry.report.details is None:
                named[entry.key] = entry.report.id
            else:
                entries.append(entry)
                described.append(entry.report.details)
        placement = await place(self._transaction, described, named.values())
        for number, error in placement.errors.items():
            entries[number].result.error = error
        self._creations = {}
        for entry, action in zip(entries, described, strict=True):
            if entry.result.error is None and (created_at := action.created_at) is not None:
                known = self._creations.get(entry.key, created_at)
                self._creations[entry.key] = min(created_at, known)
        return placement

    def _accepted(self) -> Iterable[_Entry]:
        return (entry for entry in self._entries if entry.result.error is None)

    async def _read(self, placement: Placement) -> None:
        """Lock the actions that are stored, and begin the lifecycles of new ones."""
        self._stored = {}
        keys = {entry.key for entry in self._accepted()} & placement.stored.nodes.keys()
        rows = await fetch_having(self._transaction, "lock reported actions", c.key, keys, _locked)
        async for key, error_attempt, progress, *values in in_slices(rows):
            lifecycle = Lifecycle(*values)
            self._stored[key] = _Stored(lifecycle, lifecycle, error_attempt, progress_from_json(progress))
        for key in placement.new:
            created_at = self._creations.get(key, self._now) if key in placement.details else self._now
            # No attempt was reported yet: any number is a later one.
            lifecycle = begin(ActionPhase.QUEUED, 0, CacheStatus.DISABLED, created_at)
            self._stored[key] = _Stored(None, lifecycle)

    async def _merge_metrics(self) -> tuple[Metrics, Metrics, bool]:
        """The metrics before and after, and whether reports were refused for theirs."""
        are_refused = False
        keys = {entry.key for entry in self._accepted() if entry.report.metrics}
        before = await stored_metrics(self._transaction, keys) if keys else {}
        after = {key: dict(before.get(key, {})) for key in keys}
        for entry in self._accepted():
            if entry.report.metrics:
                merged = with_values(after[entry.key], entry.report.metrics)
                if len(merged) > MAX_METRICS:
                    text = f"an action has at most {MAX_METRICS} metrics, not {len(merged)}"
                    entry.result, are_refused = ReportResult(error=InvalidArgument(text)), True
                    continue
                entry.result.changed = merged != after[entry.key]
                after[entry.key] = merged
        return before, after, are_refused

    async def _advance(self, placement: Placement) -> None:
        """Apply the phases and the progress to the lifecycles in memory."""
        described: set[bytes] = set()
        async for entry in in_slices(self._accepted()):
            stored, report, result = self._stored[entry.key], entry.report, entry.result
            was = stored.after
            if report.details is not None:
                if entry.key not in described and entry.key in placement.described:
                    since = placement.stored.nodes[entry.key].placeholder_since
                    created_at = self._creations.get(entry.key)
                    stored.after = described_at(stored.after, created_at, since)
                    result.changed = True
                else:
                    stored.after = created_by(stored.after, self._creations.get(entry.key))
                if entry.key not in described and stored.before is None:
                    result.created = result.changed = True
                described.add(entry.key)
            update = report.update
            if update is None and report.details is not None:
                update = PhaseUpdate(ActionPhase.QUEUED, report.attempt)
            result.applied = True
            if takes_back(stored.after, report.attempt):
                self._returned[entry.key] = stored.after
                stored.after = taken_back(stored.after)
            if update is not None:
                stored.after, applied = advance(stored.after, update, self._now)
                result.applied = applied or report.update is None
            if report.progress is not None:
                known = stored.reported_progress or stored.progress
                stored.reported_progress = latest_progress(known, report.progress)
                result.changed |= stored.reported_progress != known
            result.changed |= stored.after != was
        for entry in self._accepted():
            if self._stored[entry.key].before is None and entry.key not in described:
                described.add(entry.key)
                entry.result.created = entry.result.changed = True

    async def _write(self, placement: Placement, metrics_before: Metrics, metrics_after: Metrics) -> None:
        transaction, now = self._transaction, self._now
        stopped = await self._stop_reopened()
        changes: Changes = dict(stopped)
        for key, stored in self._stored.items():
            columns: dict[str, Any] = {}
            if stored.before is not None and stored.after != stored.before:
                columns |= lifecycle_values(stored.after)
            if stored.reported_progress not in (None, stored.progress):
                assert stored.reported_progress is not None
                columns["progress"] = progress_to_json(stored.reported_progress)
            if columns:
                changes[key] = {**columns, **changes.get(key, {}), "updated_at": now}
        for key in metrics_after:
            if metrics_after[key] != metrics_before.get(key, {}):
                changes.setdefault(key, {"updated_at": now})
        lifecycles = {key: stored.after for key, stored in self._stored.items()}
        aborted = await store(transaction, placement, lifecycles, changes, now)
        for entry in self._accepted():
            is_stopped = entry.key in aborted or entry.key in stopped
            is_new, is_open = entry.key in placement.new, not lifecycles[entry.key].phase.is_terminal
            if is_stopped or (is_new and is_open and placement.aborts[entry.key] is not None):
                entry.result.applied = False
        await store_metrics(transaction, metrics_before, metrics_after)
        await self._insert_events()
        if self._returned:
            await take_back(transaction, self._returned, REPORTED_AGAIN, now)
            await renew_by_report(transaction, (key[:16] for key in self._returned))

    async def _stop_reopened(self) -> Changes:
        """Abort what is reopened below an aborted action."""
        reopened = {
            key: stored
            for key, stored in self._stored.items()
            if stored.before is not None
            and stored.before.phase.is_terminal
            and not stored.after.phase.is_terminal
        }
        if not reopened:
            return {}
        runs = {entry.report.id.run for entry in self._accepted() if entry.key in reopened}
        after = {key: stored.after for key, stored in reopened.items()}
        stopped: Changes = {}
        for row in await abort_below_aborts(self._transaction, runs, reopened, after, self._now):
            key = row.pop("key")
            self._stored[key].after = after[key]
            stopped[key] = row
        return stopped

    async def _insert_events(self) -> None:
        entries = [entry for entry in self._accepted() if entry.event is not None]
        rows = sorted((entry.event for entry in entries if entry.event), key=key_of)
        if not rows:
            return
        new = set(await insert_new(self._transaction, action_events, rows))
        ended: dict[bytes, bool] = {}
        for entry in entries:
            row = entry.event
            assert row is not None
            if (key := key_of(row)) in new:
                new.discard(key)
                entry.result.changed = True
                if row["phase"].is_terminal:
                    ended[entry.key] = ended.get(entry.key, False) or row["error"] is not None
        failed = {
            key
            for key, has_error in ended.items()
            if has_error or self._stored[key].error_attempt is not None
        }
        if failed:
            await decide_errors(self._transaction, failed, self._now)


def _locked(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    found = restricted(select(c.key, c.error_attempt, c.progress, *LIFECYCLE_COLUMNS)).order_by(c.key)
    return found.with_for_update(key_share=True, of=actions)
