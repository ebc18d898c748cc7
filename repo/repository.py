"""`ActionRepo`: the interface of the repository, its parts for everything else, and how it is opened."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial

from repo.aborts.aborts import Aborts
from repo.aborts.claims import Claims
from repo.actions import creation, event_rows, phase_updates, reports, states
from repo.actions.actions import Actions
from repo.actions.activity import Activity
from repo.actions.events import Events
from repo.actions.filters import ActionFilter, RunFilter
from repo.actions.group_commit import GroupCommit
from repo.actions.pruning import Pruning
from repo.actions.reports import Reports
from repo.actions.rows import Attributes
from repo.actions.runs import Runs
from repo.artifacts import writes
from repo.artifacts.artifacts import Artifacts
from repo.artifacts.objects import Objects
from repo.artifacts.stores import Store, open_store
from repo.credentials import Credentials
from repo.domain.artifacts import DEFAULT_LIMITS, ArtifactLimits
from repo.domain.authorization import FULL_ACCESS, Access
from repo.domain.errors import ActionNotFound, EventNotFound, RunNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.logs import DEFAULT_LOG_QUOTA
from repo.domain.models import Action, ActionEvent, Identity, NewAction, NewEvent, Run
from repo.domain.pages import Order, Page, PageRequest
from repo.domain.phases import ActionPhase, CacheStatus, PhaseUpdate
from repo.leases import renewal
from repo.leases.expiry import LeaseExpiry
from repo.leases.leases import Leases
from repo.logs import writer
from repo.logs.logs import LogCounts, Logs
from repo.migration import is_at_head
from repo.notes.notes import Notes
from repo.sql.database import Database
from repo.summaries.overview import Overview
from repo.summaries.tasks import Summaries
from repo.supervision import Supervisor
from repo.watch.bus import Bus
from repo.watch.hub import Hub
from repo.watch.log_tails import LogTails
from repo.watch.watches import Watches


class Backend:
    """What the repositories of all callers share."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        bus: Bus,
        tails: LogTails,
        log_quota: int = DEFAULT_LOG_QUOTA,
        artifact_limits: ArtifactLimits = DEFAULT_LIMITS,
        artifact_store: Store | None = None,
    ) -> None:
        self.database = database
        self.hub = hub
        self.bus = bus
        self.tails = tails
        self.claims = Claims()
        self.activity = Activity(database)
        self.lease_expiry = LeaseExpiry(database)
        self.creations = GroupCommit(database, creation.create)
        self.phase_updates = GroupCommit(database, phase_updates.advance_all)
        self.states = GroupCommit(database, states.set_states)
        self.insertions = GroupCommit(database, event_rows.insert)
        self.log_appends = GroupCommit(database, partial(writer.append, log_quota))
        self.log_counts = LogCounts()
        self.artifact_limits = artifact_limits
        self.objects = Objects(database, artifact_store)
        self.storing = GroupCommit(database, partial(writes.store_all, artifact_limits))
        self.reports = GroupCommit(database, reports.write_reports)
        self.renewals = GroupCommit(database, renewal.renew, lambda renewed: renewed.is_visible)


class ActionRepo:
    """The record of runs, for one caller. Each method takes a connection of its own; each write is one
    transaction.

    Times are aware and in UTC; durations are milliseconds. What the caller may not read does not exist for
    them; a write that they may not do raises Forbidden.
    """

    def __init__(self, backend: Backend, access: Access = FULL_ACCESS) -> None:
        database = backend.database
        self._backend = backend
        self.access = access
        self.database = database
        self.runs = Runs(database, access)
        self.actions = Actions(
            database, access, backend.creations, backend.phase_updates, backend.states, backend.activity
        )
        self.events = Events(database, access, backend.insertions, backend.activity)
        self.logs = Logs(database, access, backend.log_appends, backend.log_counts, backend.activity)
        self.artifacts = Artifacts(
            database,
            access,
            backend.storing,
            backend.objects,
            backend.artifact_limits,
            backend.activity,
        )
        self.notes = Notes(database, access)
        self.reports = Reports(access, backend.reports, backend.activity)
        self.watches = Watches(database, backend.hub, backend.bus, backend.tails, access)
        self.aborts = Aborts(database, access, backend.claims)
        self.leases = Leases(database, access, backend.renewals, backend.lease_expiry, backend.activity)
        self.summaries = Summaries(database, access)
        self.overview = Overview(database, access)
        self.credentials = Credentials(database)
        self.pruning = Pruning(database, backend.objects.clean_up_after_removal)
        self.watch_run_updates = self.watches.watch_run_updates
        self.watch_all_run_updates = self.watches.watch_all_run_updates
        self.watch_all_action_updates = self.watches.watch_all_action_updates
        self.watch_action_updates = self.watches.watch_action_updates
        self.watch_state_updates = self.watches.watch_state_updates

    def on_behalf_of(self, access: Access) -> "ActionRepo":
        """The repository for a caller with this access."""
        return self if access is self.access else ActionRepo(self._backend, access)

    async def check(self) -> None:
        """Return if the database can be read and written and has the newest schema. Raises DatabaseReadOnly
        if it can only be read, and another error otherwise."""
        async with self.database.read() as connection:
            await connection.run_sync(is_at_head)
        await self.database.check()

    # Runs

    async def get_run(self, run_id: RunIdentifier) -> Run:
        """The run. Raises RunNotFound."""
        run = (await self.runs.find([run_id.key])).get(run_id.key)
        if run is None:
            raise RunNotFound(f"there is no run {run_id}")
        return run

    async def list_root_actions(
        self,
        project: str,
        domain: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int | None = None,
    ) -> list[Action]:
        """The root actions, newest first, that were triggered (or created, if never triggered) between the
        two dates, both inclusive."""
        filter = RunFilter(project=project, domain=domain, start_date=start_date, end_date=end_date)
        return await self.runs.list_roots(filter, limit)

    # Actions

    async def get_action(self, action_id: ActionIdentifier) -> Action:
        """The action. Raises ActionNotFound."""
        action = (await self.actions.find([action_id.key])).get(action_id.key)
        if action is None:
            raise ActionNotFound(f"there is no action {action_id}")
        return action

    async def list_actions(
        self,
        run_id: RunIdentifier | None = None,
        filter: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> Page[Action]:
        """A page of the actions of one run, parents before their children, or of all runs, newest first;
        with these attributes or all. Raises InvalidCursor."""
        return await self.actions.page(run_id, filter, order, page, attributes)

    async def create_action(self, action: NewAction) -> tuple[Action, bool]:
        """The action, and whether it is new: one that exists only takes over an earlier `created_at`. A new
        action below an aborted one is aborted with it.

        Raises Conflict for a second root of a run, RunNotFound or ActionNotFound for a parent that does not
        exist. `action.update_triggered_at` also sets the run's `triggered_at` to now.
        """
        created = await self.actions.create([action])
        return await self.get_action(action.id), created == 1

    async def update_action_phase(
        self,
        action_id: ActionIdentifier,
        phase: ActionPhase,
        attempts: int,
        cache_status: CacheStatus | None = None,
        end_time: datetime | None = None,
        start_time: datetime | None = None,
        occurred_at: datetime | None = None,
    ) -> bool:
        """Whether the action is in the phase now: an update that is older than the stored state does not
        apply. The rules are those of `repo.domain.phases.advance`. Raises ActionNotFound."""
        update = PhaseUpdate(phase, attempts, cache_status, end_time, start_time, occurred_at)
        (result,) = await self.actions.update_phases([(action_id, update)])
        return result.applied

    # Events

    async def insert_events(self, new: Sequence[NewEvent]) -> int:
        """Insert the events in one transaction and return how many were new: an event is identified by its
        action, attempt, phase and version. Raises ActionNotFound, and then nothing is inserted."""
        return await self.events.insert(new)

    async def list_events(self, action_id: ActionIdentifier, limit: int | None = None) -> list[ActionEvent]:
        """The events of an action, oldest first; all of them without a limit."""
        return await self.events.list_since(action_id, limit=limit)

    async def list_events_since(
        self,
        action_id: ActionIdentifier,
        attempt: int,
        since: datetime,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[ActionEvent]:
        """The events of one attempt that occurred strictly after `since`, oldest first."""
        return await self.events.list_since(action_id, attempt, since, offset, limit)

    async def get_latest_event_by_attempt(self, action_id: ActionIdentifier, attempt: int) -> ActionEvent:
        """The event with the highest phase, then the highest version. Raises EventNotFound."""
        latest = await self.events.get_latest([(action_id, attempt)])
        if not latest:
            raise EventNotFound(f"attempt {attempt} of {action_id} has no events")
        return latest[action_id, attempt]

    # Aborts

    async def abort_run(self, run_id: RunIdentifier, reason: str | None, aborted_by: Identity | None) -> bool:
        """Whether this call aborts anything. An unfinished root becomes ABORTED, with a request that waits
        for its executor. A finished root stays as it ended; what is unfinished below it is aborted, each
        action with a request of its own. Raises RunNotFound."""
        return await self.aborts.abort_run(run_id, reason, aborted_by)

    async def abort_action(
        self, action_id: ActionIdentifier, reason: str | None, aborted_by: Identity | None
    ) -> bool:
        """As `abort_run`, for an action and what is below it. Raises ActionNotFound."""
        return await self.aborts.abort_action(action_id, reason, aborted_by)

    async def list_pending_aborts(self) -> list[Action]:
        """Every action whose abort is not confirmed, the oldest request first."""
        return await self.aborts.list_pending()

    async def mark_abort_attempt(self, action_id: ActionIdentifier, error: str | None = None) -> int:
        """Count one more attempt to have the executor abort the action, with the error it failed with, and
        return the number of attempts. Raises ActionNotFound, and Conflict if no abort is unconfirmed."""
        return await self.aborts.mark_attempt(action_id, error)

    async def clear_abort_request(self, action_id: ActionIdentifier) -> None:
        """Confirm the abort. What is unfinished below the action becomes ABORTED with it, for the same
        reason; the requester and the reason are kept. Does nothing if no abort is unconfirmed. Raises
        ActionNotFound."""
        await self.aborts.confirm(action_id)

    # State

    async def update_action_state(self, action_id: ActionIdentifier, state: str) -> None:
        """Store the executor's own text about an action and notify the watchers. Raises ActionNotFound."""
        await self.actions.set_state(action_id, state=state)

    async def get_action_state(self, action_id: ActionIdentifier) -> str | None:
        """The executor's own text about an action; None if it was never set. Raises ActionNotFound."""
        return await self.actions.get_state(action_id)

    async def notify_state_update(self, action_id: ActionIdentifier) -> None:
        """Notify the watchers that the state of an action changed, which they then read where the executor
        keeps it. Raises ActionNotFound."""
        await self.actions.set_state(action_id)


@asynccontextmanager
async def open_repository(
    url: str,
    pool_size: int = 10,
    broadcast_url: str = "memory://",
    on_commit: Callable[[], None] = lambda: None,
    statement_timeout: float = 0,
    connection_timeout: float = 10,
    supervisor: Supervisor | None = None,
    log_quota: int = DEFAULT_LOG_QUOTA,
    artifact_limits: ArtifactLimits = DEFAULT_LIMITS,
    artifact_store: str = "",
) -> AsyncIterator[ActionRepo]:
    """The repository over a database that `migrate` has brought to this version's schema.

    Over `broadcast_url` replicas notify each other of writes. `on_commit` is called after every committed
    write. A statement that takes longer than `statement_timeout` seconds is cancelled, and its call raises
    DeadlineExceeded; 0 means no limit. A call waits at most `connection_timeout` seconds for a connection.
    `supervisor` runs the background loops. Of the log of an attempt `log_quota` bytes are kept. Large
    artifacts are in `artifact_store` (`repo.artifacts.stores.open_store`). Raises InvalidArgument for a URL
    that is not supported.
    """

    def committed() -> None:
        hub.notify()
        bus.notify()
        on_commit()

    store = open_store(artifact_store, url)
    database = Database(url, pool_size, committed, statement_timeout, connection_timeout)
    supervisor = supervisor or Supervisor()
    hub = Hub(database, supervisor)
    tails = LogTails(database, hub, supervisor)
    bus = Bus(broadcast_url, hub.notify, supervisor)
    backend = Backend(database, hub, bus, tails, log_quota, artifact_limits, store)
    async with AsyncExitStack() as closing:  # closes everything, whatever fails or is cancelled
        closing.push_async_callback(database.close)
        closing.push_async_callback(hub.close)
        closing.push_async_callback(tails.close)
        loops = [supervisor.start("expiry", Pruning(database).keep_expiring)]
        if store is not None:
            loops.append(supervisor.start("artifact cleanup", backend.objects.keep_cleaning_up))
        closing.push_async_callback(_end, loops)
        closing.push_async_callback(backend.activity.close)
        await closing.enter_async_context(bus.open())
        yield ActionRepo(backend)


async def _end(loops: Sequence[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
