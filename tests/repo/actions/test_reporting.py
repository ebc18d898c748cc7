"""`report`: creations, events, phases, progress and metrics in one transaction, in any order of arrival."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from repo import (
    ActionError,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    ActionType,
    CacheStatus,
    Conflict,
    ErrorKind,
    FrameKind,
    InvalidArgument,
    Label,
    NewMetric,
    PhaseUpdate,
    Progress,
    Report,
    ReportResult,
    RunFilter,
    RunIdentifier,
    TaskIdentifier,
    open_repository,
)
from repo.tables import action_events, action_metrics, actions
from tests.support.making import ADA, RUN, action, at, event, make_run, new
from tests.support.runs_table import read_runs

WAITING, RUNNING, PAUSED = ActionPhase.WAITING_FOR_RESOURCES, ActionPhase.RUNNING, ActionPhase.PAUSED
SUCCEEDED, FAILED, ABORTED = ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.ABORTED


def described(name: str, parent: str | None, run: RunIdentifier = RUN, **rest: Any) -> Report:
    """A report that describes an action."""
    return Report(action(name, run), details=new(name, parent, run, **rest))


def phase(
    name: str, to: ActionPhase, seconds: float, run: RunIdentifier = RUN, attempt: int = 1, **rest: Any
) -> Report:
    """A report of a phase, with its event."""
    update = PhaseUpdate(to, attempt, occurred_at=at(seconds))
    return Report(
        action(name, run), attempt, update, event(name, to, attempt, seconds=seconds, run=run, **rest)
    )


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[list[ActionRepo]]:
    async with open_repository(database_url) as one, open_repository(database_url) as other:
        yield [one, other]


async def rows_of(repository: ActionRepo, run: RunIdentifier) -> list[str]:
    """Everything that is stored about the actions of a run, but for keys and the times of the server."""
    volatile = {"key", "run_key", "parent_key", "action_key", "project", "updated_at", "revision"}
    volatile |= {"transaction_id", "created_by", "placeholder_since"}
    found = []
    async with repository.database.read() as connection:
        mine = select(actions.c.key).where(actions.c.run_key == run.key)
        names = {row.key: row.name for row in await connection.execute(select(actions.c.key, actions.c.name))}
        for table, key in ((actions, "key"), (action_events, "action_key"), (action_metrics, "action_key")):
            for row in await connection.execute(select(table).where(table.c[key].in_(mine))):
                values = {name: value for name, value in row._mapping.items() if name not in volatile}
                if table is action_events:
                    del values["created_at"]
                values |= {
                    "parent is": names.get(row._mapping.get("parent_key")),
                    "of": names[row._mapping[key]],
                }
                values["is placeholder"] = row._mapping.get("placeholder_since") is not None
                found += [f"{table.name} {values['of']} {name}: {value}" for name, value in values.items()]
    return sorted(found)


def story(seed: int, run: RunIdentifier) -> list[Report]:
    """All reports about a random run, in the order in which they happened."""
    chance, reports, names = random.Random(seed), [], ["root"]
    labels = (Label("team", f"t{seed}"),)
    reports.append(described("root", None, run, created_at=at(0), labels=labels, function_name="main"))
    for number in range(chance.randrange(4, 12)):
        name, parent = f"n{number}", chance.choice(names)
        names.append(name)
        task = TaskIdentifier("p", "d", f"t{number}", "1")
        dependencies = tuple(chance.sample(names, min(2, len(names))))
        details = described(
            name, parent, run, created_at=at(number), task=task, dependencies=dependencies, spec={"n": number}
        )
        reports.append(details)
        for attempt in range(1, chance.randrange(1, 4) + 1):
            begun = 100 * attempt + number
            status = chance.choice([None, CacheStatus.MISS])
            reports.append(phase(name, RUNNING, begun, run, attempt, cache_status=status))
            if chance.random() < 0.3:
                reports += [
                    phase(name, PAUSED, begun + 5, run, attempt),
                    phase(name, RUNNING, begun + 9, run, attempt, version=1),
                ]
            values = [
                NewMetric(chance.choice("ab"), chance.random(), at(begun + n), "s")
                for n in range(chance.randrange(3))
            ]
            progress = Progress(attempt, 3, f"attempt {attempt}", at(begun + 10))
            reports.append(Report(action(name, run), progress=progress, metrics=tuple(values)))
            error = ActionError(ErrorKind.USER, f"no {attempt}", "E")
            last = chance.random() < 0.4
            if last:
                reports.append(phase(name, SUCCEEDED, begun + 20, run, attempt))
                break
            reports.append(phase(name, FAILED, begun + 20, run, attempt, error=error))
    reports.append(phase("root", chance.choice([RUNNING, SUCCEEDED, FAILED]), 1000, run))
    return reports


def batched(reports: Sequence[Report], chance: random.Random) -> list[list[Report]]:
    """The reports in their order, in calls of random sizes."""
    remaining, batches = list(reports), []
    while remaining:
        size = chance.choice([1, 1, 2, 5, 20])
        batches.append(remaining[:size])
        remaining = remaining[size:]
    return batches


@pytest.mark.parametrize("seed", range(8))
async def test_random_orders_and_repetitions_over_two_replicas_give_identical_rows(
    replicas: list[ActionRepo], seed: int
) -> None:
    chance = random.Random(seed)
    ordered = RunIdentifier("ordered", "d", "r")
    for report in story(seed, ordered):
        (result,) = await replicas[0].reports.store([report])
        assert result.error is None
    expected = await rows_of(replicas[0], ordered)
    assert not any("is placeholder: True" in line for line in expected)
    for turn in range(3):
        run = RunIdentifier(f"shuffled{turn}", "d", "r")
        reports = story(seed, run)
        reports += chance.sample(reports, len(reports) // 3)
        chance.shuffle(reports)
        batches = batched(reports, chance)
        while batches:
            some = [batches.pop() for _ in range(min(chance.choice([1, 2, 4]), len(batches)))]
            results_of = await asyncio.gather(*(chance.choice(replicas).reports.store(each) for each in some))
            assert all(result.error is None for results in results_of for result in results)
        stored = await rows_of(replicas[0], run)
        assert (set(stored) - set(expected), set(expected) - set(stored)) == (set(), set())
        assert stored == expected
        async with replicas[0].database.read() as connection:
            kept, scanned = await read_runs(connection)
            assert kept == scanned
        page = await replicas[0].runs.page(RunFilter(project=run.project, search="main"))
        assert [each.root_name for each in page.items] == ["root"]


K_V = (Label("k", "v"),)


async def store(repository: ActionRepo, *reports: Report) -> list[ReportResult]:
    results = await repository.reports.store(reports)
    assert [result.error for result in results] == [None] * len(reports)
    return results


async def test_a_report_of_an_unknown_action_makes_a_placeholder_that_is_described_later(
    repository: ActionRepo,
) -> None:
    (result,) = await store(repository, phase("child", RUNNING, 5))
    assert (result.created, result.applied, result.changed) == (True, True, True)
    child = await repository.get_action(action("child"))
    assert (child.is_placeholder, child.parent_name, child.phase) == (True, None, RUNNING)
    assert (await repository.get_run(RUN)).root_name == "child"
    (result,) = await store(repository, described("child", "parent", created_at=at(1)))
    assert (result.created, result.applied, result.changed) == (False, True, True)
    assert (await repository.get_run(RUN)).root_name == "parent"
    (result,) = await store(repository, described("parent", "a0"))
    assert not result.created
    (result,) = await store(repository, described("a0", None, function_name="main", labels=K_V))
    page = await repository.list_actions(RUN)
    placed = {each.name: (each.parent_name, each.is_placeholder) for each in page.items}
    assert placed == {"a0": (None, False), "parent": ("a0", False), "child": ("parent", False)}
    assert [each.name for each in page.items] == ["a0", "parent", "child"]
    child = await repository.get_action(action("child"))
    assert (child.created_at, child.started_at, child.attempts) == (at(1), at(5), 1)
    run = await repository.get_run(RUN)
    assert (run.root_name, run.function_name, run.labels) == ("a0", "main", [Label("k", "v")])


async def test_what_the_first_description_says_counts(repository: ActionRepo) -> None:
    await store(repository, described("a0", None, group="first", created_at=at(5)))
    (result,) = await store(repository, described("a0", None, group="second", created_at=at(9)))
    assert (result.created, result.changed) == (False, False)
    (result,) = await store(repository, described("a0", None, group="third", created_at=at(2)))
    assert (result.created, result.changed) == (False, True)
    stored = await repository.get_action(action())
    assert (stored.group, stored.created_at) == ("first", at(2))


async def test_each_report_has_its_own_error_and_the_others_are_stored(repository: ActionRepo) -> None:
    await make_run(repository)
    many = tuple(Label(f"k{number}", "") for number in range(1001))
    results = await repository.reports.store(
        [
            described("a1", "a0"),
            described("other-root", None),
            described("a2", "a0", labels=many),
            described("a3", "a3"),
            phase("a0", RUNNING, 1),
            described("a4", "a0", group="bad \0 text"),
            replace(phase("a1", SUCCEEDED, 2), event=event("a1", SUCCEEDED, version=-1)),
        ]
    )
    errors = [type(result.error) for result in results]
    none = type(None)
    assert errors[:5] == [none, Conflict, InvalidArgument, InvalidArgument, none]
    assert errors[5] is not none
    assert isinstance(results[5].error, InvalidArgument)
    assert isinstance(results[6].error, InvalidArgument)
    names = {each.name: each.phase for each in (await repository.list_actions(RUN)).items}
    assert names == {"a0": RUNNING, "a1": ActionPhase.QUEUED}
    assert len(await repository.list_events(action("a0"))) == 1
    assert [result for result in results if result.error and result.changed] == []


async def test_an_invalid_description_refuses_no_other_report_of_its_action(repository: ActionRepo) -> None:
    results = await repository.reports.store(
        [
            described("root", None),
            described("n", "n", created_at=at(-500)),
            described("n", "root", created_at=at(3)),
            phase("n", RUNNING, 5),
        ]
    )
    assert [str(each.error or "") for each in results] == [
        "",
        f"action {action('n')} is its own ancestor",
        "",
        "",
    ]
    found = await repository.get_action(action("n"))
    assert (found.parent_name, found.created_at, found.phase) == ("root", at(3), RUNNING)


async def test_nothing_of_a_report_with_too_many_metrics_is_stored(repository: ActionRepo) -> None:
    many = tuple(NewMetric(f"m{number}", 1, at(1)) for number in range(65))
    results = await repository.reports.store(
        [
            described("root", None),
            replace(described("n", "unknown", function_name="first"), metrics=many),
            replace(described("root", None, created_at=at(-500)), metrics=many),
            Report(action("other"), metrics=many[:64]),
        ]
    )
    assert [each.error is None for each in results] == [True, False, False, True]
    names = {each.name for each in (await repository.list_actions(RUN)).items}
    assert names == {"root", "other"}
    assert (await repository.get_action(action("root"))).created_at > at(-500)


async def test_an_event_and_its_phase_are_stored_together_and_once(repository: ActionRepo) -> None:
    await make_run(repository)
    error = ActionError(ErrorKind.USER, "no", "E1")
    failed = phase("a0", FAILED, 7, error=error)
    results = await store(repository, phase("a0", RUNNING, 3), failed, failed)
    assert [result.changed for result in results] == [True, True, False]
    stored = await repository.get_action(action())
    assert (stored.phase, stored.started_at, stored.ended_at, stored.error) == (FAILED, at(3), at(7), error)
    before = stored.revision
    results = await store(repository, failed, phase("a0", RUNNING, 3))
    assert [(result.applied, result.changed) for result in results] == [(True, False), (False, False)]
    assert (await repository.get_action(action())).revision == before


async def test_the_abort_that_applies_is_part_of_the_result(repository: ActionRepo) -> None:
    await make_run(repository, a1="a0", a2="a1", b1="a0")
    await repository.abort_action(action("a1"), "stop it", ADA)
    results = await store(
        repository,
        phase("a2", RUNNING, 1),
        phase("b1", RUNNING, 1),
        described("a3", "a2"),
        phase("a3", RUNNING, 1),
    )
    results += await store(repository, phase("a3", SUCCEEDED, 2))
    aborts = [result.abort and (result.abort.reason, result.abort.requested_by) for result in results]
    assert aborts == [("stop it", ADA), None, *[("stop it", ADA)] * 3]
    assert [result.applied for result in results] == [True, True, False, False, False]
    results = await store(repository, described("a4", "a2"))
    assert (results[0].created, results[0].applied) == (True, False)
    stored = await repository.get_action(action("a4"))
    assert (stored.phase, stored.abort and stored.abort.reason) == (ABORTED, "stop it")


async def test_what_is_described_below_an_aborted_action_is_aborted_with_all_below_it(
    repository: ActionRepo,
) -> None:
    await make_run(repository, a1="a0")
    await store(repository, described("low", "middle"), phase("low", RUNNING, 1), phase("done", SUCCEEDED, 2))
    await store(repository, described("done", "middle"))
    await repository.abort_action(action("a1"), "stop it", ADA)
    (result,) = await store(repository, described("middle", "a1"))
    assert (result.applied, result.abort and result.abort.reason) == (False, "stop it")
    page = await repository.list_actions(RUN)
    phases = {each.name: each.phase for each in page.items}
    assert phases == {
        "a0": ActionPhase.QUEUED,
        "a1": ABORTED,
        "middle": ABORTED,
        "low": ABORTED,
        "done": SUCCEEDED,
    }
    assert [each.name for each in page.items][:3] == ["a0", "a1", "middle"]


async def test_create_action_describes_a_placeholder(repository: ActionRepo) -> None:
    await store(repository, described("a0", None), described("child", "parent"))
    parent, created = await repository.create_action(new("parent", "a0", group="g", phase=RUNNING))
    assert not created
    assert (parent.is_placeholder, parent.group, parent.phase, parent.attempts) == (False, "g", RUNNING, 1)


async def test_progress_is_the_latest_in_any_order(repository: ActionRepo) -> None:
    await make_run(repository)
    late, early = Progress(2, 3, "late", at(9)), Progress(1, 3, "early", at(5))
    results = await store(repository, Report(action(), progress=late), Report(action(), progress=early))
    assert [result.changed for result in results] == [True, False]
    assert (await repository.get_action(action())).progress == late
    with pytest.raises(InvalidArgument, match=r"progress\.done must be a finite number"):
        Progress(float("nan"), None, None, at(1))


async def test_metrics_have_bounds_and_a_bounded_series_in_any_order(repository: ActionRepo) -> None:
    await make_run(repository, a1="a0")
    values = [NewMetric("loss", (number * 37) % 1000 / 7, at(number)) for number in range(1000)]
    for name, seed in (("a0", 1), ("a1", 2)):
        shuffled = list(values) + values[:100]
        random.Random(seed).shuffle(shuffled)
        for start in range(0, len(shuffled), 90):
            await store(repository, Report(action(name), metrics=tuple(shuffled[start : start + 90])))
    found = await repository.actions.list_metrics([action("a0").key, action("a1").key])
    (metric,) = found[action("a0").key]
    assert [metric] == found[action("a1").key]
    assert (metric.last, metric.last_at) == (values[-1].value, at(999))
    assert (metric.minimum, metric.maximum) == (0, max(each.value for each in values))
    series = metric.series
    assert 64 <= len(series) <= 129
    assert series[-1].at == at(999)
    gaps = [later.at - former.at for former, later in zip(series, series[1:], strict=False)]
    assert max(gaps) <= timedelta(seconds=30)
    by_time = {each.at: each.value for each in values}
    assert all(point.value == by_time[point.at] for point in series)
    (result,) = await store(repository, Report(action("a0"), metrics=tuple(values[:5])))
    assert not result.changed
    many = tuple(NewMetric(f"m{number}", 1, at(1)) for number in range(64))
    (result,) = await repository.reports.store([Report(action("a0"), metrics=many)])
    assert str(result.error) == "an action has at most 64 metrics, not 65"


async def test_a_run_whose_root_is_replaced_stays_one_run_for_watchers(repository: ActionRepo) -> None:
    seen: dict[bytes, str] = {}
    stream = repository.watches.watch_all_run_updates(RunFilter(project=RUN.project), 100)
    async with asyncio.timeout(30):
        await store(repository, phase("child", RUNNING, 5))
        async for frame in stream:
            for run in frame.items:
                seen[run.run_key] = run.root_name
            assert not frame.removed
            if seen.get(RUN.key) == "child":
                await store(repository, described("child", "parent"))
            if seen.get(RUN.key) == "parent":
                await store(repository, described("parent", "a0"), described("a0", None))
            if seen.get(RUN.key) == "a0":
                break
    assert seen == {RUN.key: "a0"}


@pytest.mark.parametrize(
    "filter",
    [ActionFilter(parent_name="root"), ActionFilter(types=(ActionType.TASK,))],
    ids=["parent", "type"],
)
async def test_a_placeholder_leaves_a_filter_that_its_description_does_not_match(
    repository: ActionRepo, filter: ActionFilter
) -> None:
    await store(repository, described("root", None), described("n", "root"), phase("late", RUNNING, 5))
    stream = repository.watches.watch_all_action_updates(RUN, filter)
    async with asyncio.timeout(30), aclosing(stream):
        async for frame in stream:
            if frame.kind is FrameKind.SYNCED:
                await store(repository, described("late", "n", type=ActionType.TRACE))
            if frame.kind is FrameKind.CHANGE:
                assert [each.key for each in frame.removed] == [action("late").key]
                break


@pytest.mark.parametrize(
    "filter", [RunFilter(has_task=False), RunFilter(has_function=False)], ids=["task", "f"]
)
async def test_a_run_leaves_a_filter_that_its_description_does_not_match(
    repository: ActionRepo, filter: RunFilter
) -> None:
    await store(repository, phase("root", RUNNING, 5))
    stream = repository.watches.watch_all_run_updates(filter, 100)
    async with asyncio.timeout(30), aclosing(stream):
        async for frame in stream:
            if frame.kind is FrameKind.SYNCED:
                task = TaskIdentifier("p", "d", "t", "1")
                await store(repository, described("root", None, task=task, function_name="main"))
            if frame.kind is FrameKind.CHANGE:
                assert (list(frame.items), len(frame.removed)) == ([], 1)
                break


async def test_a_deep_chain_of_actions_takes_no_longer_than_a_flat_run(repository: ActionRepo) -> None:
    count = 2000
    chain, flat = (replace(RUN, name=name) for name in ("chain", "flat"))

    async def seconds_for_phases(run: RunIdentifier) -> float:
        began = time.monotonic()
        await store(repository, *(phase(f"n{n}", RUNNING, 5, run) for n in range(count)))
        await store(repository, *(phase(f"n{n}", SUCCEEDED, 6, run) for n in range(0, count, 3)))
        return time.monotonic() - began

    for run in (chain, flat):
        parents = [None, *(f"n{n if run is chain else 0}" for n in range(count - 1))]
        await store(repository, *(described(f"n{n}", parent, run) for n, parent in enumerate(parents)))
    # Work for each pair of an action and an ancestor would take a thousand times as long.
    alone = await seconds_for_phases(flat)
    assert await seconds_for_phases(chain) < 20 * alone
    assert (await repository.get_action(action("n1999", chain))).phase is RUNNING


async def test_5000_reports_fit_into_one_call(repository: ActionRepo) -> None:
    now = datetime.now(UTC)
    reports = [described("a0", None)]
    for number in range(4999):
        name = f"n{number}"
        parent = f"n{number // 10 - 1}" if number >= 10 else "a0"
        details = new(name, parent, created_at=now)
        update = PhaseUpdate(RUNNING, 1, occurred_at=now)
        reports.append(Report(action(name), 1, update, event(name), details))
    random.Random(1).shuffle(reports)
    results = await store(repository, *reports)
    assert all(result.created and result.applied for result in results)
    async with repository.database.read() as connection:
        placeholders = await connection.scalar(
            text("SELECT count(*) FROM actions WHERE placeholder_since IS NOT NULL")
        )
        assert placeholders == 0
        depths = select(actions.c.depth).where(actions.c.name == "n4321")
        assert await connection.scalar(depths) == 4
