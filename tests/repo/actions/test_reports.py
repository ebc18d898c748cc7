"""Realistic reports of executors: late, repeated, in any order, and incomplete."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from repo import (
    Action,
    ActionError,
    ActionPhase,
    ActionRepo,
    AttemptRange,
    CacheStatus,
    ErrorKind,
    LogLink,
    PhaseUpdate,
    Related,
    RunFilter,
)
from tests.support.client import GraphQLClient
from tests.support.making import (
    ADA,
    RUN,
    action,
    at,
    event,
    make_run,
    new,
    update,
)

QUEUED, RUNNING, PAUSED = ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.PAUSED
SUCCEEDED, FAILED = ActionPhase.SUCCEEDED, ActionPhase.FAILED
ERROR = ActionError(ErrorKind.USER, "the disk is full", "ENOSPC")


def times(of: Action) -> list[datetime | None]:
    return [of.created_at, of.started_at, of.ended_at]


# Errors


@pytest.mark.parametrize("is_update_first", [True, False])
async def test_a_later_report_of_a_failure_adds_missing_values(
    repository: ActionRepo, is_update_first: bool
) -> None:
    await make_run(repository)
    if is_update_first:
        await repository.update_action_phase(action(), FAILED, 1)
    await repository.insert_events([event(phase=FAILED, seconds=5)])
    first = await repository.get_action(action())
    assert first.error is None
    full: dict[str, Any] = {"outputs": {"rows": 3}, "cluster": "east", "cache_status": CacheStatus.MISS}
    await repository.insert_events([event(phase=FAILED, seconds=6, version=1, error=ERROR, **full)])
    if not is_update_first:
        await repository.update_action_phase(action(), FAILED, 1)
    found, run = await repository.get_action(action()), await repository.get_run(RUN)
    assert (found.error, run.error) == (ERROR, ERROR)
    assert found.revision > first.revision
    (attempt,) = (await repository.events.list_attempts([action()]))[action()]
    assert (attempt.error, attempt.outputs) == (ERROR, {"rows": 3})
    assert (attempt.cluster, attempt.cache_status) == ("east", CacheStatus.MISS)
    assert attempt.ended_at == at(5)


async def test_a_later_report_replaces_no_value_of_the_first(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), FAILED, 1)
    output: dict[str, Any] = {
        "error": ERROR,
        "outputs": [1],
        "cluster": "east",
        "cache_status": CacheStatus.MISS,
    }
    await repository.insert_events([event(phase=FAILED, seconds=5, **output)])
    before = await repository.get_action(action())
    other: dict[str, Any] = {"outputs": [2], "cluster": "west", "cache_status": CacheStatus.HIT}
    error = ActionError(ErrorKind.SYSTEM, "another")
    await repository.insert_events([event(phase=FAILED, seconds=6, version=1, error=error, **other)])
    assert await repository.get_action(action()) == before, "not even its revision"
    (attempt,) = (await repository.events.list_attempts([action()]))[action()]
    assert {name: getattr(attempt, name) for name in output} == output


async def test_a_report_of_another_terminal_phase_adds_nothing(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), FAILED, 1)
    late = event(phase=ActionPhase.TIMED_OUT, seconds=9, error=ERROR, outputs=[1])
    await repository.insert_events([event(phase=FAILED, seconds=5), late])
    assert (await repository.get_action(action())).error is None
    (attempt,) = (await repository.events.list_attempts([action()]))[action()]
    assert (attempt.phase, attempt.error, attempt.outputs) == (FAILED, None, None)


async def test_subscribers_get_an_error_that_was_added_later(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), FAILED, 1)
    await repository.insert_events([event(phase=FAILED)])
    watch = repository.watch_action_updates(action(), related=Related(False, False))
    assert (await anext(watch)).error is None
    await repository.insert_events([event(phase=FAILED, version=1, error=ERROR)])
    assert (await anext(watch)).error == ERROR
    await watch.aclose()


# Repeats


async def test_a_report_without_a_cache_status_keeps_it_and_the_revision(
    repository: ActionRepo,
) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), SUCCEEDED, 1, CacheStatus.HIT, at(5), at(1))
    before = await repository.get_action(action())
    (again,) = await repository.actions.update_phases([update("a0", SUCCEEDED)])
    assert (again.applied, again.changed) == (True, False)
    assert await repository.get_action(action()) == before


async def test_the_api_says_whether_a_report_changed_anything(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository, b="a0")
    text = """mutation($input: [UpdateActionPhaseInput!]!) {
      updateActionPhases(input: $input) {
        applied changed results { applied changed action { phase cacheStatus startedAt } }
      }
    }"""
    b = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "b"}
    ended = {"id": b, "attempts": 1, "phase": "SUCCEEDED", "cacheStatus": "HIT"}
    late = {"id": b, "attempts": 1, "phase": "RUNNING"}
    value = [
        ended,
        {"id": b, "attempts": 1, "phase": "SUCCEEDED"},
        {"id": b, "attempts": 1, "phase": "SUCCEEDED", "cacheStatus": None},
        late,
        late | {"startTime": at(1).isoformat()},
    ]
    answer = (await client.execute(text, {"input": value}))["data"]["updateActionPhases"]
    assert [(each["applied"], each["changed"]) for each in answer["results"]] == [
        (True, True),
        (True, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert (answer["applied"], answer["changed"]) == (3, 2)
    assert answer["results"][0]["action"] == {
        "phase": "SUCCEEDED",
        "cacheStatus": "HIT",
        "startedAt": "2026-01-01T12:00:01Z",
    }


# Order and clocks


async def test_times_do_not_depend_on_the_order_of_reports(repository: ActionRepo) -> None:
    await make_run(repository)
    for number, order in enumerate(permutations(range(4))):
        name = f"b{number}"
        reports = [
            PhaseUpdate(RUNNING, 1, start_time=at(2)),
            PhaseUpdate(RUNNING, 1, start_time=at(8)),
            PhaseUpdate(SUCCEEDED, 1, end_time=at(9)),
        ]
        await repository.actions.create([new(name, "a0")])
        for each in order:
            if each == 3:
                await repository.actions.create([new(name, "a0", created_at=at(1))])
            else:
                await repository.actions.update_phases([(action(name), reports[each])])
        found = await repository.get_action(action(name))
        assert (found.phase, times(found)) == (SUCCEEDED, [at(1), at(2), at(9)]), order
        assert found.duration_ms == 8000


async def test_a_creation_moved_back_is_seen_by_lists_filters_and_watches(repository: ActionRepo) -> None:
    await make_run(repository)
    wanted = RunFilter(end_date=at(100), min_duration_ms=1)
    watch = repository.watch_all_run_updates(wanted)
    while (await anext(watch)).kind.name != "SYNCED":
        pass
    await repository.update_action_phase(action(), SUCCEEDED, 1, end_time=at(9))
    assert (await repository.runs.page(wanted)).items == []
    await repository.update_action_phase(action(), RUNNING, 1, start_time=at(4))
    (found,) = (await repository.runs.page(wanted)).items
    assert (found.created_at, found.started_at, found.ended_at) == (at(4), at(4), at(9))
    assert found.duration_ms == 5000
    frame = await anext(watch)
    while not frame.items:
        frame = await anext(watch)
    assert [run.created_at for run in frame.items] == [at(4)]
    await watch.aclose()
    assert (await repository.runs.page(RunFilter(start_date=at(100)))).items == []


async def test_an_end_reported_before_the_start_becomes_the_start(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), RUNNING, 1)
    started = (await repository.get_action(action())).started_at
    await repository.update_action_phase(action(), SUCCEEDED, 1, end_time=at(0))
    found = await repository.get_action(action())
    assert found.started_at == started
    assert found.ended_at == started
    assert found.duration_ms is not None
    assert found.duration_ms >= 0


async def test_an_abort_ends_no_action_before_its_start(repository: ActionRepo) -> None:
    await make_run(repository, b="a0", c="a0")
    future = datetime.fromisoformat("2999-01-01T00:00:00Z")
    for name in ("b", "c"):
        await repository.update_action_phase(action(name), RUNNING, 1, start_time=future)
    await repository.abort_action(action("b"), None, ADA)
    await repository.abort_action(action(), None, ADA)
    await repository.clear_abort_request(action())
    for name in ("b", "c"):
        found = await repository.get_action(action(name))
        assert (found.phase, found.started_at, found.ended_at) == (ActionPhase.ABORTED, future, future)


async def test_an_action_created_in_a_terminal_phase_takes_reported_times(
    repository: ActionRepo,
) -> None:
    await repository.actions.create([new(phase=SUCCEEDED, created_at=at(10))])
    await repository.update_action_phase(action(), SUCCEEDED, 1, end_time=at(30), start_time=at(20))
    assert times(await repository.get_action(action())) == [at(10), at(20), at(30)]


async def test_the_earliest_creation_in_a_batch_counts(repository: ActionRepo) -> None:
    batch = [new(created_at=at(9)), new(created_at=at(4)), new()]
    assert await repository.actions.create(batch) == 1
    assert (await repository.get_action(action())).created_at == at(4)


# Pauses


async def test_a_paused_action_resumes_in_the_same_attempt(repository: ActionRepo) -> None:
    await make_run(repository)
    for seconds, phase in enumerate([RUNNING, PAUSED, RUNNING, PAUSED, RUNNING]):
        report = PhaseUpdate(phase, 1, occurred_at=at(seconds))
        (advanced,) = await repository.actions.update_phases([(action(), report)])
        assert (advanced.applied, advanced.changed) == (True, True)
        assert (await repository.get_action(action())).phase is phase
        for earlier in (RUNNING, PAUSED):
            late = PhaseUpdate(earlier, 1, occurred_at=at(seconds - 1))
            await repository.actions.update_phases([(action(), late)])
        assert (await repository.get_action(action())).phase is phase


def phases(transitions: Sequence[Any]) -> list[tuple[ActionPhase, datetime, datetime | None]]:
    return [(each.phase, each.started_at, each.ended_at) for each in transitions]


PAUSED_TWICE = [
    event(phase=QUEUED, seconds=0),
    event(phase=RUNNING, seconds=1),
    event(phase=PAUSED, seconds=3),
    event(phase=RUNNING, seconds=5, version=1),
    event(phase=PAUSED, seconds=7, version=1),
    event(phase=RUNNING, seconds=8, version=2),
    event(phase=SUCCEEDED, seconds=9),
]


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_the_history_shows_each_pause_and_each_resume(
    repository: ActionRepo, is_reversed: bool
) -> None:
    await make_run(repository)
    for number, each in enumerate(reversed(PAUSED_TWICE) if is_reversed else PAUSED_TWICE):
        await repository.insert_events([replace(each, reported_at=at(100 + number))])
    (attempt,) = (await repository.events.list_attempts([action()]))[action()]
    assert (attempt.phase, attempt.started_at, attempt.ended_at) == (SUCCEEDED, at(0), at(9))
    assert phases(attempt.phase_transitions) == [
        (QUEUED, at(0), at(1)),
        (RUNNING, at(1), at(3)),
        (PAUSED, at(3), at(5)),
        (RUNNING, at(5), at(7)),
        (PAUSED, at(7), at(8)),
        (RUNNING, at(8), at(9)),
        (SUCCEEDED, at(9), None),
    ]


async def test_a_report_of_running_before_a_pause_does_not_resume(repository: ActionRepo) -> None:
    await make_run(repository)
    late = event(phase=RUNNING, seconds=2, version=1, reported_at=at(50), logs=(LogLink("out", "x"),))
    await repository.insert_events([event(seconds=1), event(phase=PAUSED, seconds=3), late])
    (attempt,) = (await repository.events.list_attempts([action()]))[action()]
    assert attempt.phase is PAUSED
    assert phases(attempt.phase_transitions) == [(RUNNING, at(1), at(3)), (PAUSED, at(3), None)]
    assert attempt.logs == [LogLink("out", "x")]


# Attempts


async def test_no_transition_ends_before_it_started(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.insert_events(
        [
            event(phase=RUNNING, seconds=40, reported_at=at(1)),
            event(phase=SUCCEEDED, seconds=10, reported_at=at(2)),
            event(phase=RUNNING, attempt=2, seconds=50),
            event(phase=RUNNING, attempt=3, seconds=20),
        ]
    )
    first, second, _ = (await repository.events.list_attempts([action()]))[action()]
    assert (first.started_at, first.ended_at) == (at(40), at(40))
    assert (second.started_at, second.ended_at) == (at(50), at(50)), "closed where the next one began"
    for attempt in (first, second):
        for step in attempt.phase_transitions:
            assert step.ended_at is None or step.ended_at >= step.started_at


async def test_attempts_are_paged_by_number(client: GraphQLClient, repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    numbers = [*range(1, 121), 130, 131]
    await repository.insert_events([event(attempt=n, seconds=n, version=v) for n in numbers for v in (0, 1)])
    await repository.insert_events([event("b", attempt=7)])
    text = """query($id: ActionIdentifierInput!, $first: Int, $after: Int, $last: Int, $before: Int) {
      action(id: $id) {
        attemptHistory(first: $first, after: $after, last: $last, before: $before) { attempt endedAt }
      }
    }"""
    id = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}

    async def page(**arguments: int) -> list[int]:
        answer = await client.execute(text, {"id": id, **arguments})
        attempts = answer["data"]["action"]["attemptHistory"]
        # Each but the newest ends where the next one starts, whether that is on the page or not.
        assert [each["attempt"] for each in attempts if each["endedAt"] is None] in ([], [131])
        assert not any(each["endedAt"] is None for each in attempts if each["attempt"] != 131)
        return [each["attempt"] for each in attempts]

    assert await page() == numbers[-100:]
    assert await page(last=3) == [120, 130, 131]
    assert await page(last=2, before=130) == [119, 120]
    assert await page(last=2, before=125) == [119, 120]
    assert await page(first=2) == [1, 2]
    assert await page(first=3, after=119) == [120, 130, 131]
    assert await page(first=5, after=2, before=5) == [3, 4]
    assert await page(after=131) == await page(before=1) == await page(first=0) == []
    found: list[int] = []
    while more := await page(first=50, after=found[-1] if found else 0):
        found += more
    assert found == numbers
    both = await repository.events.list_attempts([action(), action("b")], AttemptRange(last=1))
    assert {id.name: [x.attempt for x in attempts] for id, attempts in both.items()} == {
        "a0": [131],
        "b": [7],
    }
    for wrong, output in (
        ({"first": 1, "last": 1}, "give first or last, not both"),
        ({"last": 1001}, "last must be at most 1000, not 1001"),
        ({"first": -1}, "first must be between 0 and 1000, not -1"),
    ):
        (error,) = (await client.execute(text, {"id": id, **wrong}))["errors"]
        assert (error["extensions"]["code"], error["message"]) == ("BAD_USER_INPUT", output)
