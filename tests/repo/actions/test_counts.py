"""Counts by phase, of runs and of descendants."""

from repo import ActionPhase, ActionRepo, PhaseCount, RunIdentifier
from tests.support.making import (
    RUN,
    action,
    make_run,
    update,
)
from tests.support.statements import recorded

QUEUED, RUNNING, FAILED = ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.FAILED


async def test_phase_counts_include_the_root_of_a_run_but_not_the_action_itself(
    repository: ActionRepo,
) -> None:
    await make_run(repository, a="a0", b="a0", a1="a", a2="a", a11="a1")
    other = RunIdentifier("etl", "production", "other")
    await make_run(repository, other, a1="a0")
    await repository.actions.update_phases([update("a11", RUNNING), update("a2", FAILED)])
    runs = await repository.runs.count_phases([RUN.key, other.key])
    assert runs[RUN.key] == [PhaseCount(QUEUED, 4), PhaseCount(RUNNING, 1), PhaseCount(FAILED, 1)]
    assert runs[other.key] == [PhaseCount(QUEUED, 2)]
    keys = [action(name).key for name in ("a0", "a", "a1", "b")] + [action(run=other).key]
    below = await repository.actions.count_phases_of_descendants(keys)
    assert below[action("a0").key] == [PhaseCount(QUEUED, 3), PhaseCount(RUNNING, 1), PhaseCount(FAILED, 1)]
    assert below[action("a").key] == [PhaseCount(QUEUED, 1), PhaseCount(RUNNING, 1), PhaseCount(FAILED, 1)]
    assert below[action("a1").key] == [PhaseCount(RUNNING, 1)]
    assert below[action("b").key] == []
    assert below[action(run=other).key] == [PhaseCount(QUEUED, 1)]


async def test_the_descendants_of_a_root_are_counted_without_following_the_tree(
    repository: ActionRepo,
) -> None:
    await make_run(repository, a="a0", b="a", c="b")
    alone = RunIdentifier("etl", "production", "alone")
    await make_run(repository, alone)
    with recorded(repository.database) as seen:
        below = await repository.actions.count_phases_of_descendants([action().key, action(run=alone).key])
    assert below == {action().key: [PhaseCount(QUEUED, 3)], action(run=alone).key: []}
    ((recursion, arguments),) = [each for each in seen if "RECURSIVE" in each[0]]
    async with repository.database.read() as connection:
        tree, _, _ = recursion.rpartition("SELECT")
        rows = await connection.exec_driver_sql(tree + "SELECT count(*) FROM tree", arguments)
        assert rows.scalar() == 0
    assert await repository.actions.count_phases_of_descendants([]) == {}


async def test_children_are_paged_and_counted_for_each_parent(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a0", a1="a", a2="a", a3="a")
    keys = [action(name).key for name in ("a0", "a", "b")]
    assert list((await repository.actions.counts("parent_key", keys)).values()) == [2, 3, 0]
    pages = await repository.actions.pages("parent_key", keys)
    assert [[child.name for child in pages[key].items] for key in keys] == [
        ["a", "b"],
        ["a1", "a2", "a3"],
        [],
    ]


async def test_in_a_deep_chain_each_descendant_is_read_once(repository: ActionRepo) -> None:
    names = [f"n{number}" for number in range(1500)]
    await make_run(repository, **dict(zip(names, ["a0", *names], strict=False)))
    wide = RunIdentifier("etl", "production", "wide")
    await make_run(repository, wide, **{f"w{number}": "a0" for number in range(3000)})
    await repository.actions.update_phases([update(name, RUNNING) for name in names[::2]])
    keys = [action(name).key for name in names[:1000]]
    with recorded(repository.database) as seen:
        below = await repository.actions.count_phases_of_descendants(keys)
    ((statement, arguments),) = [each for each in seen if "RECURSIVE" in each[0]]
    recursion, _, _ = statement.rpartition("SELECT")
    async with repository.database.read() as connection:
        rows = await connection.exec_driver_sql(recursion + "SELECT count(*) FROM tree", arguments)
        assert rows.scalar() == 1499, "all below the first of them, once"
    for number, key in enumerate(keys):
        left = 1500 - number - 1
        running = left // 2 if number % 2 == 0 else (left + 1) // 2
        assert below[key] == [PhaseCount(QUEUED, left - running), PhaseCount(RUNNING, running)], number
