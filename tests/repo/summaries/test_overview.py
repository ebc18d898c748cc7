"""Counts of runs by project and creator, typical durations, and suggestions for a search."""

from datetime import timedelta
from typing import Any

import pytest

from repo import (
    Access,
    ActionError,
    ActionPhase,
    ActionRepo,
    ErrorKind,
    Grant,
    Identity,
    IdentityKind,
    InvalidArgument,
    NewAction,
    Role,
    RunFilter,
    RunGrouping,
    RunIdentifier,
    TaskIdentifier,
    TaskKey,
    TypicalDuration,
)
from repo.summaries import typical
from tests.support.client import GraphQLClient
from tests.support.making import at, event, new, update

P = ActionPhase
ADA = Identity(IdentityKind.USER, "u-1", "Ada Lovelace", "ada@example.org")
BOB = Identity(IdentityKind.USER, "u-2", "Bob")
CI = Identity(IdentityKind.APPLICATION, "ci-bot")
OURS = Access(frozenset({Grant(Role.VIEWER, "ours", "d")}))


def root(name: str, project: str = "ours", by: Identity | None = None, **rest: Any) -> NewAction:
    """A run."""
    return new(run=RunIdentifier(project, "d", name), created_by=by, **rest)


async def make(repository: ActionRepo, *runs: tuple[NewAction, ActionPhase]) -> None:
    """Create runs in these phases."""
    await repository.actions.create([run for run, _ in runs])
    await repository.actions.update_phases([update("a0", phase, run=run.id.run) for run, phase in runs])


async def some_runs(repository: ActionRepo) -> None:
    await make(
        repository,
        (root("a", by=ADA), P.RUNNING),
        (root("b", by=ADA), P.QUEUED),
        (root("c", by=ADA), P.SUCCEEDED),
        (root("d", by=BOB), P.RUNNING),
        (root("e", "theirs", by=CI), P.RUNNING),
        (root("f", "theirs"), P.PAUSED),
    )


UNFINISHED = RunFilter(phases=tuple(phase for phase in P if not phase.is_terminal))


async def test_runs_are_counted_by_project_and_by_creator_with_the_most_first(repository: ActionRepo) -> None:
    await some_runs(repository)
    by_project = await repository.overview.list_counts(RunGrouping.PROJECT, UNFINISHED)
    assert [(each.project, each.runs) for each in by_project] == [("ours", 3), ("theirs", 2)]
    by_creator = await repository.overview.list_counts(RunGrouping.CREATOR, UNFINISHED)
    assert [(each.created_by_subject, each.created_by_name, each.runs) for each in by_creator] == [
        ("u-1", "Ada Lovelace", 2),
        (None, None, 1),
        ("ci-bot", None, 1),
        ("u-2", "Bob", 1),
    ]
    phases = [(each.phase, each.count) for each in by_creator[0].phase_counts]
    assert phases == [(P.QUEUED, 1), (P.RUNNING, 1)]


async def test_counts_are_of_readable_runs_that_match(repository: ActionRepo) -> None:
    await some_runs(repository)
    reader = repository.on_behalf_of(OURS)
    (ours,) = await reader.overview.list_counts(RunGrouping.PROJECT)
    assert (ours.project, ours.runs) == ("ours", 4)
    (first,) = await reader.overview.list_counts(RunGrouping.CREATOR, RunFilter(search="a"), first=1)
    assert (first.created_by_subject, first.runs) == ("u-1", 1)
    with pytest.raises(InvalidArgument, match="first must be between 0 and 1000"):
        await reader.overview.list_counts(RunGrouping.PROJECT, first=1001)


async def of_task(
    repository: ActionRepo,
    durations: list[float],
    start: int = 0,
    phase: ActionPhase = P.SUCCEEDED,
    **of: Any,
) -> None:
    """Runs that lasted so many seconds, each created a second after the one before."""
    made = [root(f"r{start + i}", created_at=at(start + i), **of) for i in range(len(durations))]
    await repository.actions.create(made)
    await repository.actions.update_phases(
        [
            update("a0", phase, run=run.id.run, end_time=at(start + i) + timedelta(seconds=duration))
            for i, (run, duration) in enumerate(zip(made, durations, strict=True))
        ]
    )


LOAD = TaskKey("ours", "d", "load", None)
TRAIN = TaskKey("ours", "d", None, "train")


async def test_a_typical_duration_is_that_of_recent_succeeded_runs(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typical, "RECENT_RUNS", 21)
    task = TaskIdentifier("ours", "d", "load", "v1")
    await of_task(repository, [1000.0] * 5, 0, task=task)  # too old
    await of_task(repository, [float(i) for i in range(1, 21)], 5, task=task, function_name="train")
    await of_task(repository, [5000.0], 25, P.FAILED, task=task)
    await of_task(repository, [7.0], 26, function_name="train")
    wanted = [TRAIN, LOAD, TaskKey("theirs", "d", "load", None)]
    found = await repository.overview.list_typical_durations(wanted)
    assert found == {LOAD: TypicalDuration(20, 10_000, 19_000), TRAIN: TypicalDuration(1, 7_000, 7_000)}
    others = Access(frozenset({Grant(Role.VIEWER, "theirs")}))
    assert await repository.on_behalf_of(others).overview.list_typical_durations(wanted) == {}
    monkeypatch.setattr(typical, "_AT_ONCE", 1)
    assert await repository.overview.list_typical_durations(wanted) == found


def test_a_percentile_is_the_nearest_rank() -> None:
    assert [typical.nearest([3], 95), typical.nearest([1, 2], 50), typical.nearest([1, 2, 3], 50)] == [
        3,
        1,
        2,
    ]
    assert typical.nearest(list(range(1, 101)), 95) == 95


async def test_people_and_tasks_are_suggested_by_a_part_of_their_names(repository: ActionRepo) -> None:
    await some_runs(repository)
    tasks = [("etl.load", "ours"), ("load", "ours"), ("etl.load", "theirs"), ("train", "ours")]
    for number, (name, project) in enumerate(tasks):
        task = TaskIdentifier(project, "d", name, "v1")
        await make(repository, (root(f"t{number}", project, task=task), P.RUNNING))
    found = await repository.overview.suggest(" LOAD")
    assert [(each.name, each.project) for each in found.tasks] == [
        ("load", "ours"),
        ("etl.load", "ours"),
        ("etl.load", "theirs"),
    ]
    assert found.people == []
    for text in ("lovelace", "ada l", "U-1", "@example"):
        assert (await repository.overview.suggest(text)).people == [ADA]
    assert [each.subject for each in (await repository.overview.suggest("b")).people] == ["u-2", "ci-bot"]
    assert [each.subject for each in (await repository.overview.suggest("b", first=1)).people] == ["u-2"]
    nothing = await repository.overview.suggest("  ")
    assert (nothing.people, nothing.tasks) == ([], [])
    with pytest.raises(InvalidArgument, match="first must be between 0 and 50"):
        await repository.overview.suggest("a", 51)


async def test_only_what_may_be_read_is_suggested(repository: ActionRepo) -> None:
    await some_runs(repository)
    reader = repository.on_behalf_of(OURS)
    assert (await reader.overview.suggest("ci")).people == []
    assert (await reader.overview.suggest("bob")).people == [BOB]


async def test_a_search_finds_the_code_of_a_skipped_run(repository: ActionRepo) -> None:
    run = RunIdentifier("ours", "d", "skipped")
    error = ActionError(ErrorKind.USER, "nothing to do", "UP_TO_DATE")
    await repository.actions.create([new(run=run)])
    await repository.insert_events([event(run=run, phase=P.SKIPPED, error=error)])
    await repository.actions.update_phases([update("a0", P.SKIPPED, run=run)])
    assert [each.name for each in (await repository.runs.page(RunFilter(search="up_to"))).items] == [
        "skipped"
    ]


async def test_only_the_named_runs_match(repository: ActionRepo) -> None:
    await some_runs(repository)
    ids = RunIdentifier("ours", "d", "b"), RunIdentifier("theirs", "d", "e"), RunIdentifier("p", "d", "none")
    named = RunFilter(ids=ids)
    assert {each.name for each in (await repository.runs.page(named)).items} == {"b", "e"}
    assert await repository.runs.count(named) == 2
    assert await repository.on_behalf_of(OURS).runs.count(named) == 1
    assert await repository.runs.count(RunFilter(ids=())) == 0
    with pytest.raises(InvalidArgument, match="at most 1000 ids, not 1001"):
        RunFilter(ids=(ids[0],) * 1001)


async def test_the_api_has_counts_durations_and_suggestions(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await some_runs(repository)
    await of_task(repository, [2.0, 4.0], 100, function_name="train")
    body = await client.execute(
        """{
          runCounts(by: CREATOR, filter: {phases: [RUNNING, QUEUED]}, first: 1) {
            createdBySubject createdByName runs phaseCounts { phase count }
          }
          suggestions(search: "ada") { people { kind subject name } tasks { name } }
          runs(filter: {ids: [{project: "ours", domain: "d", name: "r100"}]}) {
            nodes { name typicalDuration { runs p50Ms p95Ms } }
          }
          without: runs(filter: {search: "b"}) { nodes { typicalDuration { runs } } }
        }"""
    )
    assert body["data"] == {
        "runCounts": [
            {
                "createdBySubject": "u-1",
                "createdByName": "Ada Lovelace",
                "runs": 2,
                "phaseCounts": [{"phase": "QUEUED", "count": 1}, {"phase": "RUNNING", "count": 1}],
            }
        ],
        "suggestions": {
            "people": [{"kind": "USER", "subject": "u-1", "name": "Ada Lovelace"}],
            "tasks": [],
        },
        "runs": {"nodes": [{"name": "r100", "typicalDuration": {"runs": 2, "p50Ms": 2000, "p95Ms": 4000}}]},
        "without": {"nodes": [{"typicalDuration": None}]},
    }
