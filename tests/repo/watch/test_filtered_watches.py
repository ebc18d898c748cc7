"""A filter means the same to a list and to a watch: random rows, random filters, fixed seeds."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from repo import (
    Action,
    ActionError,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    ActionType,
    ErrorKind,
    Frame,
    FrameKind,
    Identity,
    IdentityKind,
    Label,
    LabelFilter,
    NewAction,
    PageRequest,
    PhaseUpdate,
    Run,
    RunFilter,
    RunIdentifier,
    RunSource,
    TaskIdentifier,
    TriggerIdentifier,
)
from repo.watch.feed import Feed
from repo.watch.matching import Verdict, judge_action, judge_run
from tests.support.making import (
    RUN,
    at,
    event,
    new,
)

T = TypeVar("T")
SECONDS = 30
NAMES = ["load", "LOAD-é", "É", "100%_sure", "a\\b", "straße", "STRASSE", "ß", "ﬁt", "x_y", "İ", "i"]
PHASES = list(ActionPhase)
TIMES = [at(0), at(0.000001), at(1), at(2), at(2.5)]
DURATIONS = [0, 1, 1000, 1500]
CODES = ["CUDA_OOM", "e.load", "É-straße", None]


def some(chance: random.Random, make: Callable[[], T], often: float = 0.3) -> T | None:
    """What it makes, or, more often, None."""
    return make() if chance.random() < often else None


def random_run(chance: random.Random, number: int) -> list[NewAction]:
    """A run with a few actions, in any phases."""
    project, domain = chance.choice(["etl", "ml"]), chance.choice(["dev", "prod"])
    run = RunIdentifier(project, domain, f"{chance.choice(NAMES)}-{number}")
    task, name = chance.choice(["t.A", "T.a"]), chance.choice(NAMES)
    root = new(
        run=run,
        created_at=chance.choice(TIMES),
        source=some(chance, lambda: chance.choice(list(RunSource))),
        task=some(chance, lambda: TaskIdentifier(project, domain, task, chance.choice(["v1", "v2"]))),
        function_name=some(chance, lambda: name),
        trigger=some(chance, lambda: TriggerIdentifier(task, chance.choice(NAMES))),
        created_by=some(
            chance,
            lambda: Identity(
                IdentityKind.USER, chance.choice(["one", "two"]), chance.choice([None, "two", "É"])
            ),
        ),
        labels=tuple(Label(key, chance.choice(["1", "2"])) for key in chance.sample(["a", "b", "c"], 2)),
    )
    children = [random_child(chance, f"c{child}", run) for child in range(chance.randrange(3))]
    return [root, *children]


def random_child(chance: random.Random, name: str, run: RunIdentifier, parent: str = "a0") -> NewAction:
    """An action of a run."""
    return new(
        name,
        parent,
        run,
        created_at=chance.choice(TIMES),
        type=chance.choice(list(ActionType)),
        group=some(chance, lambda: chance.choice(["g", "G"])),
        function_name=some(chance, lambda: chance.choice(NAMES)),
    )


def random_phases(chance: random.Random) -> tuple[ActionPhase, ...] | None:
    """A few phases, which may be none at all; or no condition."""
    return some(chance, lambda: tuple(chance.sample(PHASES, chance.randrange(4))))


def random_search(chance: random.Random) -> str | None:
    """A piece of a name, in either case."""

    def make() -> str:
        name = chance.choice(
            [*NAMES, *filter(None, CODES), "etl/dev/", "l/prod/straße-", "%", "_", "nowhere", ""]
        )
        start = chance.randrange(len(name) + 1)
        return chance.choice([name[start:], name.upper(), name.lower()])

    return some(chance, make)


def random_run_filter(chance: random.Random) -> RunFilter:
    """Any of the conditions, few of them at a time."""
    rarely = 0.12
    return RunFilter(
        project=some(chance, lambda: chance.choice(["etl", "ml", "Etl"]), rarely),
        domain=some(chance, lambda: chance.choice(["dev", "prod"]), rarely),
        phases=random_phases(chance),
        exclude_phases=random_phases(chance),
        search=random_search(chance),
        task_name=some(chance, lambda: chance.choice(["t.A", "T.a"]), rarely),
        task_version=some(chance, lambda: "v1", rarely),
        function_name=some(chance, lambda: chance.choice(NAMES), rarely),
        trigger_task_name=some(chance, lambda: "t.A", rarely),
        trigger_name=some(chance, lambda: chance.choice(NAMES), rarely),
        sources=some(chance, lambda: tuple(chance.sample(list(RunSource), 2)), rarely),
        created_by_subject=some(chance, lambda: "one", rarely),
        created_by=some(chance, lambda: chance.choice(["one", "two", "É"]), rarely),
        has_task=some(chance, lambda: chance.random() < 0.5, rarely),
        has_function=some(chance, lambda: chance.random() < 0.5, rarely),
        all_labels=some(
            chance,
            lambda: tuple(LabelFilter(chance.choice("ab"), chance.choice([None, "1"])) for _ in range(2)),
            rarely,
        ),
        labels=some(
            chance,
            lambda: (LabelFilter("a", chance.choice([None, "1"])), LabelFilter("b", "2"))[
                : chance.randrange(3)
            ],
            rarely,
        ),
        start_date=some(chance, lambda: chance.choice(TIMES), rarely),
        end_date=some(chance, lambda: chance.choice(TIMES), rarely),
        min_duration_ms=some(chance, lambda: chance.choice(DURATIONS), rarely),
        min_duration_as_of=some(chance, lambda: chance.choice(TIMES)),
        max_duration_ms=some(chance, lambda: chance.choice(DURATIONS), rarely),
        has_paused_actions=some(chance, lambda: chance.random() < 0.5, rarely),
        abort_pending=some(chance, lambda: chance.random() < 0.5, rarely),
    )


def random_action_filter(chance: random.Random) -> ActionFilter:
    """Any of the conditions."""
    return ActionFilter(
        phases=random_phases(chance),
        exclude_phases=random_phases(chance),
        search=random_search(chance),
        types=some(chance, lambda: tuple(chance.sample(list(ActionType), 2))),
        group=some(chance, lambda: chance.choice(["g", "G", "h"])),
        parent_name=some(chance, lambda: chance.choice(["a0", "c0", "nobody"])),
    )


async def change_something(repository: ActionRepo, chance: random.Random, of: NewAction) -> None:
    """Move the action to some phase, or ask for its abort."""
    identifier = of.id
    if chance.random() < 0.1:
        await repository.abort_action(identifier, "because", None)
        return
    if chance.random() < 0.2:
        error = ActionError(ErrorKind.USER, "it failed", chance.choice(CODES))
        run = RunIdentifier(identifier.project, identifier.domain, identifier.run_name)
        phase = chance.choice([ActionPhase.FAILED, ActionPhase.TIMED_OUT])
        await repository.insert_events([event(identifier.name, run=run, phase=phase, error=error)])
    end = (of.created_at or at(0)) + timedelta(milliseconds=chance.choice(DURATIONS))
    phase, attempts = chance.choice(PHASES), chance.choice([1, 1, 2])
    change = PhaseUpdate(phase, attempts, end_time=end if phase.is_terminal else None)
    await repository.update_action_phases([(identifier, change)])


async def fill(repository: ActionRepo, chance: random.Random, runs: int) -> list[NewAction]:
    """So many runs, which have come to somewhere."""
    made = [created for number in range(runs) for created in random_run(chance, number)]
    await repository.create_actions(made)
    for each in made:
        await change_something(repository, chance, each)
    return made


@pytest.mark.parametrize("seed", range(3))
async def test_a_filter_selects_the_rows_that_a_watch_lets_in(repository: ActionRepo, seed: int) -> None:
    chance = random.Random(seed)
    made = await fill(repository, chance, 40)
    async with Feed(repository._database).look() as look:
        rows = await look.rows([each.id.key for each in made])
    matched = 0
    for _ in range(100):
        of_runs, of_actions = random_run_filter(chance), random_action_filter(chance)
        runs = await repository.list_runs(of_runs, page=PageRequest(first=1000))
        let_in = {
            row.run.key
            for row in rows
            if row.run and judge_run(row.run, of_runs, row.has_paused_actions) is Verdict.IN
        }
        assert {run.key for run in runs.items} == let_in, of_runs
        found = await repository.list_actions(None, of_actions, page=PageRequest(first=1000))
        let_in_actions = {
            row.action.key for row in rows if judge_action(row.action, of_actions) is Verdict.IN
        }
        assert {each.key for each in found.items} == let_in_actions, of_actions
        matched += bool(let_in) + bool(let_in_actions)
    assert matched > 40, "the filters match too little to say anything"


class Client:
    """Somebody who shows what a filtered watch says."""

    def __init__(self) -> None:
        self.held: dict[bytes, int] = {}

    async def read(self, stream: AsyncGenerator[Frame[Any], None]) -> None:
        async with aclosing(stream) as frames:
            async for frame in frames:
                if frame.kind is FrameKind.RESYNC:
                    self.held = {}
                for item in frame.items:
                    self.held[item.key] = item.revision
                for item in frame.removed:
                    self.held.pop(item.key, None)

    async def shows(self, items: Sequence[Run | Action]) -> None:
        """Return when it shows these."""
        while self.held != {item.key: item.revision for item in items}:  # noqa: ASYNC110 - read elsewhere
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(3))
async def test_a_filtered_watch_shows_what_the_filtered_list_holds(repository: ActionRepo, seed: int) -> None:
    chance = random.Random(seed)
    made = await fill(repository, chance, 10)
    await repository.create_actions([new(run=RUN), *(random_child(chance, f"c{n}", RUN) for n in range(12))])
    made += [new(f"c{n}", run=RUN) for n in range(12)]
    run_filters = [random_run_filter(chance) for _ in range(12)]
    action_filters = [random_action_filter(chance) for _ in range(12)]
    watching = [(Client(), wanted) for wanted in run_filters]
    of_run = [(Client(), wanted) for wanted in action_filters]
    reading = [
        *(asyncio.create_task(c.read(repository.watch_all_run_updates(w, 1000))) for c, w in watching),
        *(asyncio.create_task(c.read(repository.watch_all_action_updates(RUN, w))) for c, w in of_run),
    ]
    try:
        for _ in range(150):
            await change_something(repository, chance, chance.choice(made))
            await asyncio.sleep(0)

        page = PageRequest(first=1000)
        async with asyncio.timeout(SECONDS):
            for client, wanted in watching:
                await client.shows((await repository.list_runs(wanted, page=page)).items)
            for client, only in of_run:
                await client.shows((await repository.list_actions(RUN, only, page=page)).items)
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
