"""Attacks with expensive operations and bodies, while the same server serves another client.
tests/support/attacking.py checks what has to hold after each of them; `make bench TRIALS=attacks`
measures the delay of others."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.attacking import Target
from tests.support.making import at

NOT_VALID = {"GRAPHQL_VALIDATION_FAILED"}
NOT_PARSED = {"GRAPHQL_PARSE_FAILED"}
BAD_INPUT = {"BAD_USER_INPUT"}
BAD_REQUEST = {"BAD_REQUEST"}

CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
FILTERED = "query ($filter: RunFilter) { runs(filter: $filter) { totalCount } }"
AFTER = "query ($after: String) { runs(after: $after) { nodes { name } } }"
SPEC = """mutation ($spec: JSON) { createAction(input: {parentName: "a0", spec: $spec,
            id: {project: "ours", domain: "d", runName: "our-run", name: "bomb"}}) { created } }"""


def nested(inner: str, outer: str, times: int) -> str:
    """`inner` nested in `outer`, at its %, this many times."""
    for _ in range(times):
        inner = outer.replace("%", inner)
    return inner


DOCUMENTS = {
    "depth": (nested("id", "children { nodes { % } }", 40), NOT_VALID),
    "depth without end": ("runs { " * 30_000, BAD_REQUEST),
    "brackets": ("[" * 60_000, NOT_PARSED),
    "braces": ("{" * 60_000, NOT_PARSED),
    "lists": (f"runs(first: {'[' * 2000}{']' * 1900}) {{ totalCount }}", NOT_PARSED),
    "50,000 aliases": (" ".join(f"a{i}: __typename" for i in range(50_000)), BAD_REQUEST),
    "aliases up to the tokens": (" ".join(f"a{i}: __typename" for i in range(1_300)), NOT_VALID),
    "tokens": ("__typename " * 5_900, NOT_PARSED),
    "tokens below the limit": ("__typename " * 3_900, NOT_VALID),
    "one field a thousand times": ("runs { nodes { name } } " * 490, NOT_VALID),
    "one field with other arguments": (
        " ".join(f"runs(first: {i}) {{ totalCount }}" for i in range(390)),
        NOT_VALID,
    ),
    "unknown fields": (" ".join(f"x{i}" for i in range(3_900)), NOT_VALID),
    "unknown names in a literal": ("runs(filter: {" + "projct: 1 " * 1_200 + "}) { totalCount }", NOT_VALID),
    "directives": ("__typename " + "@skip(if: false) " * 560, NOT_VALID),
    "unknown directives": ("__typename " + "@x " * 1_900, NOT_VALID),
    "lines": ("x\n" * 3_900, NOT_VALID),
    "blank lines": ("\n" * 60_000 + " x y z", NOT_VALID),
    "commas": ("," * 60_000 + "__typename \x01", NOT_PARSED),
    "a comment": ("#" + "x" * 60_000, NOT_PARSED),
    "a name": ("x" * 60_000, NOT_VALID),
    "a number": (f"runs(first: {'9' * 60_000}) {{ totalCount }}", NOT_VALID),
    "escapes": (f'runs(after: "{chr(92)}u0041{chr(92)}u0000") {{ totalCount }}', NOT_VALID),
    "a cost": ("runs(first: 1000) { nodes { actions(first: 1000) { nodes { id } } } }", BAD_INPUT),
    "a cost without end": (
        nested(nested("id", "children(first: 1000) { nodes { % } }", 6), "actions { nodes { % } }", 1),
        BAD_INPUT,
    ),
    "introspection": (
        " ".join(f"a{i}: __schema {{ types {{ fields {{ name }} }} }}" for i in range(90)),
        NOT_VALID,
    ),
    "introspection in a circle": (
        nested(nested("name", "fields { type { % } }", 12), "__schema { types { % } }", 1),
        NOT_VALID,
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_documents_that_are_expensive_to_parse_are_refused(target: Target, name: str) -> None:
    text, expected = DOCUMENTS[name]
    answer = await target.execute(f"{{ {text} }}")
    assert answer.codes == expected, answer.body[:1000]
    assert len(answer.body) < 250_000


FRAGMENTS = {
    "doubling": "{ ...F0 } "
    + "".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }} " for i in range(100))
    + "fragment F100 on Query { a: __typename }",
    "each spreads all others": "{ ...F0 } "
    + "".join(
        f"fragment F{i} on Query {{ __typename {' '.join(f'...F{j}' for j in range(i + 1, 60))} }} "
        for i in range(60)
    ),
    "a circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "of itself": "{ ...A } fragment A on Query { runs { nodes { rootAction { ...A } } } ...A }",
    "a long chain": "{ ...F0 } "
    + "".join(f"fragment F{i} on Query {{ ...F{i + 1} }} " for i in range(400))
    + "fragment F400 on Query { __typename }",
    "many in fields": "{ "
    + "".join(f"runs {{ ...F{i} }} " for i in range(250))
    + "} "
    + "".join(f"fragment F{i} on RunConnection {{ totalCount }} " for i in range(250)),
    "variables": "query ("
    + "".join(f"$v{i}: Int " for i in range(200))
    + ") { ...F } fragment F on Query { "
    + "".join(f"runs(first: $v{i}) {{ totalCount }} " for i in range(200))
    + "}",
}


@pytest.mark.parametrize("name", FRAGMENTS)
async def test_multiplying_fragments_are_refused(target: Target, name: str) -> None:
    answer = await target.execute(FRAGMENTS[name])
    assert answer.codes == NOT_VALID, answer.body[:1000]


def identified(number: int, **rest: Any) -> dict[str, Any]:
    """An action as input, in a run of its own."""
    return {"id": {"project": "ours", "domain": "d", "runName": "batch", "name": f"a{number}"}, **rest}


VARIABLES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "a list": (FILTERED, {"filter": {"phases": ["RUNNING"] * 500_000}}, BAD_INPUT),
    "wrong items": (FILTERED, {"filter": {"phases": ["RUNING"] * 5_000}}, BAD_INPUT),
    "labels": (FILTERED, {"filter": {"labels": [{"key": f"k{i}"} for i in range(10_000)]}}, BAD_INPUT),
    "more labels than a filter has": (
        FILTERED,
        {"filter": {"labels": [{"key": f"k{i}", "value": "%"} for i in range(1_000)]}},
        BAD_INPUT,
    ),
    "as many labels as a filter has": (
        FILTERED,
        {"filter": {"labels": [{"key": f"k{i}", "value": "%"} for i in range(100)]}},
        set(),
    ),
    "unknown names": (FILTERED, {"filter": {f"projct{i}": 1 for i in range(90_000)}}, BAD_INPUT),
    "a long search": (FILTERED, {"filter": {"search": "%_" * 500_000}}, set()),
    "a name that is too long": (FILTERED, {"filter": {"project": "x" * 7_000_000}}, set()),
    "other variables": ("{ __typename }", {f"v{i}": i for i in range(95_000)}, set()),
    "a batch that is too long": (CREATE, {"input": [identified(i) for i in range(6_000)]}, BAD_INPUT),
    "a batch with mistakes": (CREATE, {"input": [identified(i, colour=1) for i in range(5_000)]}, BAD_INPUT),
    "a batch of nothing": (CREATE, {"input": [{}] * 5_000}, BAD_INPUT),
    "labels of an action": (
        CREATE,
        {"input": [identified(0, labels=[{"key": f"k{i}", "value": ""} for i in range(5_000)])]},
        BAD_INPUT,
    ),
    "dependencies": (CREATE, {"input": [identified(0, dependsOn=["x"] * 5_000)]}, BAD_INPUT),
    "deep JSON": (SPEC, {"spec": json.loads("[" * 90 + "]" * 90)}, BAD_INPUT),
    "wide JSON": (SPEC, {"spec": {f"k{i}": i for i in range(95_000)}}, set()),
    "a cursor": (AFTER, {"after": "A" * 4_000_000}, BAD_INPUT),
    "a cursor that nests": (AFTER, {"after": base64.b64encode(b"[" * 1_000_000).decode()}, BAD_INPUT),
    "a cursor with a number": (
        AFTER,
        {"after": base64.b64encode(b"[%b]" % (b"9" * 1_000_000)).decode()},
        BAD_INPUT,
    ),
}


@pytest.mark.parametrize("name", VARIABLES)
async def test_expensive_variables_are_refused_or_harmless(target: Target, name: str) -> None:
    query, variables, expected = VARIABLES[name]
    answer = await target.execute(query, **variables)
    assert answer.codes == expected, answer.body[:1000]
    assert len(answer.body) < 100_000


QUERY = b'{"query":"query ($v: JSON) { __typename }","variables":{"v":%b}}'
BODIES = {
    "a million names": (QUERY % (b"{%b}" % b",".join(b'"k%d":1' % i for i in range(650_000))), BAD_REQUEST),
    "lists": (QUERY % (b"[%b]" % b",".join([b"[]"] * 2_500_000)), BAD_REQUEST),
    "deep": (QUERY % (b"[" * 1_000_000 + b"]" * 1_000_000), BAD_REQUEST),
    "as many objects as are allowed": (QUERY % (b"[%b]" % b",".join([b'{"a":1}'] * 49_000)), NOT_VALID),
    "as deep as is allowed": (QUERY % (b"[" * 97 + b"]" * 97), NOT_VALID),
    "numbers": (QUERY % (b"[%b]" % b",".join([b"1e308"] * 1_000_000)), NOT_VALID),
    "a long number": (QUERY % (b"9" * 8_000_000), BAD_REQUEST),
    "a precise number": (QUERY % (b"0." + b"1" * 8_000_000), NOT_VALID),
    "an exponent": (QUERY % b"1e99999999", NOT_VALID),
    "not a number": (QUERY % b"NaN", BAD_REQUEST),
    "infinity": (QUERY % b"-Infinity", BAD_REQUEST),
    "names twice": (QUERY % b'{"a":1,"a":2}', NOT_VALID),
    "parameters twice": (QUERY[:-1] % b"1" + b',"query":"{ runs { totalCount } }"}', BAD_REQUEST),
    "not UTF-8": (QUERY % b'"\xff\xfe\xc0\xaf"', BAD_REQUEST),
    "half of a surrogate pair": (QUERY % b'"\\ud800"', BAD_REQUEST),
    "a zero": (QUERY % b'"\\u0000"', NOT_VALID),
    "nothing": (b"", BAD_REQUEST),
    "blanks": (b" " * 8_000_000, BAD_REQUEST),
    "a batch of operations": (b"[%b]" % b",".join([b'{"query":"{ __typename }"}'] * 1_000), BAD_REQUEST),
}


@pytest.mark.parametrize("name", BODIES)
async def test_expensive_bodies_are_refused(target: Target, name: str) -> None:
    body, expected = BODIES[name]
    answer = await target.post(body)
    assert answer.codes == expected, answer.body[:1000]


async def test_a_body_that_is_too_large_is_not_read(target: Target) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b" " * 100_000

    for answer in await asyncio.gather(*(target.post(endless()) for _ in range(5))):  # type: ignore[arg-type]
        assert (answer.status, answer.codes) == (413, {"PAYLOAD_TOO_LARGE"})
    answer = await target.post(b" " * (8 * 1024 * 1024 + 1))
    assert (answer.status, answer.codes) == (413, {"PAYLOAD_TOO_LARGE"})


async def test_many_expensive_requests_delay_no_other_client(target: Target) -> None:
    bombs = [*(f"{{ {text} }}" for text, _ in DOCUMENTS.values()), *FRAGMENTS.values()]
    answers = await asyncio.gather(*(target.execute(bomb) for bomb in bombs))
    assert all(answer.codes for answer in answers)


async def test_large_valid_batches_are_written(target: Target) -> None:
    batch = [identified(number, parentName="a0" if number else None) for number in range(5_000)]
    assert (await target.execute(CREATE, input=batch)).json()["data"] == {"createActions": {"created": 5_000}}
    events = [
        {"action": each["id"], "attempt": 1, "phase": "RUNNING", "occurredAt": at(0).isoformat()}
        for each in batch
    ]
    query = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
    assert (await target.execute(query, events=events)).json()["data"] == {
        "insertEvents": {"inserted": 5_000}
    }
