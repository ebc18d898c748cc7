"""Filters of runs and actions: each field alone, and lists with one member or none."""

import unicodedata
from datetime import timedelta
from typing import Any

import pytest

from repo import (
    ActionError,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    ActionType,
    ErrorKind,
    Identity,
    IdentityKind,
    Label,
    LabelFilter,
    RunFilter,
    RunIdentifier,
    RunSource,
    TaskIdentifier,
    TriggerIdentifier,
)
from repo.watch.feed import read_feed
from repo.watch.matching import Match, action_matcher, run_matcher
from tests.support.making import (
    RUN,
    at,
    event,
    make_run,
    new,
    update,
)

A = RunIdentifier("etl", "production", "Nightly-É1")
B = RunIdentifier("etl", "development", "100%_sure")
C = RunIdentifier("ml", "production", "train")


async def fill(repository: ActionRepo) -> None:
    await repository.actions.create(
        [
            new(
                run=A,
                created_at=at(0),
                source=RunSource.SCHEDULE_TRIGGER,
                task=TaskIdentifier("etl", "production", "etl.LOAD", "v1"),
                function_name="load_all",
                trigger=TriggerIdentifier("etl.LOAD", "every-night"),
                created_by=Identity(IdentityKind.APPLICATION, "scheduler"),
                labels=(Label("team", "data"), Label("tier", "1")),
            ),
            new("step", "a0", run=A, created_at=at(1)),
            new(
                run=B,
                created_at=at(10),
                source=RunSource.CLI,
                task=TaskIdentifier("etl", "development", "etl.load", "v2"),
                created_by=Identity(IdentityKind.USER, "user-1", "Ada Ü"),
                labels=(Label("team", "ml"), Label('it\'s "odd".key', "1")),
            ),
            new(run=C, created_at=at(20), labels=(Label("team", "data"),)),
        ]
    )
    await repository.actions.update_phases(
        [
            update("step", ActionPhase.PAUSED, run=A),
            update("a0", ActionPhase.SUCCEEDED, run=B, end_time=at(12.5)),
        ]
    )
    error = ActionError(ErrorKind.SYSTEM, "out of memory", "CUDA.OOM")
    await repository.insert_events([event(run=C, phase=ActionPhase.FAILED, error=error)])
    await repository.abort_run(C, "no", None)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {A, B, C}),
        ({"project": "etl"}, {A, B}),
        ({"domain": "production"}, {A, C}),
        ({"phases": (ActionPhase.QUEUED,)}, {A}),
        ({"phases": (ActionPhase.QUEUED, ActionPhase.ABORTED)}, {A, C}),
        ({"phases": ()}, set()),
        ({"exclude_phases": (ActionPhase.QUEUED,)}, {B, C}),
        ({"exclude_phases": ()}, {A, B, C}),
        ({"search": "nightly-é"}, {A}),
        ({"search": "NIGHTLY-É"}, {A}),
        ({"search": "%"}, {B}),
        ({"search": "0%_s"}, {B}),
        ({"search": "_"}, {A, B}),
        ({"search": "Etl.Load"}, {A, B}),
        ({"search": "load_ALL"}, {A}),
        ({"search": "a0"}, set()),
        ({"search": "oom"}, {C}),
        ({"search": "cuda.oom"}, {C}),
        ({"search": "CUDA/OOM"}, set()),
        ({"search": "CUDA.OOM"}, {C}),
        ({"search": "etl/development/100%_sure"}, {B}),
        ({"search": "ml/prod"}, {C}),
        ({"search": unicodedata.normalize("NFC", "production/Nightly-É1")}, {A}),
        ({"search": unicodedata.normalize("NFD", "production/Nightly-É1")}, {A}),
        ({"search": "ML/prod"}, set()),
        ({"search": "/"}, {A, B, C}),
        ({"search": "n/"}, {A, C}),
        ({"search": ""}, {A, B, C}),
        ({"created_by": "user-1"}, {B}),
        ({"created_by": "Ada \u00dc"}, {B}),
        ({"created_by": "Ada"}, set()),
        ({"has_task": True}, {A, B}),
        ({"has_task": False}, {C}),
        ({"has_function": True}, {A}),
        ({"has_task": True, "has_function": False}, {B}),
        ({"min_duration_ms": 2500, "min_duration_as_of": at(2.5)}, {A, B, C}),
        ({"min_duration_ms": 2501, "min_duration_as_of": at(2.5)}, {C}),
        ({"min_duration_ms": 0, "min_duration_as_of": at(15)}, {A, B, C}),
        ({"min_duration_ms": 2**62, "min_duration_as_of": at(15)}, set()),
        ({"min_duration_as_of": at(2.5)}, {A, B, C}),
        ({"task_name": "etl.LOAD"}, {A}),
        ({"task_version": "v2"}, {B}),
        ({"function_name": "load_all"}, {A}),
        ({"trigger_task_name": "etl.LOAD"}, {A}),
        ({"trigger_name": "every-night"}, {A}),
        ({"sources": (RunSource.CLI,)}, {B}),
        ({"sources": (RunSource.CLI, RunSource.SCHEDULE_TRIGGER)}, {A, B}),
        ({"created_by_subject": "scheduler"}, {A}),
        ({"labels": (LabelFilter("team"),)}, {A, B, C}),
        ({"labels": (LabelFilter("team", "data"),)}, {A, C}),
        ({"labels": (LabelFilter("team", "ml"), LabelFilter("tier", "1"))}, {A, B}),
        ({"labels": (LabelFilter("team", "ml"), LabelFilter("tier", "2"))}, {B}),
        ({"labels": (LabelFilter('it\'s "odd".key', "1"),)}, {B}),
        ({"labels": (LabelFilter("tea"),)}, set()),
        ({"labels": ()}, set()),
        ({"all_labels": (LabelFilter("team"), LabelFilter("tier"))}, {A}),
        ({"all_labels": (LabelFilter("team", "data"), LabelFilter("tier", "1"))}, {A}),
        ({"all_labels": (LabelFilter("team", "data"), LabelFilter("team", "ml"))}, set()),
        ({"all_labels": (LabelFilter("team"),)}, {A, B, C}),
        ({"all_labels": (LabelFilter("team", "data"),), "labels": (LabelFilter("tier"),)}, {A}),
        ({"all_labels": ()}, {A, B, C}),
        ({"search": "nightly-E\u03011"}, {A}),
        ({"start_date": at(10)}, {B, C}),
        ({"end_date": at(10)}, {A, B}),
        ({"start_date": at(10), "end_date": at(10)}, {B}),
        ({"start_date": at(10.000001)}, {C}),
        ({"min_duration_ms": 2500, "max_duration_ms": 2500}, {B}),
        ({"max_duration_ms": 2499}, set()),
        ({"has_paused_actions": True}, {A}),
        ({"has_paused_actions": False}, {B, C}),
        ({"abort_pending": True}, {C}),
        ({"abort_pending": False}, {A, B}),
        ({"project": "etl", "domain": "production", "labels": (LabelFilter("tier"),)}, {A}),
    ],
)
async def test_each_field_of_a_run_filter(
    repository: ActionRepo, wanted: dict[str, Any], expected: set[RunIdentifier]
) -> None:
    await fill(repository)
    page = await repository.runs.page(RunFilter(**wanted))
    assert {run.identifier for run in page.items} == expected
    assert await repository.runs.count(RunFilter(**wanted)) == len(expected)
    for limit in range(4):
        assert await repository.runs.count(RunFilter(**wanted), limit) == min(limit, len(expected))
    async with read_feed(repository.database) as snapshot:
        rows = await snapshot.roots([run.key for run in (A, B, C)])
    assert len(rows) == 3
    match = run_matcher(RunFilter(**wanted))
    matched = {row.run.identifier for row in rows if row.run and match(row) is Match.NOW}
    assert matched == expected, "as a watch sees it"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"a0", "Load", "load-2", "check"}),
        ({"phases": (ActionPhase.RUNNING,)}, {"Load"}),
        ({"exclude_phases": (ActionPhase.RUNNING,)}, {"a0", "load-2", "check"}),
        ({"search": "LOAD"}, {"Load", "load-2"}),
        ({"search": "etl.x"}, {"check"}),
        ({"search": "a0"}, {"a0"}),
        ({"search": "nightly"}, set()),
        ({"types": (ActionType.CONDITION,)}, {"check"}),
        ({"types": (ActionType.CONDITION, ActionType.TASK)}, {"a0", "Load", "load-2", "check"}),
        ({"group": "g"}, {"load-2"}),
        ({"parent_name": "Load"}, {"load-2", "check"}),
    ],
)
async def test_each_field_of_an_action_filter(
    repository: ActionRepo, wanted: dict[str, Any], expected: set[str]
) -> None:
    await repository.actions.create(
        [
            new(),
            new("Load", "a0"),
            new("load-2", "Load", group="g"),
            new("check", "Load", type=ActionType.CONDITION, task=TaskIdentifier("p", "d", "etl.x", "1")),
        ]
    )
    await repository.actions.update_phases([update("Load", ActionPhase.RUNNING)])
    page = await repository.list_actions(RUN, ActionFilter(**wanted))
    assert {action.name for action in page.items} == expected
    assert await repository.actions.count(RUN, ActionFilter(**wanted)) == len(expected)
    assert await repository.actions.count(filter=ActionFilter(**wanted)) == len(expected)
    everything = (await repository.list_actions(RUN)).items
    async with read_feed(repository.database) as snapshot:
        rows = await snapshot.rows([action.key for action in everything])
    match = action_matcher(ActionFilter(**wanted))
    matched = {row.action.name for row in rows if match(row) is Match.NOW}
    assert matched == expected, "as a watch sees it"


async def test_a_triggered_run_is_filtered_by_its_trigger_time(repository: ActionRepo) -> None:
    await repository.create_action(new(created_at=at(0), update_triggered_at=True))
    assert await repository.runs.count(RunFilter(end_date=at(1))) == 0
    triggered = (await repository.get_run(RUN)).triggered_at
    assert triggered is not None
    assert await repository.runs.count(RunFilter(start_date=triggered, end_date=triggered)) == 1
    later = triggered + timedelta(microseconds=1)
    assert await repository.list_root_actions("etl", "production", later) == []


async def test_root_actions_of_a_project_and_domain_newest_first(repository: ActionRepo) -> None:
    runs = [RunIdentifier("etl", "production", f"run-{i}") for i in range(5)]
    for second, run in enumerate(runs):
        await make_run(repository, run, child="a0")
        await repository.create_action(
            new(run=RunIdentifier("etl", "other", run.name), created_at=at(second))
        )
    found = await repository.list_root_actions("etl", "production", limit=3)
    assert [root.run_name for root in found] == ["run-4", "run-3", "run-2"]
    assert all(root.parent_name is None for root in found)
    assert len(await repository.list_root_actions("etl", "production")) == 5


async def test_projects_are_listed_with_their_domains(repository: ActionRepo) -> None:
    await fill(repository)
    assert await repository.runs.list_projects() == {
        "etl": ["development", "production"],
        "ml": ["production"],
    }
