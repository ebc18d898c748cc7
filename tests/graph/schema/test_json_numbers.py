"""Numbers in JSON: each is stored exactly or refused with its path, over every transport."""

import json
import random
import struct

import pytest
from starlette.applications import Starlette

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.schema.types.json_numbers import Inexact, loads
from graph.schema.types.scalars import MAX_JSON_PARTS, check_json
from repo import ActionRepo
from tests.support.client import GraphQLClient
from tests.support.serving import serving
from tests.support.sockets import connected

SCHEMA = build_schema(Limits(depth=30, aliases=1000, tokens=20000, cost=10**30, page=1000))
ID = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
ID_TEXT = '{project: "etl", domain: "production", runName: "nightly-1", name: "a0"}'
CREATE = "mutation ($id: ActionIdentifierInput!, $spec: JSON) { createAction(input: {id: $id, spec: $spec}) "
CREATE += "{ action { spec } } }"
INSERT = """mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"""
READ = f"""{{ action(id: {ID_TEXT}) {{
  spec events {{ nodes {{ outputs info }} }} attemptHistory {{ outputs }}
}} }}"""

EXACT = """18446744073709551616 -9223372036854775809 9007199254740993 0 18446744073709551615
  0.1 -0.0 1e22 1.7976931348623157e308 5e-324 0.30000000000000004 100000000000000000000.0""".split()
# Other notations of a double.
EXACT += """1E5 1e+2 0.50 0e999 0.10000000000000001 9.9999999999999992e+22 2.50000000000000000000
  0.1000000000000000055511151231257827021181583404541015625 4.9E-324 0.3333333333333333148
  0.30000000000000004441 -2.9999999999999998890e-1""".split()
EXACT += ["1" * 300]
INEXACT = """0.1234567890123456789 3.14159265358979323846 4e-324 4.8e-324
  9007199254740993.0 9007199254740993e0 1e400 -1e400 1e-400 3e-324
  123456789012345678901234567890.5 1e99999999999999999999 1e-99999999999999999999""".split()


def body(query: str, **variables: str) -> bytes:
    """A request whose variables are texts of JSON."""
    arguments = ", ".join(f"{json.dumps(name)}: {text}" for name, text in variables.items())
    return f'{{"query": {json.dumps(query)}, "variables": {{{arguments}}}}}'.encode()


async def post(client: GraphQLClient, content: bytes, accept: str = "application/json") -> str:
    headers = {"content-type": "application/json", "accept": accept}
    return (await client.post("/graphql", content=content, headers=headers)).text


@pytest.mark.parametrize("text", EXACT)
async def test_numbers_are_returned_as_sent(client: GraphQLClient, text: str) -> None:
    value = f'{{"deep": [{{"x": {text}}}]}}'
    expected = {"deep": [{"x": json.loads(text)}]}
    if "." not in text and "e" not in text.lower():
        assert expected == {"deep": [{"x": int(text)}]}
    created = await post(client, body(CREATE, id=json.dumps(ID), spec=value))
    events = f"""[{{"action": {json.dumps(ID)}, "attempt": 1, "phase": "RUNNING",
      "occurredAt": "2026-01-01T00:00:00Z", "outputs": {value}, "info": {value}}}]"""
    assert '"inserted":1' in await post(client, body(INSERT, events=events))
    read = await post(client, body(READ))
    streamed = await post(client, body(READ), "text/event-stream")
    assert json.loads(created)["data"]["createAction"]["action"]["spec"] == expected
    assert streamed.split("data: ")[1].splitlines()[0] == read
    found = json.loads(read)["data"]["action"]
    assert found == {
        "spec": expected,
        "events": {"nodes": [{"outputs": expected, "info": expected}]},
        "attemptHistory": [{"outputs": expected}],
    }
    assert type(found["spec"]["deep"][0]["x"]) is type(json.loads(text))


@pytest.mark.parametrize("text", EXACT)
async def test_numbers_in_documents_are_kept(
    client: GraphQLClient, repository: ActionRepo, text: str
) -> None:
    query = f"mutation {{ createAction(input: {{id: {ID_TEXT}, spec: {{x: [{text}]}}}}) "
    query += "{ action { spec } } }"
    answer = json.loads(await post(client, body(query)))
    expected = {"x": [json.loads(text)]}
    assert answer["data"]["createAction"]["action"]["spec"] == expected
    context = Context(repository, ANONYMOUS, 1000)
    for engine in (Engine(SCHEMA), Engine(SCHEMA, compiled=False)):
        found = await engine.answer(OperationRequest(f"{{ action(id: {ID_TEXT}) {{ spec }} }}"), context)
        assert json.loads(found.body)["data"]["action"]["spec"] == expected


@pytest.mark.parametrize("text", [*INEXACT, "1" + "0" * 400])
async def test_a_number_that_cannot_be_kept_is_refused_with_its_path(
    client: GraphQLClient, repository: ActionRepo, text: str
) -> None:
    value = f'{{"a": {{"deep": [0, {{"x": {text}}}]}}}}'
    refused = json.loads(await post(client, body(CREATE, id=json.dumps(ID), spec=value)))
    document = f"mutation {{ createAction(input: {{id: {ID_TEXT}, "
    document += f"spec: {{a: {{deep: [0, {{x: {text}}}]}}}}}}) "
    by_literal = json.loads(await post(client, body(document + "{ created } }")))
    for answer in (refused, by_literal):
        (error,) = answer["errors"]
        assert error["message"].endswith("at a.deep[1].x"), error
        assert "$spec" in error["message"] or answer is by_literal
        assert error["extensions"]["code"] in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")
    events = f"""[{{"action": {json.dumps(ID)}, "attempt": 1, "phase": "RUNNING",
      "occurredAt": "2026-01-01T00:00:00Z", "outputs": [{text}]}}]"""
    (error,) = json.loads(await post(client, body(INSERT, events=events)))["errors"]
    assert "at [0].outputs: " in error["message"]
    assert error["message"].endswith("at [0]")
    assert (await repository.list_actions()).items == []


async def test_numbers_over_websockets_and_in_urls_are_kept_or_refused(app: Starlette) -> None:
    with serving(app) as url:
        async with connected(f"{url}/graphql") as socket:
            for number, (text, is_kept) in enumerate([("18446744073709551616", True), ("1e400", False)]):
                payload = body(
                    CREATE, id=json.dumps({**ID, "runName": f"r{number}"}), spec=f'{{"x": {text}}}'
                )
                await socket.send(f'{{"type": "subscribe", "id": "{number}", "payload": {payload.decode()}}}')
                if is_kept:
                    created = await socket.data(str(number))
                    assert created["action"]["spec"] == {"x": int(text)}
                    await socket.completes(str(number))
                else:
                    error = await socket.error(str(number))
                    assert "'$spec'" in error["message"]
                    assert error["message"].endswith("at x")
        async with GraphQLClient(base_url=url) as client:
            query = "query ($n: BigInt) { runs(filter: {minDurationMs: $n}) { totalCount } }"
            for text in ("18446744073709551616", "9007199254740993.0", "9007199254740993e0"):
                answer = await client.get(
                    "/graphql", params={"query": query, "variables": f'{{"n": {text}}}'}
                )
                assert f"BigInt needs a 64-bit integer, not {text}" in answer.text


@pytest.mark.parametrize("text", ["9223372036854775808", "1e19", "9007199254740993.0", "1.5", '"1e3"'])
async def test_a_big_integer_is_exact_or_refused(client: GraphQLClient, text: str) -> None:
    query = f"{{ runs(filter: {{minDurationMs: {text}}}) {{ totalCount }} }}"
    (error,) = json.loads(await post(client, body(query)))["errors"]
    assert "BigInt needs a 64-bit integer" in error["message"]


@pytest.mark.slow
def test_every_double_is_read_from_its_common_representations() -> None:
    dice = random.Random(20261130)
    for _ in range(20_000):
        (value,) = struct.unpack("d", dice.randbytes(8))
        if value == value and abs(value) != float("inf"):
            printed = [f"{value:.{digits}e}" for digits in (16, 17, 18, 19, 20, 60, 800)]
            for text in (repr(value), f"{value:.17g}", *printed):
                assert loads(f"[{text}]".encode()) == [value], text


def test_digits_in_strings_are_not_numbers() -> None:
    text = json.dumps({"1" * 40: "9" * 40, "a": "1e400", "b": ["0.1234567890123456789"]})
    assert loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ["[1,]", "{", "01", "[1 2]", '"\ud800"', "1.", "[" * 5000])
def test_invalid_json_with_a_long_number_is_refused(text: str) -> None:
    for each in (text, f"[{'1' * 30}, {text}]"):
        with pytest.raises(ValueError):
            loads(each.encode(errors="surrogatepass"))


def test_an_inexact_number_is_shown_as_written() -> None:
    (number,) = loads(b"[1e400]")
    assert isinstance(number, Inexact)
    assert repr(number) == "1e400"


def test_a_value_with_too_many_objects_is_refused() -> None:
    check_json([[]] * (MAX_JSON_PARTS - 1))
    values: list[object] = [[[]] * MAX_JSON_PARTS, {str(n): 1 for n in range(MAX_JSON_PARTS)}]
    for value in values:
        with pytest.raises(Exception, match="at most 100,000 objects, lists and names, not 100,001"):
            check_json(value)
