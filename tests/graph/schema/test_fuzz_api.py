"""Random operations of schemathesis: each valid one has a valid response."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from graphql import GraphQLObjectType, build_schema
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from graph.app import create_app
from graph.settings import Settings
from repo import open_repository
from tests import ROOT
from tests.support.databases import wait_for
from tests.support.serving import serving
from tests.support.world import fill

EXAMPLES = int(os.environ.get("RUNGRAPH_TEST_FUZZ_EXAMPLES", "6"))
"""The number of operations for each field of Query and Mutation."""
SEED = int(os.environ.get("RUNGRAPH_TEST_SEED", "20261126"))
SECONDS = 60

TEXT = (ROOT / "schema.graphql").read_text()
SCHEMA = schemathesis.graphql.from_file(TEXT)
OPERATIONS = {
    operation.label: operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok))
    if not operation.label.startswith("Subscription.")
}
CODES = {
    *("BAD_USER_INPUT", "NOT_FOUND", "CONFLICT", "BAD_REQUEST"),
    *("GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"),
}
"""The codes of errors in generated operations."""
ALL_THERE_IS = """query ($after: String) { runs(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes { id project domain name phase attempts labels { key value } createdBy { subject } createdAt startedAt
    endedAt durationMs phaseCounts { phase count } abort { state reason } error { message } task { name }
    rootAction { id spec state attemptHistory { attempt phase error { message } logs { uri } }
      events(first: 100) { nodes { phase occurredAt reportedAt } } } actions(first: 100) { totalCount nodes {
        name parentName phase spec revision } } } } }"""
"""A query of everything that may have been written."""

_times = st.datetimes(timezones=st.timezones() | st.none()).map(lambda time: time.isoformat())
_numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**70), 2**70)
schemathesis.graphql.scalar("DateTime", (_times | st.text(max_size=10)).map(nodes.String))
schemathesis.graphql.scalar("BigInt", _numbers.map(nodes.Int))
schemathesis.graphql.scalar(
    "JSON", st.text().map(nodes.String) | _numbers.map(nodes.Int) | st.just(nodes.Null)
)


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """A real server with some data."""

    async def begin() -> None:
        async with open_repository(database_url) as repository:
            await fill(repository)

    wait_for(begin())
    with serving(create_app(Settings(database_url=database_url))) as address:
        yield f"{address}/graphql"


def check(response: httpx2.Response, operation_text: str) -> dict[str, Any]:
    """The response, which has to be valid in GraphQL and GraphQL over HTTP."""
    assert response.status_code in (200, 400), f"{operation_text}\n{response.status_code} {response.text}"
    body: dict[str, Any] = json.loads(response.content, parse_constant=pytest.fail)
    assert body.keys() <= {"data", "errors", "extensions"}, operation_text
    assert body, operation_text
    if "errors" in body:
        assert body["errors"], operation_text
    for error in body.get("errors", ()):
        assert error["extensions"]["code"] in CODES, f"{operation_text}\n{error}"
        assert isinstance(error["message"], str), operation_text
        assert all(place["line"] > 0 and place["column"] > 0 for place in error.get("locations", ())), (
            operation_text
        )
        assert all(isinstance(step, str | int) for step in error.get("path") or ()), operation_text
    return body


@pytest.mark.slow
@pytest.mark.timeout(3600)
# It is the server that does, in its thread.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_random_operations_have_valid_responses(url: str) -> None:
    with httpx2.Client(timeout=SECONDS) as client:

        def ask(query: str, **variables: Any) -> dict[str, Any]:
            return check(client.post(url, json={"query": query, "variables": variables}), query)

        for label, operation in OPERATIONS.items():

            @seed(SEED)
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy())
            def try_it(case: Any) -> None:
                ask(case.body)

            try:
                try_it()
            except BaseException as error:
                error.add_note(f"RUNGRAPH_TEST_SEED={SEED}, {label}")
                raise
        # Everything that was written can be read.
        after, found = None, 0
        while True:
            answer = ask(ALL_THERE_IS, after=after)
            assert "errors" not in answer
            page = answer["data"]["runs"]
            found += len(page["nodes"])
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert found >= 3


def test_every_field_of_queries_and_mutations_is_covered() -> None:
    schema = build_schema(TEXT)
    roots: list[GraphQLObjectType | None] = [schema.query_type, schema.mutation_type]
    expected = {f"{root.name}.{name}" for root in roots if root is not None for name in root.fields}
    assert set(OPERATIONS) == expected
