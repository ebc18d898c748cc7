"""Compiled and stock execution: equal responses, errors and reads for random operations."""

import gc
import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from copy import copy
from typing import Any

import orjson
import pytest
import structlog
from graphql import parse, validate
from strawberry.extensions import ParserCache, ValidationCache

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.strawberry_internals import core_schema
from repo import (
    ActionRepo,
    DatabaseUnavailable,
    Page,
    Rows,
    open_repository,
)
from tests.support.databases import Databases, wait_for
from tests.support.operations import Operation, Operations
from tests.support.world import World, fill, words

# graphql-core cancels siblings of an error before they begin.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

COUNT = int(os.environ.get("RUNGRAPH_TEST_OPERATIONS", "500"))
SEED = int(os.environ.get("RUNGRAPH_TEST_SEED", "20261124"))
CHUNKS = 10

SCHEMA = build_schema(Limits(depth=30, aliases=1000, tokens=20000, cost=10**30, page=1000))
CORE = core_schema(SCHEMA)
CACHING_SCHEMA = copy(SCHEMA)
"""For stock execution, which would parse and validate an operation each time: that took most of the time."""
CACHING_SCHEMA.extensions = (*SCHEMA.extensions, lambda: ParserCache(2), lambda: ValidationCache(2))
READS = re.compile("(get|list|count|page)(_|$)")
PARTS = {"runs", "actions", "events", "aborts", "summaries"}
WRONG: tuple[Any, ...] = ("x", None, 2**40, -1.5, [], ValueError("a value that is an error"))
MANGLED = (
    "attempts",
    "attempt",
    "phase",
    "created_at",
    "revision",
    "cache_status",
    "task_name",
    "abort_state",
    "error_document",
    "labels_document",
    "logs",
    "spec",
    "dependencies_document",
    "outputs",
    "count",
    "ended_at",
)


class Reads:
    """The repository, which records reads and injects faults, the same ones for the same seed."""

    def __init__(self, repository: ActionRepo, faults: int | None) -> None:
        self.calls: Counter[str] = Counter()
        self._repository = repository
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._repository, name)
        if name in PARTS:
            return Part(self, name, found)
        return self.recorded(name, found) if READS.match(name) else found

    def recorded(self, name: str, method: Any) -> Any:
        """A method that reads, with a record of its calls, and faults."""

        async def read(*args: Any, attributes: Any = None) -> Any:
            keys = args[0] if args and isinstance(args[0], list | tuple | set) else [args[0] if args else 0]
            # Which keys are read together depends on timing; that each is read once does not.
            self.calls.update(f"{name} {key!r} {args[1:]!r}" for key in keys)
            if self._faults is not None:
                dice = random.Random(f"{self._faults} {name}").random()
                if dice < 0.08:
                    raise RuntimeError("something broke")
                if dice < 0.16:
                    raise DatabaseUnavailable("the database is away")
            # Only compiled execution restricts the attributes. Faulty reads get all of them: the name
            # determines the fault.
            only = {} if attributes is None or self._faults is not None else {"attributes": attributes}
            found = await method(*args, **only)
            if self._faults is not None:
                self._mangle(found)
            return found

        return read

    def _mangle(self, found: Any) -> None:
        if isinstance(found, dict):
            found = list(found.values())
        if isinstance(found, Page):
            found = found.items
        if isinstance(found, list | Rows):
            for each in found:
                self._mangle(each)
        elif hasattr(found, "__slots__"):
            name = getattr(found, "name", None) or getattr(found, "attempt", None) or found
            dice = random.Random(f"{self._faults} {name!r} {type(found).__name__}")
            if dice.random() < 0.3:
                attribute, value = dice.choice(MANGLED), dice.choice(WRONG)
                if hasattr(found, attribute) and attribute in _slots(type(found)):
                    object.__setattr__(found, attribute, value)


class Part:
    """A part of the repository, such as `runs`."""

    def __init__(self, reads: Reads, name: str, part: Any) -> None:
        self._reads = reads
        self._name = name
        self._part = part

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        return self._reads.recorded(f"{self._name}.{name}", method) if READS.match(name) else method


def _slots(kind: type) -> set[str]:
    return {name for each in kind.__mro__ for name in getattr(each, "__slots__", ())}


@pytest.fixture(scope="module")
def filled_url(sqlite_databases: Databases, migrated_sqlite_url: str) -> Iterator[str]:
    """A database with the sample data, which the tests only read."""
    url = sqlite_databases.copy(migrated_sqlite_url)

    async def fill_it() -> None:
        async with open_repository(url) as repository:
            await fill(repository)

    wait_for(fill_it())
    yield url
    sqlite_databases.drop(url)


@pytest.fixture
async def world(filled_url: str) -> AsyncIterator[World]:
    async with open_repository(filled_url) as repository:
        yield World(repository, await words(repository))
    gc.collect()  # what was cancelled before it began is complained of here, and not in a later test


def canonical(body: bytes) -> tuple[bytes, list[bytes]]:
    """The data, in which the order of keys counts, and the errors in a fixed order. Of several errors that
    null the same value, which are reported depends on timing, in stock execution too: of these only the
    path is kept."""
    answer = orjson.loads(body)
    errors = set()
    for error in answer.pop("errors", ()):
        error.get("extensions", {}).pop("id", None)
        path, value = error.get("path"), answer.get("data")
        place: list[Any] = []
        for key in path or ():
            if value is None:
                error = {"somewhere below": place}
                break
            value = value[key]
            place = [*place, key]
        errors.add(orjson.dumps(error))
    return orjson.dumps(answer), sorted(errors)


async def outcome(
    engine: Engine, world: World, operation: Operation, faults: int | None
) -> tuple[Any, Counter[str]]:
    reads = Reads(world.repository, faults)
    context = Context(reads, ANONYMOUS, 1000)  # type: ignore[arg-type]
    answer = await engine.answer(
        OperationRequest(operation.query, operation.variables, operation.operation_name), context
    )
    return canonical(answer.body), reads.calls


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.timeout(3600)
async def test_compiled_and_stock_execution_have_equal_results(world: World, chunk: int) -> None:
    structlog.configure(processors=[structlog.testing.LogCapture()])  # errors are expected, thousands of them
    stock, compiled = Engine(CACHING_SCHEMA, compiled=False), Engine(SCHEMA)
    operations = Operations(CORE, world.texts, SEED + chunk)
    for number in range(COUNT // CHUNKS // 2):
        operation = operations.make()
        description = f"seed {SEED + chunk}, number {number}:\n{operation.query}\n{operation.variables}\n"
        for faults in (None, SEED + number):
            await compare(stock, compiled, world, operation, faults, description)
    structlog.reset_defaults()


async def compare(
    stock: Engine, compiled: Engine, world: World, operation: Operation, faults: int | None, description: str
) -> None:
    """Executes an operation in both ways and compares results and reads."""
    expected = await outcome(stock, world, operation, faults)
    found = await outcome(compiled, world, operation, faults)
    for _ in range(5):
        if found == expected:
            break
        # Which of several errors comes first, and what it cancels, may depend on timing.
        expected = await outcome(stock, world, operation, faults)
    assert found[0] == expected[0], f"{description}stock    {expected[0]!r}\ncompiled {found[0]!r}"
    if not found[0][1]:
        assert found[1] == expected[1], f"{description}{found[1] - expected[1]}\n{expected[1] - found[1]}"
    # Reads that an error cancels may happen later or never, but not twice.
    assert all(count <= max(1, expected[1][call]) for call, count in found[1].items()), description


async def test_the_generated_operations_are_valid_and_mostly_compiled(world: World) -> None:
    operations, engine, sizes = Operations(CORE, world.texts, SEED), Engine(SCHEMA), []
    for _ in range(200):
        operation = operations.make()
        assert validate(CORE, parse(operation.query)) == [], operation.query
        await outcome(engine, world, operation, None)
        known = engine.operations.get(operation.query, operation.operation_name)
        if known is not None:
            variants = known.variants.values()
            sizes.append(sum(s.build is not None for v in variants for _, s in v.selections.values()))
    assert len(sizes) > 190
    assert sum(size > 0 for size in sizes) > 120


async def test_a_list_is_encoded_from_rows_without_objects(world: World) -> None:
    engine = Engine(SCHEMA)
    query = "{ runs { nodes { name phase task { name } labels { key } id error { kind } revision } } }"
    seen: list[Page[Any]] = []

    class Noting(Reads):
        def recorded(self, name: str, method: Any) -> Any:
            async def read(*args: Any, **options: Any) -> Any:
                seen.append(await method(*args, **options))
                return seen[-1]

            return read

    context = Context(Noting(world.repository, None), ANONYMOUS, 1000)  # type: ignore[arg-type]
    answer = await engine.answer(OperationRequest(query), context)
    assert len(orjson.loads(answer.body)["data"]["runs"]["nodes"]) == 3
    (page,) = seen
    rows = page.items
    assert isinstance(rows, Rows)
    assert rows.raw is not None, "no objects were made of the rows"
    assert set(rows.layout.columns) == {
        *("project", "domain", "name", "phase", "revision", "labels_document"),
        *("task_project", "task_domain", "task_name", "task_version"),
        *("attempts", "error_attempt", "error_document"),
    }, "only what is selected is read"


@pytest.mark.parametrize(
    "query",
    [
        "{ tasks { nodes { recentRuns { name } } edges { node { recentRuns { phase task { name } } } } } }",
        "{ runs { nodes { actions { nodes { name } } } edges { node { actions { nodes { id } } } } } }",
        "{ tasks { nodes { recentRuns { __typename } } edges { node { recentRuns { id } } } } }",
    ],
)
async def test_the_selections_of_nodes_and_edges_are_read_together(world: World, query: str) -> None:
    operation = Operation(query, {}, None)
    expected, _ = await outcome(Engine(SCHEMA, compiled=False), world, operation, None)
    found, reads = await outcome(Engine(SCHEMA), world, operation, None)
    assert found == expected
    assert set(reads.values()) == {1}
