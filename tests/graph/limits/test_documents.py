"""Limits on the size of operations, and on the text in them."""

import time
from typing import Any

import pytest

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.documents import Limits
from graph.schema.build import Schema, build_schema
from repo import MAX_BATCH, ActionRepo


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_schema(Limits(depth=6, aliases=5, tokens=400, cost=10**9, page=1000))


async def mistakes(schema: Schema, repository: ActionRepo, query: str, **variables: Any) -> list[str]:
    context = Context(repository, ANONYMOUS, 1000)
    result = await schema.execute(query, variable_values=variables, context_value=context)
    return [error.message for error in result.errors or []]


async def test_depth_counts_through_fragments(schema: Schema, repository: ActionRepo) -> None:
    six = "{ runs { nodes { actions { nodes { children { totalCount } } } } } }"
    assert await mistakes(schema, repository, six) == []
    seven = six.replace("totalCount", "nodes { name }")
    (message,) = await mistakes(schema, repository, seven)
    assert message == "The operation nests 7 levels deep; 6 are allowed."
    spread = """{ runs { nodes { ...R } } } fragment R on Run { actions { nodes { ...A } } }
                fragment A on Action { children { nodes { ... on Node { id } } } }"""
    (message,) = await mistakes(schema, repository, spread)
    assert "7 levels" in message


async def test_introspection_may_be_nested(schema: Schema, repository: ActionRepo) -> None:
    query = "{ __schema { types { fields { type { ofType { ofType { ofType { name } } } } } } } }"
    assert await mistakes(schema, repository, query) == []


async def test_without_introspection_only_typename_is_available(repository: ActionRepo) -> None:
    closed = build_schema(Limits(depth=6, aliases=5, tokens=400, cost=10**9, page=1000, introspection=False))
    for query in ("{ __schema { types { name } } }", '{ __type(name: "Run") { name } }'):
        first, *_ = await mistakes(closed, repository, query)
        assert "introspection has been disabled" in first
    assert await mistakes(closed, repository, "{ __typename runs { nodes { __typename } } }") == []


async def test_aliases_are_counted_each_time_a_fragment_is_spread(
    schema: Schema, repository: ActionRepo
) -> None:
    five = "{ " + " ".join(f"a{i}: projects {{ name }}" for i in range(5)) + " }"
    assert await mistakes(schema, repository, five) == []
    spread = "{ ...P ...P b: __typename } fragment P on Query { x: __typename y: __typename z: __typename }"
    (message,) = await mistakes(schema, repository, spread)
    assert message == "The operation has 7 aliases; 5 are allowed."


async def test_too_many_tokens_are_not_even_parsed(schema: Schema, repository: ActionRepo) -> None:
    (message,) = await mistakes(schema, repository, "{ " + "__typename " * 500 + "}")
    assert "more than 400 tokens" in message


async def test_exponentially_nested_fragments_are_measured_quickly(
    schema: Schema, repository: ActionRepo
) -> None:
    doubling = "".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }} " for i in range(25))
    query = "{ ...F0 } " + doubling + "fragment F25 on Query { a: __typename }"
    began = time.process_time()
    (message,) = await mistakes(schema, repository, query)
    assert message == f"The operation has {2**25} aliases; 5 are allowed."
    assert time.process_time() - began < 20, "measured once a fragment it is a hundredth of that"


async def test_a_cycle_of_fragments_is_refused(schema: Schema, repository: ActionRepo) -> None:
    query = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
    (message,) = await mistakes(schema, repository, query)
    assert "Cannot spread fragment" in message


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("\0", "the character U+0000"),
        (["x", {"k": "\udfff"}], "half of a surrogate pair at [1].k"),
        ({"\ud800": 1}, "half of a surrogate pair"),
    ],
)
async def test_variables_with_text_that_cannot_be_stored_are_refused(
    schema: Schema, repository: ActionRepo, value: object, problem: str
) -> None:
    query = """mutation ($v: JSON) { createAction(input: {
                 id: {project: "p", domain: "d", runName: "r", name: "a"}, spec: $v}) { created } }"""
    assert await mistakes(schema, repository, query, v=value) == [f"Variable '$v' holds {problem}."]
    assert await repository.runs.count() == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")], {"k": 10**400}])
async def test_numbers_that_json_cannot_represent_are_refused(
    schema: Schema, repository: ActionRepo, value: object
) -> None:
    query = """mutation ($v: JSON) { createAction(input: {
                 id: {project: "p", domain: "d", runName: "r", name: "a"}, spec: $v}) { created } }"""
    (message,) = await mistakes(schema, repository, query, v=value)
    assert "JSON" in message
    assert await repository.runs.count() == 0


async def test_json_that_is_nested_too_deeply_is_refused(schema: Schema, repository: ActionRepo) -> None:
    value: object = 1
    for _ in range(70):
        value = [value]
    query = """mutation ($v: JSON) { createAction(input: {
                 id: {project: "p", domain: "d", runName: "r", name: "a"}, spec: $v}) { created } }"""
    (message,) = await mistakes(schema, repository, query, v=value)
    assert "at most 64 levels" in message


REPEATING = {
    "a field": "{ " + "__typename " * 3900 + "}",
    "a field with a selection": "{ " + "runs { nodes { name } } " * 400 + "}",
    "an alias": "{ " + "a: runs(first: 1) { nodes { name phase } } " * 90 + "}",
    "a fragment": "{ "
    + "".join(f"runs {{ ...F{i} }} " for i in range(250))
    + "} "
    + " ".join(f"fragment F{i} on RunConnection {{ totalCount }}" for i in range(250)),
}


@pytest.mark.parametrize("query", REPEATING.values(), ids=REPEATING)
async def test_comparisons_of_repeated_fields_are_bounded(repository: ActionRepo, query: str) -> None:
    wide = build_schema(Limits(depth=15, aliases=100, tokens=4000, cost=10**9, page=1000))
    (message,) = await mistakes(wide, repository, query)
    assert message == "The document repeats fields of the same name too often: remove the repetitions."


async def test_a_few_repeated_fields_are_allowed(schema: Schema, repository: ActionRepo) -> None:
    assert await mistakes(schema, repository, "{ " + "projects { name } " * 50 + "}") == []


async def test_the_number_of_reported_errors_is_limited(schema: Schema, repository: ActionRepo) -> None:
    messages = await mistakes(schema, repository, "{ " + " ".join(f"x{i}" for i in range(100)) + " }")
    assert len(messages) == 11
    assert messages[-1] == "There may be more errors."


async def test_aliases_of_introspection_fields_count_many_times(
    schema: Schema, repository: ActionRepo
) -> None:
    for query in (
        "{ a: __schema { types { name } } }",
        '{ a: __type(name: "Run") { name } }',
        "{ __schema { a: types { name } } }",
    ):
        (message,) = await mistakes(schema, repository, query)
        assert message == "The operation has 20 aliases; 5 are allowed."


@pytest.mark.parametrize("compiled", [True, False])
async def test_a_list_in_a_variable_may_be_as_long_as_a_batch(
    schema: Schema, repository: ActionRepo, compiled: bool
) -> None:
    async def messages(query: str, **variables: Any) -> list[str]:
        context = Context(repository, ANONYMOUS, 1000)
        result = await Engine(schema, compiled).execute(OperationRequest(query, variables), context)
        return [error.message for error in result.errors or []]

    query = "query ($phases: [ActionPhase!]) { runs(filter: {phases: $phases}) { totalCount } }"
    assert await messages(query, phases=["RUNNING"] * MAX_BATCH) == []
    text = "has 5,001 items in one list or object; 5,000 are allowed: use several calls."
    expected = [f"Variable '$phases' {text}"]
    assert await messages(query, phases=["RUNNING"] * (MAX_BATCH + 1)) == expected
    assert await messages(query, phases=[None] * (MAX_BATCH + 1)) == expected
    query = "query ($filter: RunFilter) { runs(filter: $filter) { totalCount } }"
    (message,) = await messages(query, filter={"labels": [{"key": "k"}] * (MAX_BATCH + 1)})
    assert "5,001 items" in message
    (message,) = await messages(query, filter={f"projct{number}": 1 for number in range(MAX_BATCH + 1)})
    assert "5,001 items" in message
    query = """mutation ($v: JSON) { createAction(input: {
                 id: {project: "p", domain: "d", runName: "r", name: "a"}, spec: $v}) { created } }"""
    assert await messages(query, v=[0] * (MAX_BATCH + 1)) == []


async def test_the_number_of_labels_is_limited(schema: Schema, repository: ActionRepo) -> None:
    query = "query ($labels: [LabelFilter!]) { runs(filter: {labels: $labels}) { totalCount } }"
    labels = [{"key": f"k{number}", "value": "v"} for number in range(1001)]
    assert await mistakes(schema, repository, query, labels=labels[:100]) == []
    (message,) = await mistakes(schema, repository, query, labels=labels[:101])
    assert message == "a filter takes at most 100 labels, not 101"
    query = """mutation ($labels: [LabelInput!]) { createAction(input: {
                 id: {project: "p", domain: "d", runName: "r", name: "a"}, labels: $labels}) { created } }"""
    (message,) = await mistakes(schema, repository, query, labels=labels)
    assert message == "an action has at most 1000 labels, not 1001"
    assert await mistakes(schema, repository, query, labels=labels[:1000]) == []
