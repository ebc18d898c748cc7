"""Aborts in runs whose executor is lost: the loss confirms them, until the executor is back."""

import asyncio

import pytest

from repo import AbortState, Action, ActionRepo
from tests.repo.leases.support import OTHER, P, expire, phases, renew
from tests.support.making import ADA, RUN, action, make_run, new, update


async def found(repository: ActionRepo, name: str = "a0") -> Action:
    return await repository.get_action(action(name))


def state_of(one: Action) -> AbortState | None:
    return None if one.abort is None else one.abort.state


async def test_a_loss_confirms_the_aborts_of_its_run(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a", done="a", c="a0")
    await make_run(repository, OTHER)
    await repository.actions.update_phases([update("done", P.SUCCEEDED), update("b", P.RUNNING)])
    await renew(repository, RUN, OTHER)
    assert await repository.abort_action(action("a"), "too slow", ADA)
    assert await repository.abort_run(OTHER, None, None)
    await repository.mark_abort_attempt(action("a"), "no response")
    assert await expire(repository) == 1
    names = ("a0", "a", "b", "done", "c")
    assert await phases(repository, *names) == [P.FAILED, P.ABORTED, P.ABORTED, P.SUCCEEDED, P.FAILED]
    for name in ("a", "b"):
        abort = (await found(repository, name)).abort
        assert abort is not None
        assert (abort.state, abort.reason, abort.requested_by) == (AbortState.CONFIRMED, "too slow", ADA)
        assert abort.confirmed_at is not None
    abort = (await found(repository, "a")).abort
    assert abort is not None
    assert (abort.last_error or "").startswith("EXECUTOR_LOST: the executor one has been silent since ")
    assert abort.attempt_count == 1
    pending = await repository.list_pending_aborts()
    assert [each.run_name for each in pending] == [OTHER.name], "its executor lives"
    assert await expire(repository, OTHER) == 1
    assert await repository.list_pending_aborts() == []
    assert (await repository.get_run(OTHER)).phase is P.ABORTED


async def test_an_executor_that_is_back_gets_the_abort_again(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a")
    await renew(repository)
    await repository.abort_action(action("a"), None, None)
    await repository.mark_abort_attempt(action("a"))
    await expire(repository)
    await renew(repository)
    assert await phases(repository, "a0", "a", "b") == [P.QUEUED, P.ABORTED, P.ABORTED]
    (listed,) = (await repository.leases.list_aborts([RUN.key]))[RUN.key]
    abort = listed.abort
    assert abort is not None
    assert (listed.name, abort.state) == ("a", AbortState.REQUESTED)
    assert (abort.attempt_count, abort.last_error, abort.confirmed_at) == (0, None, None)
    await repository.clear_abort_request(action("a"))
    confirmed = await found(repository, "a")
    await expire(repository)
    await renew(repository)
    assert await found(repository, "a") == confirmed, "the executor itself confirmed it"


async def test_another_executor_gets_no_abort(repository: ActionRepo) -> None:
    await make_run(repository)
    await renew(repository)
    await repository.abort_run(RUN, None, None)
    await expire(repository)
    await renew(repository, executor="two")
    assert state_of(await found(repository)) is AbortState.CONFIRMED


async def test_an_abort_in_a_run_that_has_ended_is_confirmed_too(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a0")
    await renew(repository)
    await repository.abort_action(action("a"), None, None)
    await repository.actions.update_phases([update("a0", P.SUCCEEDED)])
    assert await expire(repository) == 1
    assert await phases(repository, "a0", "a", "b") == [P.SUCCEEDED, P.ABORTED, P.FAILED]
    assert state_of(await found(repository, "a")) is AbortState.CONFIRMED


async def test_an_abort_after_the_loss_finds_the_run_ended(repository: ActionRepo) -> None:
    await make_run(repository, a="a0")
    await renew(repository)
    await expire(repository)
    before = await found(repository)
    assert not await repository.abort_run(RUN, None, None)
    assert not await repository.abort_action(action("a"), None, None)
    assert await found(repository) == before
    assert await repository.list_pending_aborts() == []


async def test_what_returns_below_an_abort_is_aborted(repository: ActionRepo) -> None:
    await make_run(repository, a="a0")
    await renew(repository)
    await expire(repository)
    await repository.actions.update_phases([update("a0", P.RUNNING)])
    await repository.abort_run(RUN, "stop", None)
    assert await phases(repository, "a0", "a") == [P.ABORTED, P.FAILED]
    await renew(repository)
    assert await phases(repository, "a0", "a") == [P.ABORTED, P.ABORTED]
    aborts = await repository.leases.list_aborts([RUN.key])
    assert {each.name for each in aborts[RUN.key]} == {"a0", "a"}


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_an_action_that_is_created_meanwhile_is_not_forgotten(repository: ActionRepo) -> None:
    """It is confirmed with the abort above it, or has a request of its own."""
    await make_run(repository)
    await renew(repository)
    await repository.abort_run(RUN, None, None)
    names = [f"n{number}" for number in range(20)]
    await asyncio.gather(
        expire(repository), *(repository.actions.create([new(name, "a0")]) for name in names)
    )
    states = {state_of(await found(repository, name)) for name in names}
    assert states <= {AbortState.CONFIRMED, AbortState.REQUESTED}
