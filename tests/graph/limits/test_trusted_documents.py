"""Servers that execute trusted documents only."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import (
    FieldNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    parse,
    print_ast,
    visit,
)
from pydantic import ValidationError
from starlette.applications import Starlette

from graph.app import create_app
from graph.errors import RequestRefused
from graph.limits import trusted_documents
from graph.limits.trusted_documents import TrustedDocuments, canonical, read_documents
from graph.settings import Settings
from tests import ROOT
from tests.support.client import GraphQLClient
from tests.support.serving import serving
from tests.support.sockets import connected

UI_DOCUMENTS = ROOT / "frontend" / "src" / "gql" / "persisted-documents.json"
SECONDS = 40
OURS = (
    "query Names($n: Int) { runs(first: $n) { nodes { name ...P } } } "
    "fragment P on Run { phase labels { key } }"
)
HASH = hashlib.sha256(OURS.encode()).hexdigest()
LIVE = "subscription { runs { kind runs { name } } }"
ONLY_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


class _AsUrqlSends(Visitor):
    """Adds `__typename` to every selection within a field, as clients with a cache do."""

    def leave_selection_set(
        self, node: SelectionSetNode, key: object, parent: object, *_: Any
    ) -> SelectionSetNode:
        if isinstance(parent, OperationDefinitionNode):
            return node
        typename = FieldNode(
            name=NameNode(value="__typename"), alias=None, arguments=(), directives=(), selection_set=None
        )
        return SelectionSetNode(selections=(*node.selections, typename))


def as_urql_sends(text: str) -> str:
    return print_ast(visit(parse(text), _AsUrqlSends()))


@pytest.fixture
def app(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    monkeypatch.setattr(trusted_documents, "UI_DOCUMENTS", UI_DOCUMENTS)
    file = tmp_path / "documents.json"
    file.write_text(json.dumps([OURS, LIVE]))
    return create_app(Settings(database_url=database_url, trusted_documents=str(file)))


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[GraphQLClient]:
    async with (
        asyncio.timeout(SECONDS),
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as opened,
    ):
        yield opened


async def outcome(client: GraphQLClient, **body: Any) -> tuple[int, Any]:
    """The status, and the data or the error code."""
    answer = await client.post("/graphql", json=body)
    found = answer.json()
    return answer.status_code, found["errors"][0]["extensions"]["code"] if "errors" in found else found[
        "data"
    ]


@ONLY_SQLITE
async def test_a_trusted_document_is_executed_by_text_or_hash(client: GraphQLClient) -> None:
    fine: Any = 200, {"runs": {"nodes": []}}
    assert await outcome(client, query=OURS, variables={"n": 3}) == fine
    assert await outcome(client, documentId=HASH, variables={"n": 3}) == fine
    assert await outcome(client, documentId=f"sha256:{HASH}") == fine
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": HASH}}
    assert await outcome(client, extensions=persisted, operationName="Names") == fine
    assert await outcome(client, query=OURS, extensions=persisted) == fine
    assert await outcome(client, query="", documentId=HASH) == fine
    assert await outcome(client, query="", extensions=persisted, operationName="") == fine
    answer = await client.get("/graphql", params={"documentId": HASH, "variables": '{"n": 1}'})
    assert answer.json()["data"] == {"runs": {"nodes": []}}


@ONLY_SQLITE
async def test_a_text_with_the_hash_of_another_document_is_refused(client: GraphQLClient) -> None:
    def named(text: str) -> dict[str, Any]:
        return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}

    assert (await outcome(client, query=as_urql_sends(OURS), extensions=named(OURS)))[0] == 200
    for hash in (LIVE, "{ unknown }"):
        assert await outcome(client, query=OURS, extensions=named(hash)) == (400, "BAD_REQUEST")


@ONLY_SQLITE
async def test_equivalent_texts_of_a_trusted_document_are_executed(client: GraphQLClient) -> None:
    for text in (as_urql_sends(OURS), print_ast(parse(OURS)), f"# a comment\n{OURS}"):
        for _ in range(2):
            status, data = await outcome(client, query=text)
            assert (status, data["runs"]["nodes"]) == (200, []), text


@ONLY_SQLITE
@pytest.mark.parametrize(
    "query",
    [
        "{ runs { nodes { name } } }",
        "{ __schema { types { name } } }",
        "{ __typename }",
        "{",
        "{ " + "__typename " * 5000 + "}",
        OURS.replace("labels { key }", "labels { key value }"),
        OURS.replace("first: $n", "first: 1000"),
        OURS.replace("name", "name: id", 1),
        OURS + " query Other { projects { name } }",
        OURS.replace("phase", "phase x: __typename"),
        'mutation { abortRuns(input: {filter: {project: "p"}}) { matched } }',
    ],
)
async def test_other_documents_are_refused(client: GraphQLClient, query: str) -> None:
    assert await outcome(client, query=query) == (403, "QUERY_NOT_IN_SAFELIST")
    answer = await client.get("/graphql", params={"query": query})
    assert answer.status_code == 403


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"documentId": "0" * 64}, (404, "PERSISTED_QUERY_NOT_FOUND")),
        ({"extensions": {"persistedQuery": {"sha256Hash": "x"}}}, (404, "PERSISTED_QUERY_NOT_FOUND")),
        ({}, (400, "BAD_REQUEST")),
        ({"documentId": 1}, (400, "BAD_REQUEST")),
        ({"documentId": None, "extensions": {"persistedQuery": []}}, (400, "BAD_REQUEST")),
        ({"extensions": "x"}, (400, "BAD_REQUEST")),
        ({"query": ""}, (400, "BAD_REQUEST")),
        ({"query": 1}, (400, "BAD_REQUEST")),
    ],
)
async def test_requests_without_a_known_document_are_refused(
    client: GraphQLClient, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert await outcome(client, **body) == expected


@ONLY_SQLITE
async def test_graphiql_is_not_served_with_trusted_documents(client: GraphQLClient) -> None:
    answer = await client.get("/graphql", headers={"Accept": "text/html"})
    assert answer.status_code == 406


@ONLY_SQLITE
async def test_websockets_execute_only_trusted_documents(app: Starlette) -> None:
    with serving(app) as url:
        async with connected(f"{url}/graphql") as socket:
            await socket.subscribe("1", "subscription { runs { cursor } }")
            assert (await socket.error("1"))["extensions"]["code"] == "QUERY_NOT_IN_SAFELIST"
            await socket.subscribe("2", as_urql_sends(LIVE))
            assert (await socket.data("2"))["kind"] == "SYNCED"
            live = hashlib.sha256(LIVE.encode()).hexdigest()
            await socket.send({"type": "subscribe", "id": "3", "payload": {"documentId": live}})
            assert (await socket.data("3"))["kind"] == "SYNCED"
            await socket.send({"type": "subscribe", "id": "4", "payload": {"documentId": "x"}})
            assert (await socket.error("4"))["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


def test_documents_of_the_web_ui_are_trusted_as_its_client_sends_them() -> None:
    documents = json.loads(UI_DOCUMENTS.read_text())
    known = TrustedDocuments(documents)
    for text in documents.values():
        known.resolve({"query": as_urql_sends(text)})
    assert len(documents) > 15


def test_the_cache_of_trusted_texts_is_bounded() -> None:
    known = TrustedDocuments({"x": OURS})
    for number in range(1000):
        known.resolve({"query": f"#{number}\n{OURS}"})
    known.resolve({"query": "#" * 50_000 + f"\n{OURS}"})
    assert len(known.known) <= trusted_documents.MAX_KNOWN
    assert sum(map(len, known.known)) < 1024 * 1024


def test_a_trusted_text_is_executed_as_it_is_without_being_parsed_again() -> None:
    # Longer than the limit of tokens, which is then reported as for any other document.
    long = f"{OURS} {' '.join(f'fragment F{number} on Run {{ name }}' for number in range(300))}"
    known = TrustedDocuments({"x": long}, max_tokens=100)
    known.resolve({"query": long})
    with pytest.raises(RequestRefused):
        known.resolve({"query": f"{long} "})
    for number in range(2 * trusted_documents.MAX_KNOWN):
        with pytest.raises(RequestRefused):
            known.resolve({"query": f"{{ a{number} }}"})
    assert list(known.known) == [long]


def test_the_canonical_form_ignores_order_but_no_content() -> None:
    one = canonical(parse("query Q($a: Int, $b: Int) { x(p: $a, q: {r: 1, s: 2}) { b a } }"))
    assert canonical(parse("query Q($b: Int, $a: Int) { x(q: {s: 2, r: 1}, p: $a) { a b } }")) == one
    assert canonical(parse("query Q($b: Int, $a: Int) { x(q: {s: 2, r: 1}, p: $b) { a b } }")) != one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "documents.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "must be a JSON file of documents"),
        ("3", "must be a JSON file of documents"),
        ('{"x": 3}', "must be a JSON file of documents"),
        ('["{ secret"]', "one of the documents is invalid"),
    ],
)
def test_an_invalid_file_is_refused_at_start(file: Path, content: str | None, message: str) -> None:
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValidationError, match=message):
        Settings(trusted_documents=str(file))


def test_files_with_documents_by_hash_are_read(file: Path) -> None:
    file.write_text(json.dumps({HASH: OURS}))
    assert read_documents(str(file))[HASH] == OURS


def test_a_web_ui_that_was_not_built_has_no_documents(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_documents, "UI_DOCUMENTS", file)
    with pytest.raises(ValidationError, match="the web UI was not built"):
        Settings(trusted_documents="page")


def test_only_added_typenames_are_ignored_in_trusted_documents() -> None:
    documents = TrustedDocuments({"x": "{ runs { totalCount } }"}, max_tokens=20)
    documents.resolve({"query": "{ runs { __typename totalCount } }"})
    for other in (
        "{ runs { __typename @skip(if: true) totalCount } }",
        "{ runs { other: __typename totalCount } }",
        "{ runs { totalCount " + "__typename " * 20 + "} }",
    ):
        with pytest.raises(RequestRefused) as refused:
            documents.resolve({"query": other})
        assert refused.value.code == "QUERY_NOT_IN_SAFELIST"
