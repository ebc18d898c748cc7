"""Aggregates of runs: by task, and by start time."""

import math
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from repo import (
    ActionPhase,
    ActionRepo,
    Durations,
    InvalidArgument,
    InvalidCursor,
    Label,
    LabelFilter,
    NewAction,
    PageRequest,
    PhaseCount,
    Run,
    RunFilter,
    RunHistogramBucket,
    RunIdentifier,
    TaskIdentifier,
    TaskKey,
    TaskSummary,
)
from tests.support.client import GraphQLClient
from tests.support.making import (
    T0,
    at,
    make_run,
    new,
    update,
)

P = ActionPhase
LOAD = TaskKey("p", "d", "load", None)


def root(
    name: str,
    task: str | None = None,
    function: str | None = None,
    seconds: float = 0,
    project: str = "p",
    domain: str = "d",
    **rest: Any,
) -> NewAction:
    """A run created this many seconds after T0."""
    named = None if task is None else TaskIdentifier("p", "d", task, f"v{len(name)}")
    run = RunIdentifier(project, domain, name)
    return new(run=run, task=named, function_name=function, created_at=at(seconds), **rest)


async def end(repository: ActionRepo, *runs: tuple[NewAction, ActionPhase, float]) -> None:
    """Creates runs in these phases; ended ones last this many seconds."""
    await repository.actions.create([run for run, _, _ in runs])
    updates = []
    for run, phase, seconds in runs:
        assert run.created_at is not None
        ended_at = run.created_at + timedelta(seconds=seconds) if phase.is_terminal else None
        updates.append(update("a0", phase, run=run.id.run, end_time=ended_at))
    await repository.actions.update_phases(updates)


async def tasks(repository: ActionRepo, wanted: RunFilter | None = None) -> dict[TaskKey, TaskSummary]:
    """All summaries by task."""
    page = await repository.summaries.list_tasks(wanted)
    assert not page.has_next
    assert await repository.summaries.count_tasks(wanted) == len(page.items)
    return {each.key: each for each in page.items}


async def data(client: GraphQLClient, query: str, **variables: Any) -> dict[str, Any]:
    body = await client.execute(query, variables)
    assert "errors" not in body, body["errors"]
    found: dict[str, Any] = body["data"]
    return found


async def error(client: GraphQLClient, query: str, **variables: Any) -> tuple[str, str]:
    (only,) = (await client.execute(query, variables))["errors"]
    return only["extensions"]["code"], only["message"]


async def test_runs_are_grouped_by_task_or_function_or_project_and_domain(
    repository: ActionRepo,
) -> None:
    await repository.actions.create(
        [
            root("r1", "load", seconds=1),
            root("r22", "load", "main", seconds=2),
            root("r3", "load", "other", seconds=3),
            root("r4", None, "load", seconds=4),
            root("r5", None, "main", seconds=5),
            root("r6", seconds=6),
            root("r7", seconds=7),
            root("r8", "load", seconds=8, domain="e"),
            root("r9", "load", seconds=9, project="q"),
            root("r10", "", seconds=10),
            root("r11", None, "", seconds=11),
            new("step", "a0", run=RunIdentifier("p", "d", "r1"), task=TaskIdentifier("p", "d", "step", "v1")),
        ]
    )
    assert {key: each.runs for key, each in (await tasks(repository)).items()} == {
        TaskKey("p", "d", None, ""): 1,
        TaskKey("p", "d", "", None): 1,
        TaskKey("q", "d", "load", None): 1,
        TaskKey("p", "e", "load", None): 1,
        TaskKey("p", "d", None, None): 2,
        TaskKey("p", "d", None, "main"): 1,
        TaskKey("p", "d", None, "load"): 1,
        LOAD: 3,
    }
    keys = list(await tasks(repository))
    recent = await repository.summaries.list_recent_runs(keys)
    assert [[run.name for run in recent[key]] for key in keys] == [
        *(["r11"], ["r10"], ["r9"], ["r8"], ["r7", "r6"], ["r5"], ["r4"]),
        ["r3", "r22", "r1"],
    ]


async def test_a_summary_counts_ended_and_failed_runs(repository: ActionRepo) -> None:
    ends = [
        *(P.SUCCEEDED, P.SUCCEEDED, P.SUCCEEDED, P.FAILED, P.TIMED_OUT),
        *(P.ABORTED, P.RECOVERED, P.SKIPPED, P.RUNNING, P.QUEUED, P.PAUSED),
    ]
    await repository.actions.create(
        [root(f"r{i}", "load", seconds=i, phase=phase) for i, phase in enumerate(ends)]
        + [root("one", "waits", seconds=99)]
    )
    found = await tasks(repository)
    load = found[LOAD]
    assert (load.runs, load.ended, load.failed, load.failure_rate) == (11, 8, 2, 2 / 8)
    assert load.phase_counts == [PhaseCount(phase, ends.count(phase)) for phase in sorted(set(ends))]
    assert load.last_created_at == at(10)
    assert load.last_created_at.utcoffset() == timedelta(0)
    waits = found[TaskKey("p", "d", "waits", None)]
    assert (waits.runs, waits.ended, waits.failed, waits.failure_rate) == (1, 0, 0, None)


@pytest.mark.parametrize(
    ("seconds", "p50", "p95"),
    [
        ([7], 7, 7),
        ([2, 1], 1, 2),
        ([3, 1, 2], 2, 3),
        ([4, 4, 4, 9], 4, 9),
        (range(1, 20), 10, 19),
        (range(1, 21), 10, 19),
        (range(1, 22), 11, 20),
        (range(1, 101), 50, 95),
        ([0, 0], 0, 0),
    ],
)
async def test_duration_percentiles_use_the_nearest_rank(
    repository: ActionRepo, seconds: list[int], p50: int, p95: int
) -> None:
    shuffled = random.Random(1).sample(list(seconds), len(seconds))
    await end(
        repository,
        *((root(f"r{i}", "load"), P.SUCCEEDED, each) for i, each in enumerate(shuffled)),
        (root("failed", "load"), P.FAILED, 1000),
        (root("recovered", "load"), P.RECOVERED, 1000),
        (root("of-another", None, "load"), P.SUCCEEDED, 1000),
    )
    found = await repository.summaries.list_durations([LOAD])
    assert found == {LOAD: Durations(p50 * 1000, p95 * 1000)}


async def test_durations_are_null_if_no_run_succeeded(repository: ActionRepo) -> None:
    await end(repository, (root("r", "load"), P.FAILED, 5))
    nothing = TaskKey("p", "d", None, None)
    found = await repository.summaries.list_durations([LOAD, nothing, LOAD])
    assert found == {LOAD: Durations(None, None), nothing: Durations(None, None)}
    assert await repository.summaries.list_durations([]) == {}
    assert await repository.summaries.list_recent_runs([]) == {}


async def test_a_filter_applies_to_every_part_of_a_summary(repository: ActionRepo) -> None:
    team = (Label("team", "data"),)
    await end(
        repository,
        (root("r0", "load", seconds=0), P.SUCCEEDED, 1),
        (root("r1", "load", seconds=10, labels=team), P.SUCCEEDED, 2),
        (root("r2", "load", seconds=20, labels=team), P.FAILED, 3),
        (root("r3", "other", seconds=30), P.SUCCEEDED, 4),
    )
    wanted = RunFilter(labels=(LabelFilter("team", "data"),))
    ((key, found),) = (await tasks(repository, wanted)).items()
    assert key == LOAD
    assert found.phase_counts == [PhaseCount(P.SUCCEEDED, 1), PhaseCount(P.FAILED, 1)]
    assert found.last_created_at == at(20)
    assert await repository.summaries.list_durations([LOAD], wanted) == {LOAD: Durations(2000, 2000)}
    recent = await repository.summaries.list_recent_runs([LOAD], wanted)
    assert [run.name for run in recent[LOAD]] == ["r2", "r1"]
    until = RunFilter(project="p", domain="d", end_date=at(10))
    assert (await tasks(repository, until))[LOAD].runs == 2
    assert [run.name for run in (await repository.summaries.list_recent_runs([LOAD], until))[LOAD]] == [
        "r1",
        "r0",
    ]
    assert await tasks(repository, RunFilter(project="nowhere")) == {}


async def test_tasks_with_equal_times_are_ordered_by_name(repository: ActionRepo) -> None:
    await repository.actions.create(
        [
            root("newest", "z", seconds=2),
            root("r1", "b", seconds=1),
            root("r2", "a", seconds=1),
            root("r3", None, "a", seconds=1),
            root("r4", None, "é", seconds=1),
            root("r5", "Z", seconds=1),
            root("r6", seconds=1),
            root("r7", "", seconds=1),
            root("r8", "a", seconds=1, domain="c"),
            root("r9", "a", seconds=1, project="o"),
            root("oldest", "0", seconds=0),
        ]
    )
    expected = [
        TaskKey("p", "d", "z", None),
        TaskKey("o", "d", "a", None),
        TaskKey("p", "c", "a", None),
        TaskKey("p", "d", "", None),
        TaskKey("p", "d", None, None),
        TaskKey("p", "d", "Z", None),
        TaskKey("p", "d", "a", None),
        TaskKey("p", "d", None, "a"),
        TaskKey("p", "d", "b", None),
        TaskKey("p", "d", None, "é"),
        TaskKey("p", "d", "0", None),
    ]
    assert list(await tasks(repository)) == expected
    for size in (1, 2, 3, 11):
        page = await repository.summaries.list_tasks(page=PageRequest(first=size))
        found = [each.key for each in page.items]
        while page.has_next:
            page = await repository.summaries.list_tasks(page=PageRequest(first=size, after=page.cursors[-1]))
            found += [each.key for each in page.items]
        assert found == expected, f"in pages of {size}"


async def test_pages_of_tasks_continue_correctly_while_runs_are_added(
    repository: ActionRepo,
) -> None:
    await repository.actions.create([root(f"r{i}", f"t{i}", seconds=i) for i in range(6)])
    first = await repository.summaries.list_tasks(page=PageRequest(first=3))
    assert [each.task_name for each in first.items] == ["t5", "t4", "t3"]
    await repository.actions.create([root("new", "brand-new", seconds=9), root("again", "t4", seconds=8)])
    rest = await repository.summaries.list_tasks(page=PageRequest(first=3, after=first.cursors[-1]))
    assert [each.task_name for each in rest.items] == ["t2", "t1", "t0"]
    assert (rest.has_next, rest.has_previous) == (False, True)


async def test_a_page_of_tasks_accepts_only_cursors_of_tasks(repository: ActionRepo) -> None:
    await repository.actions.create([root("r", "load")])
    of_runs = (await repository.runs.page()).cursors[0]
    for cursor in (of_runs, "nonsense", ""):
        with pytest.raises(InvalidCursor):
            await repository.summaries.list_tasks(page=PageRequest(after=cursor))


async def test_recent_runs_are_the_newest_of_each_task(
    repository: ActionRepo,
) -> None:
    await repository.actions.create(
        [root(f"busy-{i:02}", "load", seconds=i // 2) for i in range(60)]
        + [root(f"seldom-{i}", "seldom", seconds=-i) for i in range(3)]
    )
    seldom, nothing = TaskKey("p", "d", "seldom", None), TaskKey("p", "d", "nothing", None)
    found = await repository.summaries.list_recent_runs([LOAD, seldom, nothing], None, 5)
    whole = [run.name for run in (await repository.runs.page()).items if run.task_name == "load"]
    assert [run.name for run in found[LOAD]] == whole[:5], "of the same time in the order of the list of runs"
    assert [run.name for run in found[seldom]] == ["seldom-0", "seldom-1", "seldom-2"]
    assert list(found[nothing]) == []
    assert len((await repository.summaries.list_recent_runs([LOAD], None, 50))[LOAD]) == 50
    assert len((await repository.summaries.list_recent_runs([LOAD]))[LOAD]) == 20
    assert list((await repository.summaries.list_recent_runs([LOAD], None, 0))[LOAD]) == []
    for first in (-1, 51):
        with pytest.raises(InvalidArgument, match="first must be between 0 and 50"):
            await repository.summaries.list_recent_runs([LOAD], None, first)


async def test_a_page_can_have_a_thousand_tasks(repository: ActionRepo) -> None:
    await repository.actions.create(
        [root(f"r{i:04}", f"task-{i:04}", phase=P.SUCCEEDED) for i in range(1000)]
    )
    page = await repository.summaries.list_tasks(page=PageRequest(first=1000))
    keys = [each.key for each in page.items]
    assert len(keys) == 1000
    recent = await repository.summaries.list_recent_runs(keys)
    assert all(len(runs) == 1 for runs in recent.values())
    assert set((await repository.summaries.list_durations(keys)).values()) == {Durations(0, 0)}


def summed(runs: list[Run]) -> tuple[Any, ...]:
    """The expected summary of these runs, counted one by one."""
    counts = Counter(run.phase for run in runs)
    ended = sum(count for phase, count in counts.items() if phase.is_terminal)
    failed = counts[P.FAILED] + counts[P.TIMED_OUT]
    durations = sorted(run.duration_ms or 0 for run in runs if run.phase is P.SUCCEEDED)
    ranks = [math.ceil(len(durations) * percent / 100) for percent in (50, 95)]
    return (
        len(runs),
        ended,
        failed,
        failed / ended if ended else None,
        [PhaseCount(phase, count) for phase, count in sorted(counts.items())],
        max(run.created_at for run in runs),
        Durations(*(durations[rank - 1] for rank in ranks)) if durations else Durations(),
        [run.name for run in runs[:7]],
    )


@pytest.mark.parametrize("seed", range(3))
async def test_summaries_and_histograms_of_random_runs_match_a_plain_count(
    repository: ActionRepo, seed: int
) -> None:
    rng = random.Random(seed)
    phases = list(P)
    await end(
        repository,
        *(
            (
                root(
                    f"r{i}",
                    rng.choice([None, "a", "b"]),
                    rng.choice([None, "a", "f"]),
                    seconds=rng.randrange(50) / 4,
                    project=rng.choice("pq"),
                    update_triggered_at=rng.random() < 0.1,
                ),
                rng.choice(phases),
                rng.randrange(40) / 8,
            )
            for i in range(300)
        ),
    )
    for wanted in (
        None,
        RunFilter(project="q"),
        RunFilter(phases=(P.SUCCEEDED, P.QUEUED)),
        RunFilter(start_date=at(3), end_date=at(9)),
        RunFilter(search="A"),
    ):
        runs = list((await repository.runs.page(wanted, page=PageRequest(first=1000))).items)
        groups: dict[TaskKey, list[Run]] = {}
        for run in runs:
            function = run.function_name if run.task_name is None else None
            groups.setdefault(TaskKey(run.project, run.domain, run.task_name, function), []).append(run)
        found = await tasks(repository, wanted)
        durations = await repository.summaries.list_durations(list(found), wanted)
        recent = await repository.summaries.list_recent_runs(list(found), wanted, 7)
        assert {
            key: (
                each.runs,
                each.ended,
                each.failed,
                each.failure_rate,
                each.phase_counts,
                each.last_created_at,
                durations[key],
                [run.name for run in recent[key]],
            )
            for key, each in found.items()
        } == {key: summed(of_it) for key, of_it in groups.items()}

        start, parts, length = at(1.1), rng.choice([1, 7, 60]), timedelta(seconds=9.7)
        histogram = await repository.summaries.list_histogram(start, start + length, parts, wanted)
        assert len(histogram) == parts
        for bucket in histogram:
            began = (run.triggered_at or run.created_at for run in runs)
            inside = [bucket.start_date <= moment < bucket.end_date for moment in began]
            counts = Counter(run.phase for run, is_in in zip(runs, inside, strict=True) if is_in)
            assert bucket.phase_counts == [PhaseCount(*each) for each in sorted(counts.items())]


async def test_a_histogram_has_all_buckets_and_counts_each_run_once(repository: ActionRepo) -> None:
    await end(
        repository,
        (root("before", seconds=-0.000001), P.SUCCEEDED, 1),
        (root("first", seconds=0), P.SUCCEEDED, 1),
        (root("last-of-first", seconds=9.999999), P.FAILED, 1),
        (root("second", seconds=10), P.SUCCEEDED, 1),
        (root("last", seconds=39.999999), P.SUCCEEDED, 1),
        (root("after", seconds=40), P.SUCCEEDED, 1),
        (new("step", "a0", run=RunIdentifier("p", "d", "first"), created_at=at(20)), P.SUCCEEDED, 1),
    )
    assert await repository.summaries.list_histogram(T0, at(40), 4) == [
        RunHistogramBucket(at(0), at(10), [PhaseCount(P.SUCCEEDED, 1), PhaseCount(P.FAILED, 1)]),
        RunHistogramBucket(at(10), at(20), [PhaseCount(P.SUCCEEDED, 1)]),
        RunHistogramBucket(at(20), at(30), []),
        RunHistogramBucket(at(30), at(40), [PhaseCount(P.SUCCEEDED, 1)]),
    ]


async def test_the_last_bucket_gets_the_remaining_microseconds(repository: ActionRepo) -> None:
    def microseconds(count: int) -> datetime:
        return T0 + timedelta(microseconds=count)

    await repository.actions.create([root(f"r{i}", seconds=i / 1_000_000) for i in range(12)])
    found = await repository.summaries.list_histogram(T0, microseconds(11), 3)
    assert [(each.start_date, each.end_date) for each in found] == [
        (microseconds(0), microseconds(3)),
        (microseconds(3), microseconds(6)),
        (microseconds(6), microseconds(11)),
    ]
    assert [each.phase_counts for each in found] == [[PhaseCount(P.QUEUED, count)] for count in (3, 3, 5)]


async def test_a_histogram_can_span_the_whole_range_of_times(repository: ActionRepo) -> None:
    await repository.actions.create([root("r")])
    first, last = T0.replace(year=2), T0.replace(year=9998)
    found = await repository.summaries.list_histogram(first, last, 500)
    assert [each.phase_counts for each in found if each.phase_counts] == [[PhaseCount(P.QUEUED, 1)]]
    assert (found[0].start_date, found[-1].end_date) == (first, last)


async def test_a_histogram_counts_matching_runs_by_trigger_time(
    repository: ActionRepo,
) -> None:
    await repository.actions.create(
        [
            root("triggered", "load", update_triggered_at=True),
            root("created", "load", seconds=1),
            root("other", "other", seconds=2),
        ]
    )
    wanted = RunFilter(task_name="load")
    (early,) = await repository.summaries.list_histogram(T0, at(60), 1, wanted)
    assert early.phase_counts == [PhaseCount(P.QUEUED, 1)], "the one that was never triggered"
    triggered = (await repository.get_run(RunIdentifier("p", "d", "triggered"))).triggered_at
    assert triggered is not None
    (late,) = await repository.summaries.list_histogram(
        triggered, triggered + timedelta(seconds=1), 1, wanted
    )
    assert late.phase_counts == [PhaseCount(P.QUEUED, 1)]
    dated = RunFilter(start_date=at(2))
    (after,) = await repository.summaries.list_histogram(T0, at(60), 1, dated)
    assert after.phase_counts == [PhaseCount(P.QUEUED, 1)], "the dates of the filter count too"


TASKS = """query ($filter: RunFilter, $first: Int, $after: String) {
  tasks(filter: $filter, first: $first, after: $after) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { taskName } }
    nodes {
      project domain taskName functionName runs ended failed failureRate durationP50Ms durationP95Ms
      phaseCounts { phase count } lastCreatedAt recentRuns(first: 2) { id name phase task { name version } }
    }
  }
}"""


async def test_a_client_reads_tasks_with_their_runs(client: GraphQLClient, repository: ActionRepo) -> None:
    await end(
        repository,
        (root("r1", "load", seconds=1), P.SUCCEEDED, 1.5),
        (root("r2", "load", seconds=2), P.FAILED, 1),
        (root("r3", "load", seconds=3), P.SUCCEEDED, 2.5),
        (root("r4", None, "main", seconds=4), P.RUNNING, 0),
    )
    first = (await data(client, TASKS, first=1))["tasks"]
    (main,) = first["nodes"]
    assert main == {
        "project": "p",
        "domain": "d",
        "taskName": None,
        "functionName": "main",
        "runs": 1,
        "ended": 0,
        "failed": 0,
        "failureRate": None,
        "durationP50Ms": None,
        "durationP95Ms": None,
        "phaseCounts": [{"phase": "RUNNING", "count": 1}],
        "lastCreatedAt": "2026-01-01T12:00:04Z",
        "recentRuns": [{"id": main["recentRuns"][0]["id"], "name": "r4", "phase": "RUNNING", "task": None}],
    }
    assert first["totalCount"] == 2
    assert first["pageInfo"]["hasNextPage"] is True
    cursor = first["pageInfo"]["endCursor"]
    assert first["edges"] == [{"cursor": cursor, "node": {"taskName": None}}]
    (load,) = (await data(client, TASKS, first=1, after=cursor))["tasks"]["nodes"]
    assert (load["taskName"], load["functionName"]) == ("load", None)
    assert (load["runs"], load["ended"], load["failed"]) == (3, 3, 1)
    assert load["failureRate"] == 1 / 3
    assert (load["durationP50Ms"], load["durationP95Ms"]) == (1500, 2500)
    assert [(run["name"], run["task"]["version"]) for run in load["recentRuns"]] == [
        ("r3", "v2"),
        ("r2", "v2"),
    ]
    failed = (await data(client, TASKS, filter={"phases": ["FAILED"]}))["tasks"]
    assert [(each["runs"], each["failureRate"]) for each in failed["nodes"]] == [(1, 1.0)]
    assert [run["name"] for run in failed["nodes"][0]["recentRuns"]] == ["r2"]
    nothing = (await data(client, TASKS, filter={"project": "nowhere"}))["tasks"]
    assert (nothing["totalCount"], nothing["nodes"], nothing["edges"]) == (0, [], [])
    assert nothing["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


async def test_a_client_reads_a_histogram(client: GraphQLClient, repository: ActionRepo) -> None:
    await end(repository, (root("r1", seconds=30), P.FAILED, 1))
    query = """{ runHistogram(startDate: "2026-01-01T13:00:00+01:00", endDate: "2026-01-01T12:01:00Z"%s) {
                 startDate endDate phaseCounts { phase count } } }"""
    assert (await data(client, query % ", buckets: 2"))["runHistogram"] == [
        {"startDate": "2026-01-01T12:00:00Z", "endDate": "2026-01-01T12:00:30Z", "phaseCounts": []},
        {
            "startDate": "2026-01-01T12:00:30Z",
            "endDate": "2026-01-01T12:01:00Z",
            "phaseCounts": [{"phase": "FAILED", "count": 1}],
        },
    ]
    assert len((await data(client, query % ""))["runHistogram"]) == 60
    other = await data(client, query % ', buckets: 1, filter: {project: "nowhere"}')
    assert other["runHistogram"][0]["phaseCounts"] == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ tasks(first: -1) { totalCount } }", "first must be between 0 and 1000, not -1"),
        ("{ tasks(first: 5000) { totalCount } }", "first must be at most 1000, not 5000"),
        ('{ tasks(after: "x") { totalCount } }', "the cursor is not one of this list"),
        ("{ tasks { nodes { recentRuns(first: 51) { name } } } }", "first must be between 0 and 50, not 51"),
        ("{ tasks { nodes { recentRuns(first: -1) { name } } } }", "first must be between 0 and 50, not -1"),
        ("histogram 2026-01-02 2026-01-02 1", "endDate must be after startDate"),
        ("histogram 2026-01-02 2026-01-01 1", "endDate must be after startDate"),
        ("histogram 2026-01-01 2026-01-02 0", "buckets must be between 1 and 500, not 0"),
        ("histogram 2026-01-01 2026-01-02 501", "buckets must be between 1 and 500, not 501"),
        ("histogram 0001-01-01 2026-01-01 1", "a time must be after 0001-01-01T00:00:00+00:00 and before"),
    ],
)
async def test_invalid_arguments_of_summaries_are_rejected_with_a_reason(
    client: GraphQLClient, repository: ActionRepo, query: str, message: str
) -> None:
    await make_run(repository)
    if query.startswith("histogram"):
        _, start, stop, buckets = query.split()
        dates = f'startDate: "{start}T00:00:00Z", endDate: "{stop}T00:00:00Z"'
        query = f"{{ runHistogram({dates}, buckets: {buckets}) {{ startDate }} }}"
    code, output = await error(client, query)
    assert code == "BAD_USER_INPUT"
    assert output.startswith(message)


async def test_a_histogram_with_less_time_than_buckets_is_rejected(repository: ActionRepo) -> None:
    with pytest.raises(InvalidArgument, match="must be at least 6 microseconds"):
        await repository.summaries.list_histogram(T0, T0 + timedelta(microseconds=5), 6)
    found = await repository.summaries.list_histogram(T0, T0 + timedelta(microseconds=6), 6)
    assert len(found) == 6


async def test_only_selected_attributes_of_recent_runs_are_read(repository: ActionRepo) -> None:
    await repository.actions.create([root("r", "load")])
    found = await repository.summaries.list_recent_runs([LOAD], attributes=frozenset({"name", "phase"}))
    (run,) = found[LOAD]
    assert (run.name, run.phase) == ("r", P.QUEUED)
    with pytest.raises(AttributeError):
        _ = run.revision
