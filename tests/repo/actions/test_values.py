"""Extreme values: stored unchanged, or rejected with a reason."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from repo import (
    ActionError,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    ErrorKind,
    InvalidArgument,
    Label,
    LabelFilter,
    NotFound,
    RunFilter,
    TaskIdentifier,
)
from tests.support.making import (
    ADA,
    RUN,
    T0,
    action,
    at,
    event,
    make_run,
    new,
)

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    "value",
    [1.0, -0.0, 0, 2**70, 10**300, 12345678901234567890, 1e22, 5e-324, 0.1]
    + ["", "1.0", "null", "NaN", True, False, [], {}, {"b": 1, "a": [2.0, None, {"": -0.0}]}],
)
async def test_json_values_are_stored_unchanged(repository: ActionRepo, value: object) -> None:
    await repository.create_action(new(spec=value))
    await repository.insert_events([event(outputs=value, info=value)])
    (stored,) = await repository.list_events(action())
    spec = (await repository.get_action(action())).spec
    # repr distinguishes 1, 1.0 and True, and shows the order of keys.
    assert [repr(spec), repr(stored.outputs), repr(stored.info)] == [repr(value)] * 3


@pytest.mark.parametrize(
    "moment", [FIRST + MICROSECOND, LAST - MICROSECOND, datetime(1969, 7, 20, tzinfo=UTC)]
)
async def test_distant_times_are_stored_unchanged(repository: ActionRepo, moment: datetime) -> None:
    await repository.create_action(new(created_at=moment))
    await repository.insert_events([event(seconds=0)])
    end = LAST - MICROSECOND
    await repository.update_action_phase(action(), ActionPhase.FAILED, 1, end_time=end)
    run = await repository.get_run(RUN)
    assert (run.created_at, run.ended_at) == (moment, end)
    assert run.duration_ms == (end - moment) // timedelta(milliseconds=1)
    found = await repository.runs.page(RunFilter(start_date=moment, end_date=moment))
    assert [run.identifier for run in found.items] == [RUN]
    assert await repository.list_events_since(action(), 1, FIRST + MICROSECOND)


@pytest.mark.parametrize(
    "moment",
    [FIRST, LAST, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), datetime(2026, 1, 1)],  # noqa: DTZ001
)
async def test_unstorable_times_are_rejected(repository: ActionRepo, moment: datetime) -> None:
    await make_run(repository)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: repository.create_action(new("child", "a0", created_at=moment)),
        lambda: repository.runs.page(RunFilter(end_date=moment)),
        lambda: repository.list_events_since(action(), 1, moment),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument, match="a time"):
            await call()
    assert await repository.actions.count() == 1


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
async def test_unstorable_text_is_rejected(repository: ActionRepo, text: str) -> None:
    await make_run(repository)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: repository.update_action_state(action(), text),
        lambda: repository.create_action(new("b", "a0", group=text)),
        lambda: repository.create_action(new("b", "a0", labels=(Label("k", text),))),
        lambda: repository.create_action(new("b", "a0", task=TaskIdentifier("p", "d", "t", text))),
        lambda: repository.create_action(new("b", "a0", created_by=replace(ADA, name=text))),
        lambda: repository.create_action(new("b", "a0", created_by=replace(ADA, email=text))),
        lambda: repository.insert_events([event(cluster=text)]),
        lambda: repository.insert_events([event(error=ActionError(ErrorKind.USER, text))]),
        lambda: repository.insert_events([event(error=ActionError(ErrorKind.USER, "why", text))]),
        lambda: repository.runs.page(RunFilter(search=text)),
        lambda: repository.runs.page(RunFilter(task_name=text)),
        lambda: repository.runs.page(RunFilter(labels=(LabelFilter(text),))),
        lambda: repository.list_actions(RUN, ActionFilter(group=text)),
        lambda: repository.abort_run(RUN, text, None),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument, match="must not contain"):
            await call()
    assert await repository.actions.count() == 1
    assert (await repository.get_run(RUN)).phase is ActionPhase.QUEUED


async def test_long_text_is_stored_and_found(repository: ActionRepo) -> None:
    long = "x%_\\/'é😀" * 20_000
    rest: dict[str, Any] = {"group": long, "function_name": long, "environment_name": long}
    task = TaskIdentifier(long, long, long, long)
    await repository.create_action(new(task=task, labels=(Label("k" * 255, long),), **rest))
    for wanted in (
        RunFilter(search=long.upper()),
        RunFilter(search=long[1:-1]),
        RunFilter(task_name=long, function_name=long),
        RunFilter(labels=(LabelFilter("k" * 255, long),)),
    ):
        assert await repository.runs.count(wanted) == 1
    assert await repository.runs.count(RunFilter(search=long + "y")) == 0
    assert (await repository.get_action(action())).task == task


@pytest.mark.parametrize("attempt", [-1, 2**31, 2**40, 2**70])
async def test_an_impossible_attempt_number_has_no_events(repository: ActionRepo, attempt: int) -> None:
    await make_run(repository)
    await repository.insert_events([event(seconds=1)])
    assert await repository.list_events_since(action(), attempt, T0) == []
    assert (await repository.events.page([action()], attempt))[action()].items == []
    assert list(await repository.events.get_latest([(action(), attempt), (action(), 1)])) == [(action(), 1)]
    with pytest.raises(NotFound, match="has no events"):
        await repository.get_latest_event_by_attempt(action(), attempt)


async def test_times_before_and_after_1970_are_ordered(repository: ActionRepo) -> None:
    moments = [FIRST + MICROSECOND, at(-(10**9) * 2), T0, at(0.000001), LAST - MICROSECOND]
    await repository.actions.create(
        [new(), *(new(f"t{i}", "a0", created_at=moment) for i, moment in enumerate(moments))]
    )
    page = await repository.list_actions(RUN, ActionFilter(parent_name="a0"))
    assert [found.created_at for found in page.items] == moments
