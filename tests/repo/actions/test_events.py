"""Events: stored atomically, once each, and merged into attempts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from repo import (
    ActionAttempt,
    ActionError,
    ActionEvent,
    ActionIdentifier,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    AttemptRange,
    CacheStatus,
    ClusterEvent,
    ErrorKind,
    EventKey,
    EventNotFound,
    InvalidArgument,
    LogLink,
    NewEvent,
    PageRequest,
    merge_attempts,
)
from tests.support.making import (
    T0,
    action,
    all_events,
    at,
    event,
    make_run,
)

QUEUED, RUNNING = ActionPhase.QUEUED, ActionPhase.RUNNING
SUCCEEDED, FAILED, PAUSED = ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.PAUSED
INITIALIZING = ActionPhase.INITIALIZING
PHASES = [QUEUED, RUNNING, RUNNING, PAUSED, SUCCEEDED, FAILED]


async def test_all_fields_are_stored_and_read_back(repository: ActionRepo) -> None:
    await make_run(repository)
    arguments = event(
        phase=FAILED,
        attempt=2,
        version=3,
        seconds=1.000001,
        reported_at=at(2),
        error=ActionError(ErrorKind.SYSTEM, "out of memory", "OOM"),
        logs=(LogLink("stderr", "https://logs.example.com/1"),),
        outputs=[{"rows": 1}, None],
        cluster="c1",
        cache_status=CacheStatus.PUT_FAILURE,
        cluster_events=(ClusterEvent(at(0.5), "evicted", "Evicted", True),),
        info={"k": [1, {}]},
    )
    assert await repository.insert_events([arguments]) == 1
    (stored,) = await repository.list_events(action())
    for field in arguments.__dataclass_fields__:
        assert getattr(stored, field) == getattr(arguments, field), field
    assert stored.occurred_at.utcoffset() == timedelta(0)


async def test_an_event_is_stored_once_and_not_changed(repository: ActionRepo) -> None:
    await make_run(repository)
    assert await repository.insert_events([event(cluster="first"), event(cluster="second")]) == 1
    assert await repository.insert_events([event(cluster="third"), event(version=1)]) == 1
    first, _ = await repository.list_events(action())
    assert first.cluster == "first"


async def test_a_batch_with_an_event_of_a_missing_action_is_rolled_back(repository: ActionRepo) -> None:
    await make_run(repository)
    with pytest.raises(ActionNotFound, match="there is no action etl/production/nightly-1/gone"):
        await repository.insert_events([event("a0"), event("gone"), event("a0", attempt=2)])
    assert await repository.list_events(action()) == []


async def test_a_list_of_events_has_no_default_limit(repository: ActionRepo) -> None:
    await make_run(repository)
    batch = [event(version=version, seconds=version) for version in range(5000)]
    assert await repository.insert_events(batch) == 5000
    listed = await repository.list_events(action())
    assert [x.version for x in listed] == list(range(5000))
    assert len(await repository.list_events(action(), 7)) == 7
    since = await repository.list_events_since(action(), 1, at(4000))
    assert [x.version for x in since] == list(range(4001, 5000))


async def test_listing_events_since_a_time_skips_none_across_pages_and_ties(repository: ActionRepo) -> None:
    await make_run(repository)
    same = [event(version=version, seconds=5) for version in range(10)]
    later = [event(version=99, seconds=5.000001), event(attempt=2, seconds=9)]
    await repository.insert_events([*same, *later])
    found: list[int] = []
    for offset in range(0, 20, 3):
        page = await repository.list_events_since(action(), 1, at(4.999999), offset, 3)
        found += [x.version for x in page]
    assert found == [*range(10), 99]
    assert [x.version for x in await repository.list_events_since(action(), 1, at(5))] == [99]


async def test_a_negative_limit_or_offset_is_rejected(repository: ActionRepo) -> None:
    with pytest.raises(InvalidArgument, match="limit must not be negative"):
        await repository.list_events(action(), -1)
    with pytest.raises(InvalidArgument, match="offset must not be negative"):
        await repository.list_events_since(action(), 1, T0, -1, 5)


async def test_the_latest_event_has_the_highest_phase_and_then_version(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.insert_events(
        [
            event(phase=RUNNING, seconds=9, version=2),
            event(phase=PAUSED, seconds=3, version=0),
            event(phase=PAUSED, seconds=2, version=1),
            event(phase=QUEUED, attempt=2),
        ]
    )
    latest = await repository.get_latest_event_by_attempt(action(), 1)
    assert (latest.phase, latest.version) == (PAUSED, 1)
    assert (await repository.get_latest_event_by_attempt(action(), 2)).phase is QUEUED
    with pytest.raises(EventNotFound, match="attempt 3 of"):
        await repository.get_latest_event_by_attempt(action(), 3)


async def test_pages_of_events_work_in_both_directions(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.insert_events([event(version=v, seconds=v // 3) for v in range(20)])
    forward: list[int] = []
    page = (await repository.events.page([action()], page=PageRequest(first=6)))[action()]
    forward += [x.version for x in page.items]
    while page.has_next:
        request = PageRequest(first=6, after=page.cursors[-1])
        page = (await repository.events.page([action()], page=request))[action()]
        forward += [x.version for x in page.items]
    assert forward == list(range(20))
    newest = (await repository.events.page([action()], page=PageRequest(last=4)))[action()]
    assert [x.version for x in newest.items] == [16, 17, 18, 19]
    assert (newest.has_previous, newest.has_next) == (True, False)


async def test_the_error_of_an_action_comes_from_the_event_that_ended_its_attempt(
    repository: ActionRepo,
) -> None:
    await make_run(repository)
    late = event(phase=ActionPhase.TIMED_OUT, seconds=20, error=ActionError(ErrorKind.SYSTEM, "late"))
    await repository.insert_events([late])
    assert (await repository.get_action(action())).error is None, "it still runs"
    await repository.update_action_phase(action(), FAILED, 1)
    assert (await repository.get_action(action())).error == late.error
    early = event(phase=FAILED, seconds=10, error=ActionError(ErrorKind.USER, "early"))
    await repository.insert_events([early])
    assert (await repository.get_action(action())).error == early.error
    second = event(phase=FAILED, attempt=2, seconds=30, error=ActionError(ErrorKind.USER, "again"))
    await repository.insert_events([second])
    assert (await repository.get_action(action())).error is None, "attempt 1 is not the latest that ended"
    await repository.update_action_phase(action(), FAILED, 2)
    assert (await repository.get_action(action())).error == second.error


def stored(phase: ActionPhase, seconds: float, attempt: int = 1, **rest: Any) -> ActionEvent:
    return ActionEvent(
        action(), attempt, phase, at(seconds), created_at=T0, updated_at=T0, transaction_id=1, **rest
    )


def test_events_are_merged_per_attempt_in_order() -> None:
    first, second = merge_attempts(
        [
            stored(RUNNING, 12, 2),
            stored(RUNNING, 1),
            stored(FAILED, 10),
            stored(QUEUED, 0),
            stored(QUEUED, 11, 2),
        ]
    )
    assert (first.attempt, first.phase, first.started_at, first.ended_at) == (1, FAILED, at(0), at(10))
    assert (second.attempt, second.phase, second.started_at, second.ended_at) == (2, RUNNING, at(11), None)
    assert [(x.phase, x.started_at, x.ended_at) for x in first.phase_transitions] == [
        (QUEUED, at(0), at(1)),
        (RUNNING, at(1), at(10)),
        (FAILED, at(10), None),
    ]


def test_the_first_terminal_event_determines_the_phase_and_later_ones_only_add_logs() -> None:
    a, b, c = LogLink("out", "1"), LogLink("err", "2"), LogLink("out", "3")
    (merged,) = merge_attempts(
        [
            stored(RUNNING, 1, logs=(a, b), cluster="c1", cache_status=CacheStatus.MISS),
            stored(SUCCEEDED, 5, outputs={"n": 1}),
            stored(FAILED, 9, outputs={"n": 2}, error=ActionError(ErrorKind.USER, "x"), logs=(c,)),
        ]
    )
    assert (merged.phase, merged.ended_at, merged.outputs, merged.error) == (SUCCEEDED, at(5), {"n": 1}, None)
    assert merged.logs == [c, b]
    assert (merged.cluster, merged.cache_status) == ("c1", CacheStatus.MISS)
    assert [x.phase for x in merged.phase_transitions] == [RUNNING, SUCCEEDED]


def test_events_are_ordered_by_report_time() -> None:
    (merged,) = merge_attempts(
        [
            stored(FAILED, 1, reported_at=at(50)),
            stored(SUCCEEDED, 9, reported_at=at(10)),
        ]
    )
    assert merged.phase is SUCCEEDED


def test_a_superseded_attempt_ends_when_the_next_one_starts() -> None:
    first, _ = merge_attempts([stored(RUNNING, 1), stored(RUNNING, 7, 2)])
    assert (first.phase, first.ended_at) == (RUNNING, at(7))
    assert first.phase_transitions[-1].ended_at == at(7)


def test_cluster_events_are_merged_and_ordered() -> None:
    early, late = ClusterEvent(at(1), "pulled"), ClusterEvent(at(2), "started")
    (merged,) = merge_attempts(
        [
            stored(RUNNING, 1, cluster_events=(late,)),
            stored(RUNNING, 2, version=1, cluster_events=(late, early)),
        ]
    )
    assert merged.cluster_events == [early, late]


async def test_all_events_of_a_long_history_are_merged(repository: ActionRepo) -> None:
    await make_run(repository)
    logs = [event(version=v, seconds=v, logs=(LogLink(f"log-{v}", "x"),)) for v in range(1200)]
    await repository.insert_events(logs)
    (merged,) = merge_attempts((await all_events(repository, [action()]))[action()])
    assert len(merged.logs) == 1200


def random_events(
    name: str, count: int, random: Random, phases: Sequence[ActionPhase] = PHASES
) -> list[NewEvent]:
    return [
        NewEvent(
            action(name),
            random.choice([0, 1, 1, 2, 5, 9]),
            random.choice(phases),
            at(random.randrange(60)),
            version=version,
            reported_at=random.choice([None, at(random.randrange(60))]),
            error=random.choice([None, ActionError(ErrorKind.USER, str(version))]),
            logs=(LogLink(f"log-{version % 3}", str(version)),) if version % 2 else (),
            outputs=random.choice([None, {"n": version}]),
            cluster=random.choice([None, f"c{version}"]),
            cache_status=random.choice([None, *CacheStatus]),
            cluster_events=(ClusterEvent(at(version % 60), f"m{version}"),) if version % 3 else (),
        )
        for version in range(count)
    ]


LIVES: list[list[ActionPhase]] = [
    [QUEUED, INITIALIZING, RUNNING],
    [QUEUED, INITIALIZING, RUNNING, PAUSED],
    [*[QUEUED, INITIALIZING, RUNNING] * 20, SUCCEEDED, FAILED],
    [*[QUEUED, RUNNING, PAUSED] * 20, FAILED],
    [SUCCEEDED, FAILED],
]
"""The phases of an attempt: ended ones, paused ones, and others."""
NOTHING: dict[str, Any] = {
    "error": None,
    "outputs": None,
    "cluster": None,
    "cache_status": None,
    "logs": [],
    "cluster_events": [],
}


@pytest.mark.parametrize("phases", LIVES, ids=lambda phases: " ".join(dict.fromkeys(p.name for p in phases)))
async def test_attempts_are_merged_as_from_all_their_events(
    repository: ActionRepo, phases: list[ActionPhase]
) -> None:
    """The database leaves out events that nothing but their time matters of."""
    names = [f"n{number}" for number in range(6)]
    await make_run(repository, **dict.fromkeys(names, "a0"))
    random = Random(11)
    for number, name in enumerate(names):
        await repository.insert_events(random_events(name, 5 * 3**number // 3, random, phases))
    ids = [action(name) for name in names]
    merged = {key: merge_attempts(events) for key, events in (await all_events(repository, ids)).items()}
    for kept in ((), ("cluster",), ("error", "outputs"), ("logs", "cluster_events"), (*NOTHING,)):
        found = await repository.events.list_attempts(ids, attributes=frozenset({"attempt", "phase", *kept}))
        omitted = {each: value for each, value in NOTHING.items() if each not in kept}
        assert found == {key: [replace(x, **omitted) for x in of_it] for key, of_it in merged.items()}


PARTS = [
    AttemptRange(first=2),
    AttemptRange(first=2, after=1),
    AttemptRange(first=9, after=0, before=5),
    AttemptRange(last=2),
    AttemptRange(last=2, before=5),
    AttemptRange(last=2, before=4),
    AttemptRange(last=9, after=1, before=9),
    AttemptRange(last=2, before=0),
    AttemptRange(first=2, after=9),
]


async def test_a_range_of_attempts_is_that_part_of_all(repository: ActionRepo) -> None:
    await make_run(repository, n="a0")
    await repository.insert_events(random_events("n", 300, Random(3)))
    everything = merge_attempts((await all_events(repository, [action("n")]))[action("n")])
    for part in PARTS:
        assert await repository.events.list_attempts([action("n")], part) == {
            action("n"): part.of(everything)
        }


def only_with_logs(attempt: ActionAttempt) -> ActionAttempt:
    return replace(attempt, error=None, outputs=None, cluster=None, cache_status=None, cluster_events=[])


async def test_attempts_latest_and_single_events_agree_with_all_events(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are merged at once, many in a thread; values that are not requested may be missing."""
    monkeypatch.setattr("repo.actions.events._MERGED_AT_ONCE", 100)
    await make_run(repository, few="a0", many="a0", none="a0")
    random = Random(7)
    for name, count in (("few", 40), ("many", 1000)):
        await repository.insert_events(random_events(name, count, random))
    ids = [action(name) for name in ("few", "many", "none")]
    everything = await all_events(repository, ids)
    merged = {each: merge_attempts(events) for each, events in everything.items()}
    assert [len(merged[each]) for each in ids] == [5, 5, 0]
    for some in (ids, ids[:1], ids[1:2], ids[2:]):
        assert await repository.events.list_attempts(some) == {each: merged[each] for each in some}
        narrow = await repository.events.list_attempts(some, attributes=frozenset({"attempt", "logs"}))
        assert narrow == {each: [only_with_logs(x) for x in merged[each]] for each in some}
        last = await repository.events.list_attempts(some, AttemptRange(last=2, before=9))
        assert last == {each: merged[each][-3:-1] for each in some}
    keys = [(each, attempt) for each in ids for attempt in (-1, 0, 1, 2, 3, 5, 9, 2**40)]
    newest: dict[tuple[ActionIdentifier, int], ActionEvent] = {}
    for each in (x for events in everything.values() for x in events):
        key = each.action, each.attempt
        newest[key] = max(newest.get(key, each), each, key=lambda x: (x.phase, x.version))
    assert await repository.events.get_latest(keys) == newest
    assert await repository.events.get_latest([]) == {}
    chosen = random.sample([x for events in everything.values() for x in events], 50)
    by_key = {EventKey(x.action, x.attempt, x.phase, x.version): x for x in chosen}
    one = next(iter(by_key))
    missing = [one._replace(attempt=3), one._replace(version=2**40)]
    assert await repository.events.find([*by_key, *missing]) == by_key
    assert await repository.events.find(missing[1:]) == {}
