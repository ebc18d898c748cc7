"""Filters match the same rows in lists and watches: random rows, random filters, fixed seeds."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
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
    Page,
    PageRequest,
    PhaseUpdate,
    Run,
    RunFilter,
    RunIdentifier,
    RunSource,
    TaskIdentifier,
    TriggerIdentifier,
)
from repo.actions.criteria import criteria
from repo.actions.rows import ActionRow
from repo.watch.feed import read_feed
from repo.watch.matching import Match, action_matcher, run_matcher
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
    """A value of the strategy or, more often, None."""
    return make() if chance.random() < often else None


def random_run(chance: random.Random, number: int) -> list[NewAction]:
    """A run with a few actions in random phases."""
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


def random_phases(chance: random.Random) -> tuple[ActionPhase, ...]:
    """A few phases or none."""
    return tuple(chance.sample(PHASES, chance.randrange(4)))


def random_search(chance: random.Random) -> str:
    """A part of a name in lower or upper case."""
    name = chance.choice(
        [*NAMES, *filter(None, CODES), "etl/dev/", "l/prod/straße-", "%", "_", "nowhere", ""]
    )
    start = chance.randrange(len(name) + 1)
    return chance.choice([name[start:], name.upper(), name.lower()])


def random_labels(chance: random.Random) -> tuple[LabelFilter, ...]:
    """Up to two labels with or without values."""
    count = chance.randrange(3)
    return tuple(LabelFilter(chance.choice("abc"), chance.choice([None, "1", "2"])) for _ in range(count))


def random_ids(chance: random.Random) -> tuple[RunIdentifier, ...]:
    """The runs with some numbers."""
    numbers = chance.sample(range(40), 4)
    return tuple(
        RunIdentifier(project, domain, f"{name}-{number}")
        for project in ("etl", "ml")
        for domain in ("dev", "prod")
        for name in NAMES
        for number in numbers
    )


def one_of(*values: Any) -> Callable[[random.Random], Any]:
    return lambda chance: chance.choice(values)


def two_of(members: type[IntEnum]) -> Callable[[random.Random], Any]:
    return lambda chance: tuple(chance.sample(list(members), 2))


VALUES: dict[type[Any], dict[str, Callable[[random.Random], Any]]] = {
    RunFilter: {
        "ids": random_ids,
        "project": one_of("etl", "ml", "Etl"),
        "domain": one_of("dev", "prod"),
        "phases": random_phases,
        "exclude_phases": random_phases,
        "search": random_search,
        "task_name": one_of("t.A", "T.a"),
        "task_version": one_of("v1", "v3"),
        "function_name": one_of(*NAMES),
        "trigger_task_name": one_of("t.A", "T.a"),
        "trigger_name": one_of(*NAMES),
        "sources": two_of(RunSource),
        "created_by_subject": one_of("one", "two"),
        "created_by": one_of("one", "two", "É"),
        "has_task": one_of(True, False),
        "has_function": one_of(True, False),
        "labels": random_labels,
        "all_labels": random_labels,
        "start_date": one_of(*TIMES),
        "end_date": one_of(*TIMES),
        "min_duration_ms": one_of(*DURATIONS),
        "max_duration_ms": one_of(*DURATIONS),
        "has_paused_actions": one_of(True, False),
        "abort_pending": one_of(True, False),
        "executor": one_of("one", "two"),
        "silent_since": lambda chance: datetime.now(UTC) + chance.choice([-1, 1]) * timedelta(hours=1),
    },
    ActionFilter: {
        "phases": random_phases,
        "exclude_phases": random_phases,
        "search": random_search,
        "types": two_of(ActionType),
        "group": one_of("g", "G", "h"),
        "parent_name": one_of("a0", "c0", "nobody"),
    },
}
"""The generator of values for each filter field. Add new fields here."""


def random_run_filter(chance: random.Random) -> RunFilter:
    """A random filter with few conditions."""
    often = {"phases": 0.3, "exclude_phases": 0.3, "search": 0.3}
    values = {
        name: draw(chance)
        for name, draw in VALUES[RunFilter].items()
        if chance.random() < often.get(name, 0.12)
    }
    return RunFilter(**values, min_duration_as_of=some(chance, lambda: chance.choice(TIMES)))


def random_action_filter(chance: random.Random) -> ActionFilter:
    """A random filter."""
    draws = VALUES[ActionFilter].items()
    return ActionFilter(**{name: draw(chance) for name, draw in draws if chance.random() < 0.3})


async def change_something(repository: ActionRepo, chance: random.Random, of: NewAction) -> None:
    """Moves the action to a random phase, or requests its abort."""
    identifier = of.id
    if chance.random() < 0.1:
        await repository.abort_action(identifier, "because", None)
        return
    if chance.random() < 0.2:
        lease = chance.choice(["one", "two"])
        await repository.leases.renew([identifier.run], lease, timedelta(seconds=20))
    if chance.random() < 0.2:
        error = ActionError(ErrorKind.USER, "it failed", chance.choice(CODES))
        run = RunIdentifier(identifier.project, identifier.domain, identifier.run_name)
        phase = chance.choice([ActionPhase.FAILED, ActionPhase.TIMED_OUT, ActionPhase.SKIPPED])
        await repository.insert_events([event(identifier.name, run=run, phase=phase, error=error)])
    end = (of.created_at or at(0)) + timedelta(milliseconds=chance.choice(DURATIONS))
    phase, attempts = chance.choice(PHASES), chance.choice([1, 1, 2])
    change = PhaseUpdate(phase, attempts, end_time=end if phase.is_terminal else None)
    await repository.actions.update_phases([(identifier, change)])


async def fill(repository: ActionRepo, chance: random.Random, runs: int) -> list[NewAction]:
    """Creates random runs in random phases."""
    made = [created for number in range(runs) for created in random_run(chance, number)]
    await repository.actions.create(made)
    for each in made:
        await change_something(repository, chance, each)
    return made


class Stored:
    """The results of lists and watches over the same rows."""

    def __init__(self, repository: ActionRepo, rows: Sequence[ActionRow]) -> None:
        self._repository = repository
        self.rows = rows

    async def matching(self, wanted: RunFilter | ActionFilter) -> set[bytes]:
        """The keys of the rows that match; asserts that lists and watches agree."""
        page = PageRequest(first=1000)
        listed: Page[Run] | Page[Action]
        if isinstance(wanted, RunFilter):
            listed, match = await self._repository.runs.page(wanted, page=page), run_matcher(wanted)
        else:
            listed = await self._repository.list_actions(None, wanted, page=page)
            match = action_matcher(wanted)
        watched = {row.action.key for row in self.rows if match(row) is Match.NOW}
        keys = {item.key for item in listed.items}
        assert keys == watched, wanted
        return keys


async def store(repository: ActionRepo, chance: random.Random, runs: int = 40) -> Stored:
    """Random runs as read by lists and watches."""
    made = await fill(repository, chance, runs)
    async with read_feed(repository.database) as snapshot:
        return Stored(repository, await snapshot.rows([each.id.key for each in made]))


@pytest.mark.parametrize("kind", [RunFilter, ActionFilter])
async def test_each_filter_field_matches_the_same_rows_in_lists_and_watches(
    repository: ActionRepo, kind: type[Any]
) -> None:
    missing = criteria(kind).keys() - VALUES[kind].keys()
    assert not missing, f"add to VALUES in this file what draws values for {', '.join(sorted(missing))}"
    assert {each.name for each in fields(kind)} - criteria(kind).keys() <= {"min_duration_as_of"}, (
        "a field without a criterion restricts nothing: declare it with one of repo.actions.criteria"
    )
    chance = random.Random(7)
    stored = await store(repository, chance)
    all_rows = await stored.matching(kind())
    for name, draw in VALUES[kind].items():
        sizes = {len(await stored.matching(kind(**{name: draw(chance)}))) for _ in range(12)}
        assert sizes - {0, len(all_rows)}, (
            f"no value of {name} matches some rows and not others: make such rows"
        )


@pytest.mark.parametrize("kind", [RunFilter, ActionFilter])
async def test_no_write_makes_a_row_match_that_could_never_match(
    repository: ActionRepo, kind: type[Any]
) -> None:
    chance = random.Random(11)
    made = await fill(repository, chance, 15)
    filters = [kind(**{name: draw(chance)}) for name, draw in VALUES[kind].items() for _ in range(3)]
    matchers = [run_matcher(each) if kind is RunFilter else action_matcher(each) for each in filters]
    never: set[tuple[int, bytes]] = set()
    for _ in range(6):
        async with read_feed(repository.database) as snapshot:
            rows = await snapshot.rows([each.id.key for each in made])
        for number, match in enumerate(matchers):
            for row in rows:
                result = match(row)
                assert result is Match.NEVER or (number, row.action.key) not in never, filters[number]
                if result is Match.NEVER:
                    never.add((number, row.action.key))
        for each in chance.sample(made, len(made) // 2):
            await change_something(repository, chance, each)
        await repository.actions.create(
            [replace(each, created_at=at(-chance.random())) for each in made[::4]]
        )
    assert never


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_filters_match_the_same_rows_in_lists_and_watches(repository: ActionRepo, seed: int) -> None:
    chance = random.Random(seed)
    stored = await store(repository, chance)
    matched = 0
    for _ in range(100):
        for wanted in (random_run_filter(chance), random_action_filter(chance)):
            matched += bool(await stored.matching(wanted))
    assert matched > 40, "the filters match too little to say anything"


class Client:
    """A subscriber of a filtered watch with its current rows."""

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
        """Returns when it has these rows."""
        while self.held != {item.key: item.revision for item in items}:  # noqa: ASYNC110 - read elsewhere
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_a_filtered_watch_has_the_rows_of_the_filtered_list(repository: ActionRepo, seed: int) -> None:
    chance = random.Random(seed)
    made = await fill(repository, chance, 10)
    await repository.actions.create([new(run=RUN), *(random_child(chance, f"c{n}", RUN) for n in range(12))])
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
                await client.shows((await repository.runs.page(wanted, page=page)).items)
            for client, only in of_run:
                await client.shows((await repository.list_actions(RUN, only, page=page)).items)
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
