"""The limit on the cost of an operation: the number of objects that it may return."""

import time
from typing import Any

import pytest
import strawberry
from graphql import OperationDefinitionNode, parse, validate

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.cost import FRAME_ITEMS, Cost, check_items, paged
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.strawberry_internals import core_schema
from repo import ActionRepo
from repo.watch.stream import MAX_ROWS

LIMITS = Limits(depth=15, aliases=100, tokens=4000, cost=1000, page=500)
SCHEMA = build_schema(LIMITS)
CORE = core_schema(SCHEMA)


def cost(query: str, **variables: Any) -> int:
    document = parse(query)
    assert validate(CORE, document) == []
    operation = next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    return Cost(CORE, document, operation, LIMITS.page).of(variables)


async def errors(compiled: bool, repository: ActionRepo, query: str, **variables: Any) -> list[Any]:
    context = Context(repository, ANONYMOUS, 500)
    result = await Engine(SCHEMA, compiled).execute(OperationRequest(query, variables), context)
    return [(error.message, error.extensions) for error in result.errors or []]


@pytest.mark.parametrize(
    ("query", "objects"),
    [
        ("{ __typename }", 0),
        ("{ __schema { types { fields { name } } } }", 0),
        ('{ run(id: {project: "p", domain: "d", name: "r"}) { name task { name } } }', 2),
        ("{ runs(first: 10) { nodes { name } } }", 1 + 10),
        ("{ runs(first: 10) { totalCount } }", 1 + 10),
        ("{ runs(first: 10) { edges { cursor node { name } } } }", 1 + 10 + 10),
        ("{ runs { nodes { name } } }", 1 + 100),
        ("{ runs(last: 10) { nodes { name } } }", 1 + 10),
        ("{ runs(first: 0) { nodes { task { name } } } }", 1),
        ("{ runs(first: 100000) { nodes { name } } }", 1 + 500),
        ("{ runs(first: 10) { nodes { task { name } phase } } }", 1 + 10 * 2),
        ("{ runs(first: 10) { nodes { labels { key } } } }", 1 + 10 * 6),
        ("{ runs(first: 10) { nodes { actions(first: 20) { nodes { name } } } } }", 1 + 10 * 22),
        ("{ tasks(first: 10) { nodes { recentRuns { name } } } }", 1 + 10 * 21),
        ("{ tasks(first: 10) { nodes { recentRuns(first: 3) { name } } } }", 1 + 10 * 4),
        (
            '{ runHistogram(startDate: "2026-01-01T00:00:00Z", endDate: "2026-01-02T00:00:00Z", buckets: 9)'
            " { startDate } }",
            9,
        ),
        ("subscription { runs(first: 10) { kind runs { task { name } } } }", 1 + 500 * 2),
        (
            'subscription { actions(run: {project: "p", domain: "d", name: "r"}) { actions { name } } }',
            1 + 500,
        ),
    ],
)
def test_a_list_multiplies_the_cost_of_its_selection_by_its_page_size(query: str, objects: int) -> None:
    assert cost(query) == objects


def test_page_sizes_may_be_variables() -> None:
    query = (
        "query ($n: Int, $m: Int = 7) { runs(first: $n) { nodes { actions(first: $m) { nodes { id } } } } }"
    )
    assert cost(query, n=10, m=20) == 1 + 10 * 22
    assert cost(query, n=10) == 1 + 10 * 9
    assert cost(query, n=10, m=None) == 1 + 10 * 102
    assert cost(query, n=10.0, m=7) == 1 + 10 * 9
    assert cost(query, n=10**9, m=10**9) == 1 + 500 * 502
    assert cost(query, n=-5) == 1
    assert cost(query, n="many", m=True) == 1 + 100 * 102, "execution says what is wrong with these"


def test_the_cost_of_a_bulk_mutation_is_the_length_of_its_input() -> None:
    query = """mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) {
                 results { action { children(first: 10) { nodes { name } } } } } }"""
    assert cost(query, input=[{}] * 30) == 1 + 30 * (1 + 1 + 1 + 10)
    assert cost(query, input={}) == 1 + 13


def test_a_fragment_counts_as_often_as_it_is_spread() -> None:
    query = "query ($n: Int) { runs(first: 3) { ...C } other: runs(first: $n) { ...C } }"
    fragment = (
        " fragment C on RunConnection { nodes { ... on Node { id } actions(first: $n) { nodes { id } } } }"
    )
    assert cost(query + fragment, n=5) == (1 + 3 * 7) + (1 + 5 * 7)


def test_exponentially_nested_fragments_are_measured_quickly() -> None:
    doubling = "".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }} " for i in range(100))
    last = "fragment F100 on Query { runs(first: $n) { nodes { id } } }"
    began = time.process_time()
    assert cost("query ($n: Int) { ...F0 } " + doubling + last, n=4) == 5 * 2**100
    assert time.process_time() - began < 20, "measured once a fragment it is a hundredth of that"


def test_a_frame_has_at_most_as_many_rows_as_its_cost_assumes() -> None:
    assert FRAME_ITEMS == MAX_ROWS


@pytest.mark.parametrize("compiled", [True, False])
async def test_an_operation_that_costs_too_much_is_refused(compiled: bool, repository: ActionRepo) -> None:
    query = "query ($n: Int) { runs(first: $n) { nodes { actions(first: 20) { nodes { name } } } } }"
    assert await errors(compiled, repository, query, n=45) == []
    (found,) = await errors(compiled, repository, query, n=46)
    message = "The operation may return 1,013 objects; 1,000 are allowed. "
    message += "Request smaller pages: `runs` has 46 items."
    assert found == (message, {"code": "BAD_USER_INPUT"})


@pytest.mark.parametrize("compiled", [True, False])
async def test_an_enormous_cost_is_not_reported_exactly(compiled: bool, repository: ActionRepo) -> None:
    inner = "id"
    for _ in range(6):
        inner = f"children(first: 500) {{ nodes {{ {inner} }} }}"
    (found,) = await errors(compiled, repository, f"{{ actions {{ nodes {{ {inner} }} }} }}")
    assert "more than 1,000,000,000,000 objects" in found[0]


def test_a_field_with_a_list_of_unknown_length_fails_with_its_name() -> None:
    @strawberry.type
    class Item:
        name: str

    @strawberry.type
    class ItemPage:
        items: list[Item]

    @strawberry.type
    class Query:
        page: ItemPage

    with pytest.raises(TypeError, match=r"ItemPage\.items returns a list of unknown length"):
        check_items(core_schema(strawberry.Schema(Query)))

    @strawberry.type
    class PagedQuery:
        page: ItemPage = strawberry.field(metadata=paged())

    check_items(core_schema(strawberry.Schema(PagedQuery)))
