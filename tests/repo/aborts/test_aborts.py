"""Aborts: requester and reason are kept, finished actions are not changed, requests are pending until
confirmed."""

import asyncio

import pytest

from repo import (
    AbortRunsResult,
    AbortState,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Conflict,
    Identity,
    IdentityKind,
    Label,
    LabelFilter,
    PageRequest,
    RunFilter,
    RunIdentifier,
    RunNotFound,
)
from tests.support.making import (
    ADA,
    RUN,
    action,
    at,
    get_actions,
    make_run,
    new,
    update,
)

ABORTED, SUCCEEDED = ActionPhase.ABORTED, ActionPhase.SUCCEEDED
OTHER = Identity(IdentityKind.APPLICATION, "janitor")


async def test_an_abort_stores_requester_and_reason(repository: ActionRepo) -> None:
    await make_run(repository, child="a0")
    assert await repository.abort_run(RUN, "too expensive", ADA)
    run = await repository.get_run(RUN)
    assert run.phase is ABORTED
    assert run.ended_at is not None
    assert run.duration_ms is not None
    assert run.abort is not None
    assert (run.abort.state, run.abort.reason, run.abort.requested_by) == (
        AbortState.REQUESTED,
        "too expensive",
        ADA,
    )
    assert run.abort.requested_at == run.ended_at
    assert (run.abort.attempt_count, run.abort.confirmed_at, run.abort.last_error) == (0, None, None)
    assert (await repository.get_action(action("child"))).phase is ActionPhase.QUEUED


async def test_the_first_reason_and_requester_are_kept(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, "first", ADA)
    before = await repository.get_run(RUN)
    assert not await repository.abort_run(RUN, "second", OTHER)
    assert not await repository.abort_action(action(), "third", OTHER)
    assert await repository.get_run(RUN) == before


async def test_one_of_many_concurrent_aborts_is_the_request(repository: ActionRepo) -> None:
    await make_run(repository)
    results = await asyncio.gather(*(repository.abort_run(RUN, str(i), ADA) for i in range(8)))
    assert sum(results) == 1


@pytest.mark.parametrize("phase", [phase for phase in ActionPhase if phase.is_terminal])
async def test_an_abort_of_a_finished_run_changes_nothing(repository: ActionRepo, phase: ActionPhase) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), phase, 1)
    before = await repository.get_run(RUN)
    assert not await repository.abort_run(RUN, "late", ADA)
    assert not await repository.abort_action(action(), "late", ADA)
    assert await repository.get_run(RUN) == before
    assert await repository.list_pending_aborts() == []


async def test_aborting_a_root_action_aborts_its_run(repository: ActionRepo) -> None:
    await make_run(repository)
    assert await repository.abort_action(action(), "root", ADA)
    run = await repository.get_run(RUN)
    assert run.phase is ABORTED
    assert run.abort is not None
    assert run.abort.reason == "root"


async def test_aborting_an_action_does_not_abort_its_run(repository: ActionRepo) -> None:
    await make_run(repository, child="a0")
    assert await repository.abort_action(action("child"), None, None)
    run = await repository.get_run(RUN)
    assert (run.phase, run.abort) == (ActionPhase.QUEUED, None)


async def test_an_aborted_action_is_not_reopened(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    for attempts in (1, 2):
        assert not await repository.update_action_phase(action(), SUCCEEDED, attempts)
    assert (await repository.get_run(RUN)).phase is ABORTED


async def test_a_request_is_pending_until_confirmed(repository: ActionRepo) -> None:
    other = RunIdentifier("etl", "production", "other")
    await make_run(repository, child="a0")
    await make_run(repository, other)
    await repository.abort_action(action("child"), "one", ADA)
    await repository.abort_run(other, "two", ADA)
    assert [x.name for x in await repository.list_pending_aborts()] == ["child", "a0"]
    first = await repository.aborts.page_pending(PageRequest(first=1))
    assert (first.items[0].name, first.has_next) == ("child", True)
    second = await repository.aborts.page_pending(PageRequest(first=1, after=first.cursors[0]))
    assert (second.items[0].run_name, second.has_next) == ("other", False)
    assert await repository.aborts.count_pending() == 2

    assert await repository.mark_abort_attempt(action("child"), "no answer") == 1
    assert await repository.mark_abort_attempt(action("child")) == 2
    abort = (await repository.get_action(action("child"))).abort
    assert abort is not None
    assert (abort.state, abort.attempt_count, abort.last_error) == (AbortState.RETRYING, 2, None)

    await repository.clear_abort_request(action("child"))
    confirmed = (await repository.get_action(action("child"))).abort
    assert confirmed is not None
    assert (confirmed.state, confirmed.reason, confirmed.requested_by) == (AbortState.CONFIRMED, "one", ADA)
    assert confirmed.confirmed_at is not None
    assert [x.run_name for x in await repository.list_pending_aborts()] == ["other"]

    await repository.clear_abort_request(action("child"))
    assert (await repository.get_action(action("child"))).abort == confirmed


async def test_an_attempt_without_a_pending_abort_is_a_conflict(repository: ActionRepo) -> None:
    await make_run(repository)
    with pytest.raises(Conflict, match="no abort of etl/production/nightly-1/a0 waits"):
        await repository.mark_abort_attempt(action())
    await repository.clear_abort_request(action())
    assert (await repository.get_action(action())).abort is None


async def test_aborting_an_unknown_run_or_action_raises_not_found(repository: ActionRepo) -> None:
    with pytest.raises(RunNotFound):
        await repository.abort_run(RUN, None, None)
    for call in (
        repository.abort_action(action(), None, None),
        repository.mark_abort_attempt(action()),
        repository.clear_abort_request(action()),
    ):
        with pytest.raises(ActionNotFound):
            await call


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (RunFilter(search="n-1"), {"n-1"}),
        (RunFilter(search="p/d/n"), {"n-0", "n-1", "n-2"}),
        (RunFilter(labels=(LabelFilter("odd"),)), {"n-1"}),
        (RunFilter(search="none"), set()),
    ],
)
async def test_bulk_aborts_of_a_search_are_counted(
    repository: ActionRepo, wanted: RunFilter, names: set[str]
) -> None:
    runs = [RunIdentifier("p", "d", f"n-{number}") for number in range(4)]
    for number, run in enumerate(runs):
        await repository.create_action(new(run=run, labels=(Label("odd", "x"),) if number % 2 else ()))
    await repository.actions.update_phases([update("a0", SUCCEEDED, run=runs[3])])
    assert await repository.aborts.abort_runs(wanted, None, ADA) == AbortRunsResult(len(names), 0, None)
    aborted = await repository.aborts.abort_runs(wanted, None, ADA, dry_run=False)
    assert (aborted.matched, aborted.requested) == (len(names), len(names))
    assert (aborted.batch is not None) == bool(names)
    found = await repository.runs.page(RunFilter(phases=(ActionPhase.ABORTED,)))
    assert {run.name for run in found.items} == names


async def test_runs_are_aborted_by_filter(repository: ActionRepo) -> None:
    runs = [RunIdentifier("etl", "production", f"run-{i}") for i in range(6)]
    for run in runs:
        await make_run(repository, run, child="a0")
    await repository.update_action_phase(action(run=runs[0]), SUCCEEDED, 1)
    await repository.abort_run(runs[1], "earlier", OTHER)
    await make_run(repository, RunIdentifier("etl", "development", "safe"))
    wanted = RunFilter(project="etl", domain="production")
    assert await repository.aborts.abort_runs(wanted, "all", ADA) == AbortRunsResult(4, 0, None)
    assert await repository.list_pending_aborts() == [await repository.get_action(action(run=runs[1]))]
    aborted = await repository.aborts.abort_runs(wanted, "all", ADA, dry_run=False)
    assert (aborted.matched, aborted.requested) == (4, 4)
    assert aborted.batch
    assert await repository.aborts.abort_runs(wanted, "all", ADA, dry_run=False) == AbortRunsResult(
        0, 0, None
    )
    assert (await repository.get_run(runs[0])).phase is SUCCEEDED
    reasons = {x.abort.reason for x in await repository.list_pending_aborts() if x.abort}
    assert reasons == {"all", "earlier"}
    assert (await repository.get_run(RunIdentifier("etl", "development", "safe"))).abort is None


async def test_a_run_created_in_the_future_does_not_end_before_its_start(repository: ActionRepo) -> None:
    await repository.create_action(new(created_at=at(10**9)))
    await repository.abort_run(RUN, None, None)
    run = await repository.get_run(RUN)
    assert (run.ended_at, run.duration_ms) == (run.created_at, 0)


async def test_the_state_of_an_action_is_stored(repository: ActionRepo) -> None:
    await make_run(repository)
    assert await repository.get_action_state(action()) is None
    await repository.update_action_state(action(), "étape 3/7\n{}")
    assert await repository.get_action_state(action()) == "étape 3/7\n{}"
    await repository.notify_state_update(action())
    assert await repository.get_action_state(action()) == "étape 3/7\n{}"
    for call in (
        repository.get_action_state(action("missing")),
        repository.update_action_state(action("missing"), "x"),
        repository.notify_state_update(action("missing")),
    ):
        with pytest.raises(ActionNotFound):
            await call


async def test_confirming_aborts_unfinished_descendants_for_the_same_reason(
    repository: ActionRepo,
) -> None:
    tree = {"b": "a0", "done": "b", "below_done": "done", "own": "b", "below_own": "own", "beside": "a0"}
    await make_run(repository, **tree)
    other = RunIdentifier("etl", "production", "other")
    await make_run(repository, other, b="a0")
    await repository.update_action_phase(action("done"), SUCCEEDED, 1)
    await repository.update_action_phase(action("below_done"), ActionPhase.FAILED, 1)
    await repository.abort_action(action("own"), "its own reason", OTHER)
    await repository.abort_action(action("b"), "too expensive", ADA)
    before = await get_actions(repository, [action(name) for name in ("a0", "done", "below_done", "beside")])
    await repository.clear_abort_request(action("b"))

    found = await get_actions(repository, [action(name) for name in ("a0", *tree)])
    assert {id: found[id] for id in before} == before
    for name, reason, identity in (
        ("b", "too expensive", ADA),
        ("own", "its own reason", OTHER),
        ("below_own", "too expensive", ADA),
    ):
        one = found[action(name)]
        assert (one.phase, one.abort and one.abort.state) == (ABORTED, AbortState.CONFIRMED), name
        assert one.abort is not None
        assert (one.abort.reason, one.abort.requested_by) == (reason, identity)
        assert one.abort.confirmed_at is not None
        assert one.ended_at is not None
    mine, below = found[action("b")].abort, found[action("below_own")].abort
    assert mine is not None
    assert below is not None
    assert (below.requested_at, below.confirmed_at) == (mine.requested_at, mine.confirmed_at)
    # One transaction: readers see all of it or nothing.
    assert len({found[action(name)].revision for name in ("b", "own", "below_own")}) == 1
    assert await repository.list_pending_aborts() == []
    assert (await repository.get_action(action("b", other))).phase is ActionPhase.QUEUED


async def test_confirming_aborts_the_deepest_descendant(repository: ActionRepo) -> None:
    names = [f"n{number:03}" for number in range(200)]
    chain = dict(zip(names, ["a0", *names], strict=False))
    await make_run(repository, **chain)
    await repository.abort_run(RUN, "all of it", ADA)
    await repository.clear_abort_request(action())
    found = await get_actions(repository, [action(name) for name in names])
    assert {(one.phase, one.abort_state, one.abort_reason) for one in found.values()} == {
        (ABORTED, AbortState.CONFIRMED, "all of it")
    }
    assert len(found) == 200


async def test_confirming_without_a_request_aborts_no_descendants(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await repository.clear_abort_request(action())
    await repository.abort_run(RUN, None, ADA)
    await repository.clear_abort_request(action())
    await repository.actions.create([new("late", "a0")])
    await repository.clear_abort_request(action())
    assert (await repository.get_action(action("b"))).phase is ABORTED
    late = (await repository.get_action(action("late"))).abort
    assert late is not None
    assert late.state is AbortState.REQUESTED, "nobody has confirmed that the work has stopped"


async def test_concurrent_confirmations_in_a_tree_do_not_deadlock(
    repository: ActionRepo,
) -> None:
    children = {f"c{number}": "a0" for number in range(6)}
    below = {f"d{number}": f"c{number}" for number in range(6)}
    await make_run(repository, **children, **below)
    names = ["a0", *children, *below]
    for name in ("a0", "c1", "c3", "d2"):
        await repository.abort_action(action(name), name, ADA)
    updates = [update(name, ActionPhase.RUNNING) for name in reversed(names)]
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(repository.clear_abort_request(action(name)) for name in ("d2", "c3", "a0", "c1")),
            *(repository.actions.update_phases(updates) for _ in range(4)),
        )
    found = await get_actions(repository, [action(name) for name in names])
    assert {one.phase for one in found.values()} == {ABORTED}
    reasons = {id.name: one.abort_reason for id, one in found.items()}
    assert (reasons["c1"], reasons["c3"], reasons["d2"]) == ("c1", "c3", "d2")
    assert reasons["d1"] in ("a0", "c1")
