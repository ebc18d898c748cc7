"""Descendants of an aborted action are aborted, whenever they are created or reopened."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from repo import (
    AbortState,
    Action,
    ActionPhase,
    ActionRepo,
    PhaseUpdate,
    RunFilter,
    RunIdentifier,
)
from repo.actions.creation import create
from repo.actions.phase_updates import advance_all
from repo.sql.database import Database
from repo.sql.transactions import Transaction
from tests.support.client import GraphQLClient
from tests.support.making import (
    ADA,
    RUN,
    action,
    at,
    event,
    get_actions,
    make_run,
    new,
    update,
)

QUEUED, RUNNING, SUCCEEDED = ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.SUCCEEDED
FAILED, ABORTED = ActionPhase.FAILED, ActionPhase.ABORTED
A0 = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
SECONDS = 60


def check_aborted(found: Action, reason: str | None, state: AbortState = AbortState.REQUESTED) -> None:
    abort = found.abort
    assert (found.phase, abort and abort.state) == (ABORTED, state), found.name
    assert abort is not None
    assert (abort.reason, abort.requested_by) == (reason, ADA)
    assert found.ended_at is not None
    assert found.ended_at >= found.created_at


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize("phase", [QUEUED, RUNNING, ActionPhase.PAUSED])
async def test_an_action_created_below_an_aborted_one_is_aborted(
    repository: ActionRepo, confirmed: bool, phase: ActionPhase
) -> None:
    await make_run(repository, b="a0", deep="b", beside="a0")
    await repository.update_action_phase(action("deep"), FAILED, 1)
    await repository.abort_action(action("b"), "too slow", ADA)
    if confirmed:
        await repository.clear_abort_request(action("b"))
    batch = [new("x", "b", phase=phase), new("y", "x", phase=phase), new("z", "deep", phase=phase)]
    assert await repository.actions.create([*batch, new("w", "beside"), new("v", "b", phase=SUCCEEDED)]) == 5
    for name in ("x", "y", "z"):
        check_aborted(await repository.get_action(action(name)), "too slow")
    others = await get_actions(repository, [action("w"), action("v"), action("deep")])
    phases = {id.name: each.phase for id, each in others.items()}
    assert phases == {"w": QUEUED, "v": SUCCEEDED, "deep": FAILED}
    assert not await repository.update_action_phase(action("x"), RUNNING, 1)
    waiting = {each.name for each in await repository.list_pending_aborts()}
    assert waiting == {"x", "y", "z"} | ({"b"} if not confirmed else set())
    await repository.clear_abort_request(action("x"))
    check_aborted(await repository.get_action(action("y")), "too slow", AbortState.CONFIRMED)


async def test_the_creator_gets_the_aborted_phase(client: GraphQLClient, repository: ActionRepo) -> None:
    await make_run(repository)
    one = """mutation($input: CreateActionInput!) {
      createAction(input: $input) { created aborted action { phase abort { state } } }
    }"""
    many = """mutation($input: [CreateActionInput!]!) {
      createActions(input: $input) { created aborted actions { name phase } }
    }"""
    free = {"id": A0 | {"name": "free"}, "parentName": "a0"}
    answer = await client.execute(one, {"input": free})
    assert answer["data"]["createAction"] == {
        "created": True,
        "aborted": False,
        "action": {"phase": "QUEUED", "abort": None},
    }
    await repository.abort_run(RUN, None, ADA)
    late = {"id": A0 | {"name": "late"}, "parentName": "a0"}
    for created in (True, False):
        answer = await client.execute(one, {"input": late})
        assert answer["data"]["createAction"] == {
            "created": created,
            "aborted": True,
            "action": {"phase": "ABORTED", "abort": {"state": "REQUESTED"}},
        }
    other = {"id": A0 | {"runName": "another"}}
    below = {"id": A0 | {"name": "below"}, "parentName": "free"}
    answer = await client.execute(many, {"input": [late, below, other]})
    assert (answer["data"]["createActions"]["created"], answer["data"]["createActions"]["aborted"]) == (2, 2)
    phases = {each["name"]: each["phase"] for each in answer["data"]["createActions"]["actions"]}
    assert phases == {"late": "ABORTED", "below": "ABORTED", "a0": "QUEUED"}


async def test_actions_below_one_reported_as_aborted_may_run(
    repository: ActionRepo,
) -> None:
    await make_run(repository, b="a0")
    await repository.update_action_phase(action("b"), ABORTED, 1)
    await repository.actions.create([new("cleaning", "b", phase=RUNNING)])
    assert (await repository.get_action(action("cleaning"))).phase is RUNNING


async def test_an_attempt_below_an_aborted_action_is_aborted(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository, b="a0", c="b", other="a0")
    for name in ("c", "other"):
        await repository.update_action_phase(action(name), FAILED, 1)
    await repository.abort_action(action("b"), "too slow", ADA)
    await repository.clear_abort_request(action("b"))
    reports = [update("c", QUEUED, 2), update("other", RUNNING, 2), update("c", RUNNING, 2)]
    advanced = await repository.actions.update_phases(reports)
    assert [(each.applied, each.changed) for each in advanced] == [(False, True), (True, True), (False, True)]
    found = await repository.get_action(action("c"))
    assert found.attempts == 2
    check_aborted(found, "too slow")
    assert (await repository.get_action(action("other"))).phase is RUNNING


async def test_an_attempt_that_failed_in_the_same_batch_stays_failed(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await repository.update_action_phase(action("b"), FAILED, 1)
    await repository.abort_run(RUN, "too slow", ADA)
    advanced = await repository.actions.update_phases([update("b", RUNNING, 2), update("b", FAILED, 2)])
    assert [each.applied for each in advanced] == [True, True]
    assert (await repository.get_action(action("b"))).phase is FAILED


@pytest.mark.parametrize("ended", [FAILED, SUCCEEDED, ABORTED])
async def test_running_descendants_of_a_finished_action_can_be_aborted(
    repository: ActionRepo, ended: ActionPhase
) -> None:
    await make_run(repository, b="a0", c="b", d="c", done="a0", e="done", beside="a0")
    await repository.actions.update_phases(
        [update(name, RUNNING) for name in ("b", "c", "d", "e", "beside")]
        + [update(name, ended) for name in ("a0", "done", "b")]
    )
    before = await get_actions(repository, [action("a0"), action("done"), action("b")])
    assert await repository.abort_action(action("b"), "no use", ADA)
    for name in ("c", "d"):
        check_aborted(await repository.get_action(action(name)), "no use")
    assert (await repository.get_action(action("e"))).phase is RUNNING
    assert not await repository.abort_action(action("b"), "again", ADA), "nothing is left below it"
    assert await repository.abort_run(RUN, "all of it", ADA)
    for name, reason in (("c", "no use"), ("d", "no use"), ("e", "all of it"), ("beside", "all of it")):
        check_aborted(await repository.get_action(action(name)), reason)
    assert await get_actions(repository, before) == before
    assert not await repository.abort_run(RUN, "again", ADA)


async def test_confirming_a_pending_abort_aborts_descendants(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await repository.update_action_phase(action("b"), RUNNING, 1)
    assert await repository.abort_run(RUN, "first", ADA)
    assert not await repository.abort_run(RUN, "again", ADA)
    assert (await repository.get_action(action("b"))).phase is RUNNING


async def test_the_deepest_action_below_a_finished_one_can_be_aborted(repository: ActionRepo) -> None:
    names = [f"n{number}" for number in range(1500)]
    await make_run(repository, **dict(zip(names, ["a0", *names], strict=False)))
    await repository.actions.update_phases([update(name, FAILED) for name in names[:-1]])
    assert await repository.abort_action(action("n0"), "deep", ADA)
    check_aborted(await repository.get_action(action(names[-1])), "deep")
    await repository.actions.create([new("deeper", names[-1])])
    check_aborted(await repository.get_action(action("deeper")), "deep")


Work = Callable[[Transaction], Awaitable[object]]


async def _create_late(transaction: Transaction) -> object:
    return await create(transaction, [[new("late", "b")]], datetime.now(UTC))


async def _reopen_late(transaction: Transaction) -> object:
    reports = [(action("late"), PhaseUpdate(RUNNING, 2))]
    return await advance_all(transaction, [reports], datetime.now(UTC))


@pytest.mark.parametrize("work", [_create_late, _reopen_late])
async def test_actions_created_during_a_confirmation_are_aborted(
    repository: ActionRepo, database_url: str, work: Work
) -> None:
    await make_run(repository, b="a0")
    if work is _reopen_late:
        await repository.actions.create([new("late", "b", phase=FAILED)])
    database, has_written, may_commit = Database(database_url), asyncio.Event(), asyncio.Event()

    async def hold(transaction: Transaction) -> None:
        await work(transaction)
        has_written.set()
        await may_commit.wait()

    async def abort() -> None:
        await repository.abort_action(action("b"), "too slow", ADA)
        await repository.clear_abort_request(action("b"))

    async with asyncio.timeout(SECONDS):
        writing = asyncio.create_task(database.transact(hold))
        await has_written.wait()
        aborting = asyncio.create_task(abort())
        while not aborting.done() and not await _is_blocked(database_url):
            pass
        may_commit.set()
        await asyncio.gather(writing, aborting)
    await database.close()
    check_aborted(await repository.get_action(action("late")), "too slow", AbortState.CONFIRMED)


async def _is_blocked(url: str) -> bool:
    """Whether a transaction waits for another's lock. On SQLite the second writer always waits."""
    if url.startswith("sqlite"):
        return True
    connection = await asyncpg.connect(url)
    try:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        own = " AND datname = current_database()"
        return bool(await connection.fetchval(waits + own))
    finally:
        await connection.close()


async def test_no_action_keeps_running_below_a_confirmed_abort_under_concurrency(
    repository: ActionRepo,
) -> None:
    runs = [RunIdentifier("etl", "production", f"busy-{number}") for number in range(12)]
    for run in runs:
        await make_run(repository, run, b="a0", c="b", f="b")
        await repository.actions.update_phases([update("f", FAILED, run=run), update("b", RUNNING, run=run)])
    calls: list[Any] = []
    for run in runs:
        calls += [
            repository.actions.create([new("x", "c", run), new("y", "x", run)]),
            repository.actions.update_phases([update("f", RUNNING, 2, run), update("a0", RUNNING, 1, run)]),
            _abort_and_confirm(repository, run),
            repository.create_action(new("z", "f", run)),
            repository.insert_events([event("b", RUNNING, run=run), event("a0", RUNNING, run=run)]),
            repository.actions.update_phases([update(name, SUCCEEDED, 1, run) for name in ("c", "b")]),
        ]
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*calls)
    for run in runs:
        found = (await repository.list_actions(run)).items
        assert len(found) == 7
        assert not [each.name for each in found if not each.phase.is_terminal]


async def _abort_and_confirm(repository: ActionRepo, run: RunIdentifier) -> None:
    await repository.abort_run(run, "too slow", ADA)
    await repository.clear_abort_request(action("a0", run))


# Concurrency


NO_CONDITIONS: list[dict[str, Any]] = [
    {},
    {"project": None},
    {"search": ""},
    {"search": " \t\n"},
    {"taskName": "", "domain": None},
    {"phases": []},
    {"excludePhases": []},
    {"labels": [], "sources": []},
]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("arguments", NO_CONDITIONS, ids=str)
async def test_aborting_all_runs_requires_confirmation(
    client: GraphQLClient, repository: ActionRepo, arguments: dict[str, Any], dry_run: bool
) -> None:
    await make_run(repository)
    text = """mutation($input: AbortRunsInput!) { abortRuns(input: $input) { matched requested } }"""
    answer = await client.execute(text, {"input": {"filter": arguments, "dryRun": dry_run}})
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "`all: true`" in error["message"]
    assert (await repository.get_run(RUN)).phase is QUEUED


async def test_an_unset_filter_variable_aborts_nothing(client: GraphQLClient, repository: ActionRepo) -> None:
    await make_run(repository)
    text = """mutation($p: String) {
      abortRuns(input: {filter: {project: $p}, dryRun: false}) { matched requested }
    }"""
    assert (await client.execute(text, {}))["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert (await repository.get_run(RUN)).phase is QUEUED
    assert "errors" not in await client.execute(text, {"p": "another"})
    text = "mutation { abortRuns(input: {filter: {}, all: true, dryRun: false}) { matched requested } }"
    answer = await client.execute(text, {})
    assert answer["data"]["abortRuns"] == {"matched": 1, "requested": 1}


@pytest.mark.parametrize(
    "wanted",
    [
        RunFilter(project="p"),
        RunFilter(phases=(RUNNING,)),
        RunFilter(start_date=at(0)),
        RunFilter(max_duration_ms=0),
        RunFilter(abort_pending=False),
    ],
    ids=str,
)
async def test_one_condition_is_enough_for_an_abort(repository: ActionRepo, wanted: RunFilter) -> None:
    await make_run(repository)
    assert (await repository.aborts.abort_runs(wanted, None, ADA)).requested == 0
