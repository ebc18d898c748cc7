"""Random calls: after each, the repository answers like the plain model in tests.support."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from repo import (
    AbortState,
    Action,
    ActionError,
    ActionFilter,
    ActionIdentifier,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    CacheStatus,
    Conflict,
    ErrorKind,
    NewAction,
    NewEvent,
    NotFound,
    Order,
    OrderField,
    Page,
    PageRequest,
    PhaseUpdate,
    RepoError,
    RunFilter,
    RunIdentifier,
    RunNotFound,
    open_repository,
)
from tests.support.making import ADA, all_events, at, get_actions
from tests.support.model import (
    TERMINAL,
    Record,
    Row,
    Window,
)
from tests.support.runs_table import read_runs

T = TypeVar("T")

EXAMPLES = int(os.environ.get("RUNGRAPH_TEST_MACHINE_EXAMPLES", "15"))
"""`make fuzz` runs more examples with random seeds."""

RUNS = st.sampled_from(["r1", "r2"])
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
# Mostly existing actions, so that few calls are rejected; the largest number is one that does not exist.
ACTIONS = st.integers(0, 30)
PHASES = st.sampled_from(ActionPhase)
ATTEMPTS = st.sampled_from([1, 1, 1, 2, 2, 3, 0])
TIMES = st.integers(0, 20).map(at)
CACHE = st.sampled_from([None, CacheStatus.DISABLED, CacheStatus.HIT])
ERRORS = st.none() | st.sampled_from(["e1", "e2"]).map(lambda text: ActionError(ErrorKind.USER, text))


class RepositoryMachine(RuleBasedStateMachine):
    """Drives a repository and the model side by side, in a project of its own."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        super().__init__()
        self.runner = runner
        self.stack = AsyncExitStack()
        self.repository: ActionRepo = self.wait(self.stack.enter_async_context(open_repository(url)))
        self.project = uuid4().hex
        self.record = Record()

    def teardown(self) -> None:
        self.wait(self.stack.aclose())

    def wait(self, work: Awaitable[T]) -> T:
        async def timed() -> T:
            async with asyncio.timeout(30):
                return await work

        return self.runner.run(timed())

    def id(self, run: str, name: str) -> ActionIdentifier:
        return ActionIdentifier(self.project, "d", run, name)

    def run_id(self, run: str) -> RunIdentifier:
        return RunIdentifier(self.project, "d", run)

    def pick(self, number: int) -> tuple[str, str]:
        """An action: its run and name."""
        keys = sorted(self.record.rows)
        return keys[number % len(keys)] if keys and number < 30 else ("r1", "missing")

    def refused(self, work: Awaitable[object], *errors: type[RepoError]) -> None:
        with pytest.raises(errors):
            self.wait(work)

    @initialize(run=RUNS, children=st.lists(NAMES, max_size=4))
    def begin(self, run: str, children: list[str]) -> None:
        self._create([(run, "a", None), *((run, name, "a") for name in children if name != "a")])

    @rule(
        batch=st.lists(st.tuples(RUNS, NAMES, st.none() | NAMES), min_size=1, max_size=4),
        phase=st.sampled_from([ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.FAILED]),
        attempts=ATTEMPTS,
        created_at=st.none() | TIMES,
    )
    def create(self, batch: list[tuple[str, str, str | None]], **rest: Any) -> None:
        self._create(batch, **rest)

    def _create(self, batch: Iterable[tuple[str, str, str | None]], **rest: Any) -> None:
        new = [NewAction(self.id(run, name), parent_name=parent, **rest) for run, name, parent in batch]
        now = Window(datetime.now(UTC))
        if refusals := self.record.refusals(new):
            with pytest.raises(RepoError) as caught:
                self.wait(self.repository.actions.create(new))
            assert type(caught.value).__name__ in refusals
        else:
            created = self.wait(self.repository.actions.create(new))
            assert created == self.record.create(new, now)

    @rule(
        updates=st.lists(
            st.tuples(ACTIONS, PHASES, ATTEMPTS, CACHE, *[st.none() | TIMES] * 3),
            min_size=1,
            max_size=5,
        )
    )
    def update(self, updates: list[tuple[Any, ...]]) -> None:
        arguments = [
            (
                self.pick(number),
                PhaseUpdate(phase, attempts, cache, end if phase in TERMINAL else None, start, occurred),
            )
            for number, phase, attempts, cache, end, start, occurred in updates
        ]
        call = self.repository.actions.update_phases([(self.id(*key), update) for key, update in arguments])
        if any(key not in self.record.rows for key, _ in arguments):
            return self.refused(call, ActionNotFound)
        now = Window(datetime.now(UTC))
        advanced = self.wait(call)
        assert [each.applied for each in advanced] == self.record.advance(arguments, now)

    @rule(
        events=st.lists(
            st.tuples(ACTIONS, ATTEMPTS, PHASES, TIMES, st.integers(0, 1), st.none() | TIMES, ERRORS),
            min_size=1,
            max_size=5,
        )
    )
    def insert_events(self, events: list[tuple[Any, ...]]) -> None:
        picked = [(self.pick(number), rest) for number, *rest in events]
        new = [(key, NewEvent(self.id(*key), *rest)) for key, rest in picked]
        call = self.repository.insert_events([event for _, event in new])
        if any(key not in self.record.rows for key, _ in new):
            return self.refused(call, ActionNotFound)
        before = sum(len(row.events) for row in self.record.rows.values())
        for key, event in new:
            known = self.record.rows[key].events
            known.setdefault((event.attempt, event.phase, event.version), event)
            self.record.rows[key].touched |= event.phase in TERMINAL
        assert self.wait(call) == sum(len(row.events) for row in self.record.rows.values()) - before

    @rule(
        number=st.integers(0, 29),
        attempt=ATTEMPTS,
        phase=st.sampled_from([ActionPhase.FAILED, ActionPhase.TIMED_OUT, ActionPhase.ABORTED]),
        seconds=TIMES,
        error=ERRORS,
        event_first=st.booleans(),
    )
    def report_a_failure(
        self, number: int, attempt: int, phase: ActionPhase, seconds: Any, error: Any, event_first: bool
    ) -> None:
        if event_first:
            self.insert_events([(number, attempt, phase, seconds, 0, None, error)])
        self.update([(number, phase, attempt, None, None, None, None)])
        if not event_first:
            self.insert_events([(number, attempt, phase, seconds, 0, None, error)])

    @rule(run=RUNS, reason=st.none() | st.just("why"))
    def abort_run(self, run: str, reason: str | None) -> None:
        now, call = Window(datetime.now(UTC)), self.repository.abort_run(self.run_id(run), reason, ADA)
        root = self.record.root(run)
        if root is None:
            return self.refused(call, RunNotFound)
        assert self.wait(call) == self.record.request_abort(run, root.name, reason, now)

    @rule(number=ACTIONS, reason=st.none() | st.just("why"))
    def abort_action(self, number: int, reason: str | None) -> None:
        key = self.pick(number)
        now, call = Window(datetime.now(UTC)), self.repository.abort_action(self.id(*key), reason, ADA)
        if key not in self.record.rows:
            return self.refused(call, ActionNotFound)
        assert self.wait(call) == self.record.request_abort(*key, reason, now)

    @rule(phases=st.sets(PHASES, max_size=4), dry_run=st.booleans())
    def abort_runs(self, phases: set[ActionPhase], dry_run: bool) -> None:
        now = Window(datetime.now(UTC))
        wanted = RunFilter(project=self.project, phases=tuple(phases))
        answer = self.wait(self.repository.aborts.abort_runs(wanted, "all", ADA, dry_run))
        roots = [root for run in ("r1", "r2") if (root := self.record.root(run)) and root.phase in phases]
        matched = [root for root in roots if root.phase not in TERMINAL]
        if not dry_run:
            assert all([root.request_abort("all", now) for root in matched])
        assert (answer.matched, answer.requested) == (len(matched), 0 if dry_run else len(matched))

    @rule(number=ACTIONS)
    def mark_abort_attempt(self, number: int) -> None:
        key = self.pick(number)
        call, row = self.repository.mark_abort_attempt(self.id(*key)), self.record.rows.get(key)
        if row is None:
            return self.refused(call, ActionNotFound)
        if not row.unconfirmed:
            return self.refused(call, Conflict)
        row.abort, row.abort_count, row.touched = AbortState.RETRYING, row.abort_count + 1, True
        assert self.wait(call) == row.abort_count

    @rule(number=ACTIONS)
    def clear_abort_request(self, number: int) -> None:
        key = self.pick(number)
        call, row = self.repository.clear_abort_request(self.id(*key)), self.record.rows.get(key)
        if row is None:
            return self.refused(call, ActionNotFound)
        now = Window(datetime.now(UTC))
        self.wait(call)
        row.confirm_abort(self.record.below(*key), now)

    @rule(most=st.integers(1, 2))
    def drive_aborts(self, most: int) -> None:
        """Send everything that is due again; aborts without attempts left fail."""
        due = [
            row for row in self.record.rows.values() if row.unconfirmed and row.abort is not AbortState.FAILED
        ]
        sent = self.wait(self.repository.aborts.resend([(self.project, None)], 100, most))
        assert (len(sent.aborts), sent.exhausted) == tuple(map(len, self._drive(due, most)))

    def _drive(self, due: list[Row], most: int) -> tuple[list[Row], list[Row]]:
        over = [row for row in due if row.abort_count >= most]
        for row in due:
            row.abort, row.touched = AbortState.RETRYING, True
            row.abort_count += row not in over
        for row in over:
            row.abort = AbortState.FAILED
        return [row for row in due if row not in over], over

    @rule(number=ACTIONS)
    def retry_abort(self, number: int) -> None:
        key = self.pick(number)
        call, row = self.repository.aborts.retry(self.id(*key)), self.record.rows.get(key)
        if row is None:
            return self.refused(call, ActionNotFound)
        had_failed = row.abort is AbortState.FAILED
        assert self.wait(call) == had_failed
        if had_failed:
            row.abort, row.abort_count, row.touched = AbortState.REQUESTED, 0, True

    @rule(number=ACTIONS, state=st.none() | st.sampled_from(["", "s1", "é\n"]))
    def touch_state(self, number: int, state: str | None) -> None:
        key = self.pick(number)
        repository, action = self.repository, self.id(*key)
        call: Coroutine[Any, Any, None] = (
            repository.notify_state_update(action)
            if state is None
            else repository.update_action_state(action, state)
        )
        row = self.record.rows.get(key)
        if row is None:
            return self.refused(call, NotFound)
        self.wait(call)
        row.state, row.touched = (row.state if state is None else state), True
        assert self.wait(repository.get_action_state(action)) == row.state

    @rule(
        run=RUNS,
        field=st.sampled_from(OrderField),
        descending=st.booleans(),
        size=st.integers(1, 3),
        excluded=st.sets(PHASES, max_size=3),
    )
    def read_pages(
        self, run: str, field: OrderField, descending: bool, size: int, excluded: set[ActionPhase]
    ) -> None:
        wanted, order = ActionFilter(exclude_phases=tuple(excluded)), Order(field, descending)
        expected = [row.seen for row in self.record.run(run) if row.phase not in excluded and row.seen]
        expected.sort(key=lambda action: action.name, reverse=descending)
        value: Callable[[Action], Any] = lambda action: getattr(action, field.value)  # noqa: E731
        with_value = [action for action in expected if value(action) is not None]
        with_value.sort(key=value, reverse=descending)
        expected = with_value + [action for action in expected if value(action) is None]
        for backward in (False, True):
            assert self.wait(self._pages(run, wanted, order, size, backward)) == expected
        assert self.wait(self.repository.actions.count(self.run_id(run), wanted)) == len(expected)

    async def _pages(
        self, run: str, wanted: ActionFilter, order: Order, size: int, backward: bool
    ) -> list[Action]:
        found: list[Action] = []
        page: Page[Action] | None = None
        while page is None or (page.has_previous if backward else page.has_next):
            cursor = None if page is None else page.cursors[0 if backward else -1]
            request = PageRequest(last=size, before=cursor) if backward else PageRequest(size, cursor)
            page = await self.repository.list_actions(self.run_id(run), wanted, order, request)
            assert len(page.items) <= size
            found = [*page.items, *found] if backward else [*found, *page.items]
        return found

    @invariant()
    def the_answers_are_those_of_the_model(self) -> None:
        self.wait(self._compare())

    @invariant()
    def the_log_has_the_newest_change_of_each_action(self) -> None:
        async def missing() -> Any:
            statement = """SELECT count(*) FROM actions a WHERE NOT EXISTS (SELECT 1 FROM action_changes l
                WHERE l.key = a.key AND l.transaction_id = a.transaction_id)"""
            async with self.repository.database.read() as connection:
                return await connection.scalar(text(statement))

        assert self.wait(missing()) == 0

    async def _compare(self) -> None:
        repository = self.repository
        rows = self.record.rows
        ids = {key: self.id(*key) for key in rows}
        actions = await get_actions(repository, ids.values())
        assert len(actions) == len(rows)
        for key, row in rows.items():
            row.check(actions[ids[key]])
        roots = {run: root for run in ("r1", "r2") if (root := self.record.root(run))}
        keys = {run: self.run_id(run).key for run in roots}
        runs = await repository.runs.page(RunFilter(project=self.project), Order(OrderField.NAME, False))
        assert [(run.name, run.root_name, run.phase, run.revision) for run in runs.items] == [
            (run, root.name, root.phase, root.seen and root.seen.revision) for run, root in roots.items()
        ]
        lists = await repository.actions.pages("run_key", keys.values())
        counts = await repository.runs.count_phases(keys.values())
        for run in roots:
            expected = sorted(
                self.record.run(run), key=lambda row: (self.record.depth(row), row.created_at, row.name)
            )
            assert lists[keys[run]].items == [row.seen for row in expected]
            assert as_counter(counts[keys[run]]) == phases_of(expected)
        below = await repository.actions.count_phases_of_descendants([action.key for action in ids.values()])
        children = await repository.actions.counts("parent_key", [action.key for action in ids.values()])
        for (run, name), action in ids.items():
            assert as_counter(below[action.key]) == phases_of(self.record.below(run, name))
            assert children[action.key] == sum(row.parent == name for row in self.record.run(run))
        await self._compare_events(ids)
        waiting = [x.identifier for x in await repository.list_pending_aborts() if x.project == self.project]
        assert sorted(map(str, waiting)) == sorted(
            str(ids[key]) for key, row in rows.items() if row.unconfirmed
        )

    @invariant()
    def the_table_of_runs_has_what_a_scan_of_all_actions_finds(self) -> None:
        self.wait(self._compare_runs())

    async def _compare_runs(self) -> None:
        async with self.repository.database.read() as connection:
            stored, expected = await read_runs(connection)
        assert stored == expected

    async def _compare_events(self, ids: dict[tuple[str, str], ActionIdentifier]) -> None:
        events = await all_events(self.repository, ids.values())
        attempts = [(action, attempt) for action in ids.values() for attempt in range(5)]
        latest = await self.repository.events.get_latest(attempts)
        for key, action in ids.items():
            known = self.record.rows[key].events
            order = sorted(known.values(), key=lambda x: (x.occurred_at, x.attempt, x.phase, x.version))
            assert [(x.attempt, x.phase, x.version, x.error) for x in events[action]] == [
                (x.attempt, x.phase, x.version, x.error) for x in order
            ]
            for attempt in range(5):
                newest = max((x[1:] for x in known if x[0] == attempt), default=None)
                found = latest.get((action, attempt))
                assert (found and (found.phase, found.version)) == newest


def as_counter(counts: Iterable[Any]) -> Counter[ActionPhase]:
    return Counter({count.phase: count.count for count in counts})


def phases_of(rows: Iterable[Row]) -> Counter[ActionPhase]:
    return Counter(row.phase for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(400)  # the search for the shortest calls that fail takes its time
def test_random_calls_leave_the_state_of_the_model(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sent aborts are due again immediately.
    monkeypatch.setattr("repo.aborts.claims.retry_delay", lambda attempts: timedelta(0))
    with asyncio.Runner() as runner:

        class Machine(RepositoryMachine):
            def __init__(self) -> None:
                super().__init__(database_url, runner)

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=20,
                deadline=None,
                derandomize="RUNGRAPH_TEST_SEED" not in os.environ,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
