"""Owns ActionRepo: every read and write of runs, actions and events, named as in the interface."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import NamedColumn

from repo.aborts import requests
from repo.aborts.leases import Leases
from repo.aborts.methods import Aborting
from repo.actions import (
    attempt_pages,
    counts,
    creation,
    events,
)
from repo.actions.attempt_pages import AttemptRange
from repo.actions.events import EVENT_COLUMNS, event_of
from repo.actions.filters import ActionFilter, RunFilter, action_conditions
from repo.actions.group_commit import Group
from repo.actions.lists import in_scopes, order_of_actions, order_of_runs
from repo.actions.phase_updates import Updates, advance_all
from repo.actions.pruning import Pruning
from repo.actions.rows import ACTION_COLUMNS, ACTIONS, RUNS, Attributes
from repo.credentials import Credentials
from repo.domain.authorization import Permission, includes
from repo.domain.errors import (
    ActionNotFound,
    EventNotFound,
    InvalidArgument,
    RunNotFound,
)
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import (
    Action,
    ActionAttempt,
    ActionEvent,
    NewAction,
    NewEvent,
    PhaseCount,
    Run,
)
from repo.domain.pages import Order, Page, PageRequest
from repo.domain.phases import ActionPhase, CacheStatus, PhaseUpdate, PhaseUpdateResult, is_count
from repo.migration import is_at_head
from repo.sql.database import Database, DatabaseMetrics
from repo.sql.filters import having_keys, key_filter
from repo.sql.functions import this_transaction
from repo.sql.paging import fetch_page, fetch_pages
from repo.summaries.tasks import Summing
from repo.tables import action_events, actions, is_root
from repo.watch.bus import Bus
from repo.watch.hub import Hub

MAX_BATCH = 5000
"""How many actions, events or updates one call takes."""

NEWEST_FIRST = Order()
NEWEST_ATTEMPTS = AttemptRange()

c = actions.c
e = action_events.c


class ActionRepo(Aborting, Summing, Credentials, Pruning):
    """The record of runs. Each method takes a connection of its own; each write is one transaction.

    Times are aware and come back in UTC; durations are milliseconds. What the caller may not see is as if it
    were not there; what they may not do raises Forbidden.
    """

    def __init__(self, database: Database, hub: Hub, bus: Bus) -> None:
        self._database = database
        self._hub = hub
        self._bus = bus
        self._leases = Leases()
        self._creating = Group[Sequence[NewAction], int](
            database, lambda connection, batches: creation.create(database, connection, batches, _now())
        )
        self._inserting = Group[events.Batch, int](
            database, lambda connection, batches: events.insert(database, connection, batches, _now())
        )
        self._advancing = Group[Updates, list[PhaseUpdateResult]](
            database, lambda connection, batches: advance_all(database, connection, batches, _now())
        )

    # Runs

    async def get_run(self, run_id: RunIdentifier) -> Run:
        """The run. Raises RunNotFound."""
        run = (await self.get_runs([run_id])).get(run_id)
        if run is None:
            raise RunNotFound(f"there is no run {run_id}")
        return run

    async def get_runs(self, run_ids: Iterable[RunIdentifier]) -> dict[RunIdentifier, Run]:
        """The runs among these that exist."""
        found = await self.find_runs([run_id.key for run_id in run_ids])
        return {run.identifier: run for run in found.values()}

    async def find_runs(self, keys: Collection[bytes], attributes: Attributes = None) -> dict[bytes, Run]:
        """The runs among those with these keys that exist; of which only these attributes are read, or
        all."""
        names = RUNS.names(None if attributes is None else attributes | {"run_key"})
        given = key_filter(self._database, c.run_key, keys)
        found = await self._database.fetch(
            ("runs", names, given.key, self._seen),
            lambda: given.apply(select(*RUNS.select(names)).where(is_root, *in_scopes(self._seen))),
            given.values,
        )
        return {run.run_key: run for run in found.rows(Run, names)}

    async def list_runs(
        self,
        wanted: RunFilter | None = None,
        order: Order = NEWEST_FIRST,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> Page[Run]:
        """A page of runs, of which only these attributes are read, or all. Raises InvalidCursor."""
        names = RUNS.names(attributes)
        return await fetch_page(
            self._database,
            ("list of runs", names, wanted, self._seen),
            lambda: select(*RUNS.select(names)).where(*self._matching(wanted)),
            order_of_runs(order),
            page,
            lambda found: found.rows(Run, names),
        )

    async def count_runs(self, wanted: RunFilter | None = None) -> int:
        """How many runs match: reads every one of them."""
        return await self._count(self._matching(wanted))

    async def list_root_actions(
        self,
        project: str,
        domain: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int | None = None,
    ) -> list[Action]:
        """The newest root actions first, of those triggered (or created, where never triggered)
        between the two dates, both inclusive."""
        events.check_limit(limit)
        wanted = RunFilter(project=project, domain=domain, start_date=start_date, end_date=end_date)
        statement = select(*ACTION_COLUMNS).where(*self._matching(wanted))
        statement = statement.order_by(c.created_at.desc(), c.key.desc()).limit(limit)
        return [Action(*row) for row in await self._rows(statement)]

    async def list_projects(self) -> dict[str, list[str]]:
        """The projects that have runs, each with its domains, by name."""
        async with self._database.read() as connection:
            return await counts.projects(connection, self._seen)

    # Actions

    async def get_action(self, action_id: ActionIdentifier) -> Action:
        """The action. Raises ActionNotFound."""
        action = (await self.get_actions([action_id])).get(action_id)
        if action is None:
            raise ActionNotFound(f"there is no action {action_id}")
        return action

    async def get_actions(self, action_ids: Iterable[ActionIdentifier]) -> dict[ActionIdentifier, Action]:
        """The actions among these that exist."""
        found = await self.find_actions([action_id.key for action_id in action_ids])
        return {action.identifier: action for action in found.values()}

    async def find_actions(
        self, keys: Collection[bytes], attributes: Attributes = None
    ) -> dict[bytes, Action]:
        """The actions among those with these keys that exist; of which only these attributes are read, or
        all."""
        names = ACTIONS.names(None if attributes is None else attributes | {"key"})
        given = key_filter(self._database, c.key, keys)
        found = await self._database.fetch(
            ("actions", names, given.key, self._seen),
            lambda: given.apply(select(*ACTIONS.select(names))).where(*in_scopes(self._seen)),
            given.values,
        )
        return {action.key: action for action in found.rows(Action, names)}

    async def list_actions(
        self,
        run_id: RunIdentifier | None = None,
        wanted: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> Page[Action]:
        """A page of the actions of one run, parents before their children, or of all runs, newest first;
        of which only these attributes are read, or all. Raises InvalidCursor."""
        in_a_run, names = run_id is not None, ACTIONS.names(attributes)
        values = {} if run_id is None else {"run_key": run_id.key}

        def statement() -> Select[Any]:
            found = select(*ACTIONS.select(names)).where(*in_scopes(self._seen), *action_conditions(wanted))
            return found.where(c.run_key == bindparam("run_key", type_=c.run_key.type)) if in_a_run else found

        return await fetch_page(
            self._database,
            ("list of actions", in_a_run, names, wanted, self._seen),
            statement,
            order_of_actions(order, in_a_run),
            page,
            lambda found: found.rows(Action, names),
            values,
        )

    async def list_actions_of_runs(
        self,
        run_keys: Collection[bytes],
        wanted: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> dict[bytes, Page[Action]]:
        """The same page of each run's actions, in one statement. Raises InvalidCursor."""
        return await self._pages_of_actions(c.run_key, run_keys, wanted, order, page, attributes)

    async def list_children(
        self,
        parent_keys: Collection[bytes],
        wanted: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> dict[bytes, Page[Action]]:
        """The same page of each parent's children, in one statement. Raises InvalidCursor."""
        return await self._pages_of_actions(c.parent_key, parent_keys, wanted, order, page, attributes)

    async def count_actions(
        self, run_id: RunIdentifier | None = None, wanted: ActionFilter | None = None
    ) -> int:
        """How many actions of a run, or of all runs, match: reads every one of them."""
        in_run = [] if run_id is None else [c.run_key == run_id.key]
        return await self._count([*in_run, *in_scopes(self._seen), *action_conditions(wanted)])

    async def count_actions_of_runs(
        self, run_keys: Collection[bytes], wanted: ActionFilter | None = None
    ) -> dict[bytes, int]:
        """How many actions of each run match."""
        return await self._counts(c.run_key, run_keys, wanted)

    async def count_children(
        self, parent_keys: Collection[bytes], wanted: ActionFilter | None = None
    ) -> dict[bytes, int]:
        """How many children of each parent match."""
        return await self._counts(c.parent_key, parent_keys, wanted)

    async def count_phases_of_runs(self, run_keys: Collection[bytes]) -> dict[bytes, list[PhaseCount]]:
        """All actions of each run by phase, the root included; phases with none are left out."""
        found = await counts.phases_of_runs(self._database, run_keys, self._seen)
        return {key: found.get(key, []) for key in run_keys}

    async def count_phases_of_descendants(self, keys: Collection[bytes]) -> dict[bytes, list[PhaseCount]]:
        """All descendants of each action by phase; phases with none are left out."""
        found = await counts.phases_of_descendants(self._database, keys, self._seen)
        return {key: found.get(key, []) for key in keys}

    async def create_action(self, action: NewAction) -> tuple[Action, bool]:
        """The action, and whether it is new: of one that exists only an earlier `created_at` is taken. One
        below an aborted action is aborted with it.

        Raises Conflict for a second root of a run, RunNotFound or ActionNotFound for a parent that
        does not exist. `action.update_triggered_at` also sets the run's `triggered_at` to now.
        """
        created = await self.create_actions([action])
        return await self.get_action(action.id), created == 1

    async def create_actions(self, new: Sequence[NewAction]) -> int:
        """How many of the actions were new, all in one transaction. Raises as create_action does; a
        parent may be among them, in any order."""
        _check_batch(new)
        self._check(Permission.WRITE, (action.id for action in new))
        return await self._creating.write(new, len(new))

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
        """Whether the action is in the phase now: an update that is older than what is stored does not
        apply. The rules are those of `repo.domain.phases.advance`. Raises ActionNotFound."""
        update = PhaseUpdate(phase, attempts, cache_status, end_time, start_time, occurred_at)
        (advanced,) = await self.update_action_phases([(action_id, update)])
        return advanced.applied

    async def update_action_phases(self, updates: Updates) -> list[PhaseUpdateResult]:
        """What became of each update, in their order; all in one transaction. What would be reopened below
        an aborted action is aborted with it. Raises ActionNotFound, and then nothing changed."""
        _check_batch(updates)
        self._check(Permission.WRITE, (action_id for action_id, _ in updates))
        return await self._advancing.write(updates, len(updates)) if updates else []

    # Events

    async def insert_events(self, new: Sequence[NewEvent]) -> int:
        """How many of the events were new, all in one transaction: an event is known by its action,
        attempt, phase and version. Raises ActionNotFound, and then none was stored."""
        _check_batch(new)
        self._check(Permission.WRITE, (event.action for event in new))
        return await self._inserting.write(events.batch_of(new, _now()), len(new))

    async def list_events(self, action_id: ActionIdentifier, limit: int | None = None) -> list[ActionEvent]:
        """The events of an action, oldest first; all of them without a limit."""
        return await self._events(action_id, (), 0, limit)

    async def list_events_since(
        self,
        action_id: ActionIdentifier,
        attempt: int,
        since: datetime,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[ActionEvent]:
        """The events of one attempt that occurred strictly after `since`, oldest first."""
        conditions = (events.of_attempt(attempt), e.occurred_at > since)
        return await self._events(action_id, conditions, offset, limit)

    async def page_events(
        self,
        action_ids: Collection[ActionIdentifier],
        attempt: int | None = None,
        since: datetime | None = None,
        page: PageRequest = PageRequest(),
    ) -> dict[ActionIdentifier, Page[ActionEvent]]:
        """The same page of each action's events, oldest first, in one statement. Raises InvalidCursor."""
        by_key = self._readable(action_ids)

        def statement() -> Select[Any]:
            found: Select[Any] = select(*EVENT_COLUMNS)
            if attempt is not None:
                found = found.where(events.of_attempt(attempt))
            return found if since is None else found.where(e.occurred_at > since)

        pages = await fetch_pages(
            self._database,
            ("events", attempt, since),
            statement,
            e.action_key,
            by_key,
            events.oldest_first,
            page,
            lambda found: [event_of(row, by_key[row[0]]) for row in found.decoded()],
        )
        return {action_id: pages[key] for key, action_id in by_key.items()}

    async def list_all_events(
        self, action_ids: Collection[ActionIdentifier]
    ) -> dict[ActionIdentifier, list[ActionEvent]]:
        """Every event of each action, oldest first, in one statement."""
        by_key = self._readable(action_ids)
        statement = having_keys(self._database, select(*EVENT_COLUMNS), e.action_key, by_key)
        found: dict[ActionIdentifier, list[ActionEvent]] = {action_id: [] for action_id in action_ids}
        for row in await self._rows(statement.order_by(*events.oldest_first.order(backward=False))):
            action_id = by_key[row[0]]
            found[action_id].append(event_of(row, action_id))
        return found

    async def list_attempts(
        self, action_ids: Collection[ActionIdentifier], wanted: AttemptRange = NEWEST_ATTEMPTS
    ) -> dict[ActionIdentifier, list[ActionAttempt]]:
        """The attempts of each action that are wanted, made of their events, oldest first."""
        async with self._database.read() as connection:
            found = await attempt_pages.list_attempts(
                self._database, connection, self._readable(action_ids), wanted
            )
        return {action_id: found.get(action_id, []) for action_id in action_ids}

    async def get_latest_event_by_attempt(self, action_id: ActionIdentifier, attempt: int) -> ActionEvent:
        """The event with the highest phase, then the highest version. Raises EventNotFound."""
        latest = await self.get_latest_events([(action_id, attempt)])
        if not latest:
            raise EventNotFound(f"attempt {attempt} of {action_id} has no events")
        return latest[action_id, attempt]

    async def get_latest_events(
        self, attempts: Iterable[tuple[ActionIdentifier, int]]
    ) -> dict[tuple[ActionIdentifier, int], ActionEvent]:
        """The latest event of each of these attempts that has one, in one statement."""
        wanted = {(action_id, attempt) for action_id, attempt in attempts if is_count(attempt)}
        by_key = self._readable(action_id for action_id, _ in wanted)
        rank = func.row_number().over(
            partition_by=(e.action_key, e.attempt), order_by=(e.phase.desc(), e.version.desc())
        )
        ranked = select(*EVENT_COLUMNS, rank.label("rank")).where(
            e.attempt.in_({attempt for _, attempt in wanted})
        )
        found = having_keys(self._database, ranked, e.action_key, by_key).subquery()
        rows = await self._rows(select(*found.c).where(found.c.rank == 1))
        events_found = (event_of(row, by_key[row[0]]) for row in rows)
        return {key: event for event in events_found if (key := (event.action, event.attempt)) in wanted}

    # State

    async def update_action_state(self, action_id: ActionIdentifier, state: str) -> None:
        """Store the executor's own text about an action and tell the watchers. Raises ActionNotFound."""
        await self._touch_state(action_id, {"state": state})

    async def get_action_state(self, action_id: ActionIdentifier) -> str | None:
        """The executor's own text about an action; None where it never set one. Raises ActionNotFound."""
        statement = select(c.state).where(requests.is_action(action_id), *in_scopes(self._seen))
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            raise ActionNotFound(f"there is no action {action_id}")
        state: str | None = row.state
        return state

    async def notify_state_update(self, action_id: ActionIdentifier) -> None:
        """Tell the watchers that the state of an action changed, which they then read where the
        executor keeps it. Raises ActionNotFound."""
        await self._touch_state(action_id, {})

    # The rest

    @property
    def connections_in_use(self) -> int:
        """Connections to the database that reads, writes and watches have taken at the moment."""
        return self._database.connections_in_use

    def database_figures(self) -> DatabaseMetrics:
        """How the connections of this replica are used, and how often a statement was written already."""
        return self._database.metrics

    async def check(self) -> None:
        """Return where the database can be read and written and has the newest schema. Raises
        DatabaseReadOnly where it can only be read, and something else otherwise."""
        async with self._database.read() as connection:
            await connection.run_sync(is_at_head)
        await self._database.check()

    def _readable(self, action_ids: Iterable[ActionIdentifier]) -> dict[bytes, ActionIdentifier]:
        """Those of the actions that may be seen, by their keys."""
        return {
            action_id.key: action_id
            for action_id in action_ids
            if includes(self._seen, action_id.project, action_id.domain)
        }

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        async with self._database.read() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).all()
        return rows

    async def _count(self, conditions: Sequence[ColumnElement[bool]]) -> int:
        async with self._database.read() as connection:
            statement = select(func.count()).select_from(actions).where(*conditions)
            return await connection.scalar(statement) or 0

    async def _counts(
        self, scope: NamedColumn[Any], keys: Collection[bytes], wanted: ActionFilter | None
    ) -> dict[bytes, int]:
        matching = (*in_scopes(self._seen), *action_conditions(wanted))
        counted = select(scope, func.count()).where(*matching).group_by(scope)
        rows = await self._rows(having_keys(self._database, counted, scope, keys))
        return dict.fromkeys(keys, 0) | {key: count for key, count in rows}

    async def _pages_of_actions(
        self,
        scope: NamedColumn[Any],
        keys: Collection[bytes],
        wanted: ActionFilter | None,
        order: Order | None,
        page: PageRequest,
        attributes: Attributes,
    ) -> dict[bytes, Page[Action]]:
        names = ACTIONS.names(attributes)
        return await fetch_pages(
            self._database,
            ("pages of actions", scope.name, names, wanted, self._seen),
            lambda: select(*ACTIONS.select(names)).where(*in_scopes(self._seen), *action_conditions(wanted)),
            scope,
            set(keys),
            order_of_actions(order, within_a_run=True),
            page,
            lambda found: found.rows(Action, names),
        )

    async def _events(
        self,
        action_id: ActionIdentifier,
        conditions: Iterable[ColumnElement[bool]],
        offset: int,
        limit: int | None,
    ) -> list[ActionEvent]:
        events.check_limit(offset, "offset")
        events.check_limit(limit)
        if not self._readable([action_id]):
            return []
        statement = select(*EVENT_COLUMNS).where(e.action_key == action_id.key, *conditions)
        statement = statement.order_by(*events.oldest_first.order(backward=False))
        rows = await self._rows(statement.offset(offset).limit(limit))
        return [event_of(row, action_id) for row in rows]

    async def _touch_state(self, action_id: ActionIdentifier, values: Mapping[str, Any]) -> None:
        self._check(Permission.WRITE, [action_id])

        async def work(connection: AsyncConnection) -> None:
            statement = (
                actions.update()
                .where(requests.is_action(action_id))
                .values(**values, state_transaction_id=this_transaction(), updated_at=_now())
            )
            if not (await connection.execute(statement)).rowcount:
                raise ActionNotFound(f"there is no action {action_id}")

        await self._database.write(work)


def _now() -> datetime:
    return datetime.now(UTC)


def _check_batch(batch: Sequence[object]) -> None:
    if len(batch) > MAX_BATCH:
        raise InvalidArgument(f"a call takes at most {MAX_BATCH} at once, not {len(batch)}")
