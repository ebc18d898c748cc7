"""Creating actions: idempotent, below an existing parent, one root per run."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from repo import (
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    ActionType,
    CacheStatus,
    Conflict,
    InvalidArgument,
    Label,
    PageRequest,
    RunNotFound,
    RunSource,
    TaskIdentifier,
    TriggerIdentifier,
)
from tests.support.making import (
    ADA,
    RUN,
    T0,
    action,
    at,
    make_run,
    new,
)


async def test_all_fields_are_stored_and_read_back(repository: ActionRepo) -> None:
    spec = {"z": [1, 2.5, None, {"é": "✓"}], "a": True, "big": 2**60}
    root, created = await repository.create_action(
        new(
            type=ActionType.TRACE,
            group="load",
            source=RunSource.CLI,
            labels=(Label("team", "data"), Label("a b/c", "")),
            task=TaskIdentifier("p", "d", "etl.main", "v7"),
            task_type="python",
            function_name="main",
            environment_name="prod",
            trigger=TriggerIdentifier("etl.main", "every-night", 2**40),
            spec=spec,
            dependencies=("größe/měření 5", "a0"),
            created_by=ADA,
            created_at=T0,
            attempts=3,
            cache_status=CacheStatus.MISS,
            update_triggered_at=True,
        )
    )
    assert created
    assert (root.identifier, root.type, root.group, root.attempts) == (action(), ActionType.TRACE, "load", 3)
    assert root.task == TaskIdentifier("p", "d", "etl.main", "v7")
    assert (root.task_type, root.function_name, root.environment_name) == ("python", "main", "prod")
    assert root.spec == spec
    assert list(root.spec) == ["z", "a", "big"]
    assert root.dependencies == ["größe/měření 5", "a0"]
    assert (root.created_by, root.created_at, root.cache_status) == (ADA, T0, CacheStatus.MISS)
    assert (root.started_at, root.ended_at, root.duration_ms, root.abort, root.error) == (None,) * 5
    run = await repository.get_run(RUN)
    assert run.labels == [Label("a b/c", ""), Label("team", "data")]
    assert (run.source, run.trigger) == (RunSource.CLI, TriggerIdentifier("etl.main", "every-night", 2**40))
    assert run.triggered_at is not None
    assert abs(run.triggered_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_times_come_back_in_utc_with_their_microseconds(repository: ActionRepo) -> None:
    arguments = datetime(2026, 3, 29, 1, 30, 0, 123457, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
    root, _ = await repository.create_action(new(created_at=arguments))
    assert root.created_at == arguments
    assert root.created_at.utcoffset() == timedelta(0)


async def test_creating_an_existing_action_changes_nothing(repository: ActionRepo) -> None:
    first, _ = await repository.create_action(new(spec={"n": 1}, created_at=T0))
    again, created = await repository.create_action(
        new(spec={"n": 2}, phase=ActionPhase.RUNNING, created_at=at(9))
    )
    assert not created
    assert again == first


async def test_a_second_root_is_a_conflict_and_its_batch_is_rolled_back(repository: ActionRepo) -> None:
    await repository.create_action(new("a0"))
    with pytest.raises(Conflict, match="has a root action already"):
        await repository.actions.create([new("b1", "a0"), new("other")])
    assert [found.name for found in (await repository.list_actions(RUN)).items] == ["a0"]
    with pytest.raises(Conflict):
        await repository.actions.create([new("r1", run=RUN), new("r2", run=RUN)])


async def test_one_of_many_concurrently_created_roots_wins(repository: ActionRepo) -> None:
    attempts = [repository.create_action(new(f"root-{i}")) for i in range(8)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 7
    assert sum(isinstance(result, tuple) and result[1] for result in results) == 1


async def test_one_of_many_concurrent_creations_of_an_action_is_new(repository: ActionRepo) -> None:
    results = await asyncio.gather(*(repository.create_action(new()) for _ in range(8)))
    assert sum(created for _, created in results) == 1


async def test_a_parent_must_exist(repository: ActionRepo) -> None:
    with pytest.raises(RunNotFound, match="there is no run etl/production/nightly-1"):
        await repository.create_action(new("child", "a0"))
    await repository.create_action(new("a0"))
    with pytest.raises(ActionNotFound, match="there is no action missing, the parent of"):
        await repository.actions.create([new("child", "a0"), new("grandchild", "missing")])
    assert (await repository.list_actions(RUN)).items[0].name == "a0"
    assert await repository.actions.count(RUN) == 1


async def test_a_parent_may_come_later_in_the_same_batch(repository: ActionRepo) -> None:
    assert await repository.actions.create([new("c", "b"), new("b", "a"), new("a"), new("c", "b")]) == 3
    assert (await repository.get_action(action("c"))).parent_name == "b"


async def test_parents_come_before_their_children(repository: ActionRepo) -> None:
    """For any names, times and order of creation."""
    await repository.actions.create([new("z", created_at=at(9)), new("m", "z", created_at=at(1))])
    await repository.actions.create(
        [new("a", "b", created_at=at(-5)), new("b", "m", created_at=at(-4)), new("c", "z", created_at=at(2))]
    )
    page = await repository.list_actions(RUN)
    assert [found.name for found in page.items] == ["z", "m", "c", "b", "a"]
    for size in (1, 2):
        names: list[str] = []
        after = None
        while True:
            part = await repository.list_actions(RUN, page=PageRequest(first=size, after=after))
            names += [found.name for found in part.items]
            if not part.has_next:
                break
            after = part.cursors[-1]
        assert names == ["z", "m", "c", "b", "a"]


async def test_a_cycle_of_parents_is_rejected(repository: ActionRepo) -> None:
    await make_run(repository)
    for circle in ([new("a", "a")], [new("a", "b"), new("b", "c"), new("c", "a")]):
        with pytest.raises(InvalidArgument, match="is its own ancestor"):
            await repository.actions.create(circle)
    assert await repository.actions.count(RUN) == 1


async def test_a_duplicate_label_is_rejected(repository: ActionRepo) -> None:
    with pytest.raises(InvalidArgument, match="label k occurs twice"):
        await repository.create_action(new(labels=(Label("k", "1"), Label("k", "2"))))


async def test_a_batch_of_5000_actions_is_accepted_and_one_of_5001_is_rejected(
    repository: ActionRepo,
) -> None:
    batch = [new("a0"), *(new(f"t{i:04}", "a0") for i in range(4999))]
    assert await repository.actions.create(batch) == 5000
    assert await repository.actions.create(batch) == 0
    with pytest.raises(InvalidArgument, match="at most 5000"):
        await repository.actions.create([*batch, new("one-more", "a0")])


async def test_an_empty_batch_does_nothing(repository: ActionRepo) -> None:
    assert await repository.actions.create([]) == 0
    assert await repository.insert_events([]) == 0
    assert await repository.actions.update_phases([]) == []


async def test_an_action_created_in_a_terminal_phase_ends_at_its_creation(repository: ActionRepo) -> None:
    root, _ = await repository.create_action(new(phase=ActionPhase.RECOVERED, created_at=T0))
    assert (root.ended_at, root.duration_ms) == (T0, 0)


async def test_dependencies_keep_their_order_without_duplicates_and_need_not_exist(
    repository: ActionRepo,
) -> None:
    await repository.actions.create(
        [new(), new("b", "a0", dependencies=("later", "a", "never", "a", "later")), new("later", "a0")]
    )
    assert (await repository.get_action(action("b"))).dependencies == ["later", "a", "never"]
    assert (await repository.get_action(action("later"))).dependencies == []
    narrow = await repository.list_actions(RUN, attributes=frozenset({"name", "dependencies"}))
    assert {found.name: found.dependencies for found in narrow.items} == {
        "a0": [],
        "b": ["later", "a", "never"],
        "later": [],
    }


@pytest.mark.parametrize("name", ["", "x" * 256, "line\nbreak", "\0", "half \ud800"])
async def test_a_dependency_must_be_a_valid_action_name(repository: ActionRepo, name: str) -> None:
    with pytest.raises(InvalidArgument, match="dependency"):
        await repository.actions.create([new(), new("b", "a0", dependencies=("fine", name))])
    assert await repository.actions.count() == 0
    await repository.actions.create([new(), new("b", "a0", dependencies=("x" * 255,))])
    assert (await repository.get_action(action("b"))).dependencies == ["x" * 255]


async def test_an_action_has_at_most_a_thousand_dependencies(repository: ActionRepo) -> None:
    names = tuple(f"t{i}" for i in range(1001))
    with pytest.raises(InvalidArgument, match="at most 1000 dependencies, not 1001"):
        await repository.actions.create([new(dependencies=names)])
    await repository.actions.create([new(dependencies=names[:1000])])
    assert (await repository.get_action(action())).dependencies == list(names[:1000])
