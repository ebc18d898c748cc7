"""GraphQL over HTTP: responses to valid and invalid requests."""

import gzip
import hashlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from graph.errors import RequestRefused
from graph.limits.documents import MAX_QUERY_LENGTH
from graph.transport.request import MAX_JSON_PARTS, check_request, count_parts, parse_json
from tests.support.toy import LIMIT, toy_app

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HELLO = {"query": "{ hello }"}


@pytest.fixture
async def toy() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(toy_app(graphiql=False))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def send(
    toy: httpx2.AsyncClient, body: bytes | AsyncIterator[bytes], **headers: str
) -> httpx2.Response:
    sent = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await toy.post("/graphql", content=body, headers=sent)


def error_of(response: httpx2.Response) -> tuple[int, str]:
    """The status and the code of a refusal, whose whole body is one error with a message."""
    body = response.json()
    assert list(body) == ["errors"], body
    [error] = body["errors"]
    assert error["message"]
    assert "Traceback" not in response.text
    return response.status_code, error["extensions"]["code"]


async def test_a_query_is_answered_by_post_and_by_get(toy: httpx2.AsyncClient) -> None:
    by_post = await toy.post("/graphql", json=HELLO)
    by_get = await toy.get(
        "/graphql",
        params={
            "query": "query Q($n: String!) { hello(name: $n) }",
            "variables": '{"n": "é"}',
            "extensions": "",
        },
    )
    assert by_post.json() == {"data": {"hello": "Hello, world"}}
    assert by_get.json() == {"data": {"hello": "Hello, é"}}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        (";;,,;q", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("Application/JSON", JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}, {JSON}", GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", JSON),
        (f"{JSON};q=0.5, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, */*", JSON),
        (f"{JSON};q=0, */*;q=0.1", GRAPHQL_RESPONSE),
        ("text/html, */*;q=0.8", JSON),
        ("text/event-stream", "text/event-stream"),
    ],
)
async def test_the_response_has_the_preferred_media_type(
    toy: httpx2.AsyncClient, accept: str | None, expected: str
) -> None:
    toy.headers.pop("accept")
    response = await toy.post("/graphql", json=HELLO, headers={} if accept is None else {"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].removesuffix("; charset=utf-8") == expected
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["text/html", "image/*", f"{JSON};q=0", f"{JSON};q=often", "image/png,"])
async def test_a_client_that_accepts_no_offered_media_type_is_refused(
    toy: httpx2.AsyncClient, accept: str
) -> None:
    response = await toy.post("/graphql", json=HELLO, headers={"accept": accept})
    assert error_of(response) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused_with_the_allowed_ones(toy: httpx2.AsyncClient, method: str) -> None:
    response = await toy.request(method, "/graphql", json=HELLO)
    assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, POST"


async def test_a_mutation_by_get_is_refused_with_the_allowed_method(toy: httpx2.AsyncClient) -> None:
    response = await toy.get("/graphql", params={"query": "mutation { touch }"})
    assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


async def test_a_mutation_by_get_as_events_is_not_executed(toy: httpx2.AsyncClient) -> None:
    response = await toy.get(
        "/graphql", params={"query": "mutation { touch }"}, headers={"accept": "text/event-stream"}
    )
    assert "not allowed" in response.text
    assert "touch" not in response.text


OF_URQL = "application/graphql-response+json, application/graphql+json, application/json"


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        f"{JSON}, text/event-stream",
        f"text/event-stream, {JSON}",
        f"{OF_URQL}, text/event-stream, multipart/mixed",
        f"{JSON};q=1.0, TEXT/Event-Stream;q=0.1",
        f"{JSON}, text/*;q=0.001",
        f"{JSON}, */*;q=0.5",
        "*/*",
        None,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_subscription_is_an_event_stream_if_the_client_accepts_it(
    toy: httpx2.AsyncClient, method: str, accept: str | None
) -> None:
    toy.headers.pop("accept")
    query = {"query": "subscription { count(to: 1) }"}
    arguments: dict[str, Any] = {"json": query} if method == "POST" else {"params": query}
    response = await toy.request(
        method, "/graphql", headers={"accept": accept} if accept else {}, **arguments
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert '{"data":{"count":1}}' in response.text
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "accept", [JSON, OF_URQL, "application/*", "*/*, text/event-stream;q=0", f"{JSON}, text/*;q=0"]
)
async def test_a_subscription_as_plain_json_is_refused(toy: httpx2.AsyncClient, accept: str) -> None:
    query = {"query": "subscription { count(to: 2) }"}
    response = await toy.post("/graphql", json=query, headers={"accept": accept})
    assert error_of(response) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (f"{JSON}, text/event-stream", JSON),
        (f"{JSON};q=0.5, text/event-stream;q=0.4, */*;q=0.1", JSON),
        (f"text/event-stream, {JSON}", "text/event-stream"),
        (f"{JSON};q=0.4, text/event-stream;q=0.5", "text/event-stream"),
        (f"{JSON};q=nan, text/event-stream;q=0.5", "text/event-stream"),
        (f"{JSON};q=0.3, {GRAPHQL_RESPONSE};q=inf", JSON),
        (f"{JSON}; charset=utf-8 ; q = 0.3, {GRAPHQL_RESPONSE};q=0.2", JSON),
    ],
)
async def test_a_query_has_the_preferred_media_type(
    toy: httpx2.AsyncClient, accept: str, expected: str
) -> None:
    response = await toy.post("/graphql", json=HELLO, headers={"accept": accept})
    assert response.headers["content-type"].removesuffix("; charset=utf-8") == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", [JSON, "text/event-stream"])
async def test_an_empty_operation_name_is_ignored(toy: httpx2.AsyncClient, method: str, accept: str) -> None:
    body = {"query": "query Q { hello }", "operationName": ""}
    arguments: dict[str, Any] = {"json": body} if method == "POST" else {"params": body}
    response = await toy.request(method, "/graphql", headers={"accept": accept}, **arguments)
    assert '{"data":{"hello":"Hello, world"}}' in response.text


HASH = hashlib.sha256(b"{ hello }").hexdigest()


def persisted(**found: Any) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, **found}}}


@pytest.mark.parametrize(
    "body",
    [
        persisted(sha256Hash=HASH),
        {"query": "", **persisted(sha256Hash=HASH)},
        {"query": None, **persisted(sha256Hash=HASH)},
        {"documentId": HASH},
        {"query": "", "documentId": HASH},
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE, "text/event-stream"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_hash_without_a_document_is_refused_with_the_apollo_code(
    toy: httpx2.AsyncClient, method: str, accept: str, body: dict[str, Any]
) -> None:
    in_url = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    if in_url.get("query") == "null":
        del in_url["query"]
    arguments: dict[str, Any] = {"json": body} if method == "POST" else {"params": in_url}
    response = await toy.request(method, "/graphql", headers={"accept": accept}, **arguments)
    assert error_of(response) == (200, "PERSISTED_QUERY_NOT_SUPPORTED")
    assert response.json()["errors"][0]["message"] == "PersistedQueryNotSupported"


async def test_a_document_is_executed_with_its_own_hash_only(toy: httpx2.AsyncClient) -> None:
    for hash in (HASH, HASH.upper()):
        fine = await toy.post("/graphql", json={"query": "{ hello }", **persisted(sha256Hash=hash)})
        assert fine.json() == {"data": {"hello": "Hello, world"}}
    response = await toy.post("/graphql", json={"query": "{ missing }", **persisted(sha256Hash=HASH)})
    assert error_of(response) == (400, "BAD_REQUEST")
    assert "is not the SHA-256 hash of `query`" in response.text


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonx",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "/;;=",
    ],
)
async def test_a_body_with_another_content_type_is_refused(
    toy: httpx2.AsyncClient, content_type: str
) -> None:
    response = await send(toy, json.dumps(HELLO).encode(), content_type=content_type)
    assert error_of(response) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"', "application/json ; a=b"],
)
async def test_a_json_content_type_may_have_parameters(toy: httpx2.AsyncClient, content_type: str) -> None:
    response = await send(toy, json.dumps(HELLO).encode(), content_type=content_type)
    assert response.status_code == 200


async def test_a_compressed_body_is_refused_with_the_accepted_encoding(toy: httpx2.AsyncClient) -> None:
    response = await send(toy, gzip.compress(json.dumps(HELLO).encode()), content_encoding="gzip")
    assert error_of(response) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"null",
        b"true",
        b"17",
        b'"{ hello }"',
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"{}",
        b'{"qeury": "{ hello }"}',
        b'{"query": null}',
        b'{"query": ""}',
        b'{"query": 1}',
        b'{"query": ["{ hello }"]}',
        b'{"query": "{ hello }", "variables": []}',
        b'{"query": "{ hello }", "variables": "{}"}',
        b'{"query": "{ hello }", "operationName": {}}',
        b'{"query": "{ hello }", "operationName": 0}',
        b'{"query": "{ hello }", "extensions": false}',
        b'{"query": "{ hello }", "query": "{ slow }"}',
        b'{"query": "{ hello }", "variables": {}, "variables": {}}',
        b'{"query": "{ hello }", "variables": {"a": NaN}}',
        b'{"query": "{ hello }", "variables": {"a": -Infinity}}',
        b'{"query": "{ hello(name: \\"\xff\\") }"}',
        b'{"query": "{ hello }", "variables": {"a": "\\ud800"}}',
        b'{"query": "{ hello }", "operationName": "\\udfff"}',
        b'\xef\xbb\xbf{"query": "{ hello }"}',
        '{"query": "{ hello }"}'.encode("utf-16"),
        b"[" * 9_000,
        b'{"query": "{ hello }", "variables": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
        b'{"query": "{ hello }", "variables": {"a": ' + b'{"a":' * 150 + b"1" + b"}" * 150 + b"}}",
        b"\0",
        b'{"query": "{ hello }"} x',
    ],
)
async def test_a_malformed_body_is_a_bad_request(toy: httpx2.AsyncClient, body: bytes) -> None:
    assert error_of(await send(toy, body)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("part", [b"[]", b"{}", b'{"a":1}'])
def test_json_with_too_many_parts_is_not_parsed(part: bytes) -> None:
    def text(count: int) -> bytes:
        return b"[%b]" % b",".join([part] * count)

    most = MAX_JSON_PARTS // (part.count(b":") + 1) - 1
    assert len(parse_json(text(most), "It")) == most
    for one in (text(most + 1), text(most + 1).decode()):
        with pytest.raises(RequestRefused, match="more than 500,000 objects, lists and names"):
            parse_json(one, "It")


@pytest.mark.parametrize(
    "text", ["[" * 600_000, ":{[" * 200_000, '\\"[' * 200_000, "\\\\[" * 200_000, '[{"a": [1]}]' * 60_000]
)
def test_structure_within_strings_is_not_counted(text: str) -> None:
    value = {"a": text, text: ["é", text]}
    for one in (json.dumps(value), json.dumps(value, ensure_ascii=False).encode()):
        assert parse_json(one, "It") == value


def test_the_counted_parts_are_those_of_the_value() -> None:
    dice = random.Random(20261130)
    texts = ["", "a", '"', "\\", "[{:", '\\"[', '"\\"', "\\\\", 'é"[', "\n{", ':"']

    def make(depth: int) -> object:
        kind = dice.random()
        if depth == 0 or kind < 0.3:
            return dice.choice([1, None, True, 1.5, dice.choice(texts) + dice.choice(texts)])
        if kind < 0.6:
            return [make(depth - 1) for _ in range(dice.randint(0, 4))]
        return {f"{dice.choice(texts)}{n}{dice.choice(texts)}": make(depth - 1) for n in range(3)}

    def parts(value: object) -> int:
        if isinstance(value, dict):
            return 1 + len(value) + sum(map(parts, value.values()))
        return 1 + sum(map(parts, value)) if isinstance(value, list) else 0

    for at_once in (1, 2, 7, 64 * 1024):
        for _ in range(500):
            value = make(4)
            for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
                assert count_parts(text.encode(), at_once) == parts(value), text


def test_documents_are_limited_to_the_size_of_a_websocket_message() -> None:
    query = "{ hello }".ljust(MAX_QUERY_LENGTH)
    assert check_request({"query": query}).query == query
    with pytest.raises(RequestRefused, match="longer than 65536 characters"):
        check_request({"query": query + " "})


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "query=",
        "query={hello}&query={slow}",
        "query={hello}&variables=[]",
        "query={hello}&variables={",
        "query={hello}&variables=NaN",
        "query={hello}&extensions=1",
        "query={hello}&operationName=a&operationName=b",
    ],
)
async def test_malformed_parameters_in_the_url_are_a_bad_request(
    toy: httpx2.AsyncClient, parameters: str
) -> None:
    assert error_of(await toy.get(f"/graphql?{parameters}")) == (400, "BAD_REQUEST")


async def test_parameter_names_may_recur_within_the_variables(toy: httpx2.AsyncClient) -> None:
    value = {"query": {"query": 1}, "variables": [{"variables": 2}]}
    response = await toy.post(
        "/graphql",
        json={"query": "query Q($value: JSON!) { echo(value: $value) }", "variables": {"value": value}},
    )
    assert response.json() == {"data": {"echo": value}}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ hello \0 }"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": '{ hello(name: "\\ud800") }'}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query Q($n: String!) { hello(name: $n) }"}, "BAD_USER_INPUT"),
        ({"query": "query Q { hello }", "operationName": "R"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "fragment F on Query { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_a_refused_operation_has_no_data_and_a_status_by_media_type(
    toy: httpx2.AsyncClient, body: dict[str, Any], code: str
) -> None:
    as_response = await toy.post("/graphql", json=body, headers={"accept": GRAPHQL_RESPONSE})
    as_json = await toy.post("/graphql", json=body, headers={"accept": JSON})
    assert error_of(as_response) == (400, code)
    assert error_of(as_json) == (200, code)


async def test_a_failed_field_keeps_data_and_status_200(toy: httpx2.AsyncClient) -> None:
    for query, data in [
        ("{ hello missing }", {"hello": "Hello, world", "missing": None}),
        ("{ broken }", None),
    ]:
        response = await toy.post("/graphql", json={"query": query}, headers={"accept": GRAPHQL_RESPONSE})
        assert response.status_code == 200
        assert response.json()["data"] == data
        assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert "secret" not in response.text


async def test_a_body_over_the_limit_by_one_byte_is_refused(toy: httpx2.AsyncClient) -> None:
    body = json.dumps(HELLO).encode().ljust(LIMIT)
    assert (await send(toy, body)).status_code == 200
    assert error_of(await send(toy, body + b" ")) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_body_of_unknown_length_is_read_up_to_the_limit(toy: httpx2.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1000
            yield b" " * 1000

    assert error_of(await send(toy, chunks())) == (413, "PAYLOAD_TOO_LARGE")
    assert sent <= LIMIT + 1000


async def test_responses_are_strict_json(toy: httpx2.AsyncClient) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    query = '{ big: echo(value: 123456789012345678901234567890) small: echo(value: [1.5, null, "é"]) }'
    response = await toy.post("/graphql", json={"query": query})
    parsed = json.loads(response.content.decode("utf-8"), parse_constant=refuse)
    assert parsed == {"data": {"big": 123456789012345678901234567890, "small": [1.5, None, "é"]}}


async def test_an_event_stream_has_each_result_and_complete(toy: httpx2.AsyncClient) -> None:
    response = await toy.post(
        "/graphql",
        json={"query": "subscription { count(to: 2) }"},
        headers={"accept": "text/event-stream"},
    )
    assert response.text.split("\n\n") == [
        'event: next\ndata: {"data":{"count":1}}',
        'event: next\ndata: {"data":{"count":2}}',
        "event: complete\ndata: ",
        "",
    ]
    assert response.headers["cache-control"] == "no-cache, no-transform"


async def test_a_malformed_body_of_an_event_stream_is_refused_before_it_begins(
    toy: httpx2.AsyncClient,
) -> None:
    assert error_of(await send(toy, b"[]", accept="text/event-stream")) == (400, "BAD_REQUEST")
