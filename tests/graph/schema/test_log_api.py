"""The log of an attempt over GraphQL."""

from typing import Any

import pytest

from repo import ActionPhase, open_repository
from tests.support.client import GraphQLClient
from tests.support.making import event, make_run

A0 = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
APPEND = """mutation ($input: AppendLogInput!) { appendLog(input: $input) {
  appended repeated missing cut nextOffset firstNumber lastNumber isTruncated } }"""
PAGE = """query ($action: ActionIdentifierInput!, $after: BigInt, $first: Int, $before: BigInt, $last: Int,
    $search: String, $levels: [LogLevel!], $stream: String) {
  logLines(action: $action, attempt: 1, after: $after, first: $first, before: $before, last: $last,
      search: $search, levels: $levels, stream: $stream) {
    lines { number text } start end hasMore } }"""


async def call(client: GraphQLClient, query: str, **variables: Any) -> Any:
    body = await client.execute(query, variables)
    assert "errors" not in body, body["errors"]
    (value,) = body["data"].values()
    return value


async def refusal(client: GraphQLClient, query: str, **variables: Any) -> tuple[str, str]:
    (only,) = (await client.execute(query, variables))["errors"]
    return only["extensions"]["code"], only["message"]


async def append(client: GraphQLClient, *texts: str, **rest: Any) -> Any:
    lines = [{"text": text, "at": "2026-01-01T12:00:00Z", "level": "ERROR"} for text in texts]
    return await call(client, APPEND, input={"action": A0, "lines": lines, **rest})


@pytest.fixture
async def logged(client: GraphQLClient, database_url: str) -> GraphQLClient:
    async with open_repository(database_url) as repository:
        await make_run(repository)
        await repository.insert_events([event(), event(phase=ActionPhase.RUNNING, attempt=2)])
    return client


async def test_lines_are_appended_and_read(logged: GraphQLClient) -> None:
    assert await append(logged, "one", "two", offset=0) == {
        "appended": 2, "repeated": 0, "missing": 0, "cut": 0, "nextOffset": 2,
        "firstNumber": 1, "lastNumber": 2, "isTruncated": False,
    }  # fmt: skip
    assert (await append(logged, "two", "five", offset=4))["missing"] == 2
    page = await call(
        logged,
        """query ($action: ActionIdentifierInput!) { logLines(action: $action, attempt: 1) {
             lines { number stream at level text } start end hasMore lineCount byteCount firstError
             omitted { first last reason } } }""",
        action=A0,
    )
    texts = {1: "one", 2: "two", 5: "two", 6: "five"}
    assert page == {
        "lines": [
            {"number": n, "stream": "stdout", "at": "2026-01-01T12:00:00Z", "level": "ERROR", "text": text}
            for n, text in texts.items()
        ],
        "start": 1,
        "end": 6,
        "hasMore": False,
        "lineCount": 6,
        "byteCount": 17,
        "firstError": 1,
        "omitted": [{"first": 3, "last": 4, "reason": "NOT_RECEIVED"}],
    }


async def test_pages_go_forward_and_backward(logged: GraphQLClient) -> None:
    await append(logged, *(f"line {n}" for n in range(1, 251)))

    async def numbers(**arguments: Any) -> tuple[list[int], int, int, bool]:
        page = await call(logged, PAGE, action=A0, **arguments)
        return [each["number"] for each in page["lines"]], page["start"], page["end"], page["hasMore"]

    assert await numbers() == ([*range(1, 101)], 1, 100, True)
    assert await numbers(after=100, first=2) == ([101, 102], 101, 102, True)
    assert await numbers(last=2) == ([249, 250], 249, 250, True)
    assert await numbers(before=3) == ([1, 2], 1, 2, False)
    assert await numbers(after=240, before=244, last=9) == ([241, 242, 243], 241, 243, False)
    assert await numbers(after=250) == ([], 251, 250, False)
    assert await numbers(search="LINE 25", first=9) == ([25, 250], 1, 250, False)
    assert await numbers(stream="stderr") == ([], 1, 250, False)
    assert await numbers(levels=["DEBUG"]) == ([], 1, 250, False)


async def test_what_is_invalid_is_refused(logged: GraphQLClient) -> None:
    for variables, message in (
        ({"first": 1001}, "first must be at most 1000"),
        ({"last": -1}, "last must not be negative"),
        ({"first": 1, "last": 1}, "exclude each other"),
        ({"search": "x" * 1001}, "at most 1000"),
    ):
        code, text = await refusal(logged, PAGE, action=A0, **variables)
        assert code == "BAD_USER_INPUT"
        assert message in text
    missing = {**A0, "name": "missing"}
    assert (await refusal(logged, PAGE, action=missing))[0] == "NOT_FOUND"
    line = {"text": "x"}
    assert (await refusal(logged, APPEND, input={"action": missing, "lines": [line]}))[0] == "NOT_FOUND"
    for odd in ({"action": {**A0, "name": "a\0b"}}, {"action": A0, "stream": "a\0b"}):
        code, text = await refusal(logged, APPEND, input={**odd, "lines": [line]})
        assert (code, "\0" in text) == ("BAD_USER_INPUT", False)
    early = {"text": "x", "at": "9999-01-01T00:00:00Z"}
    code, text = await refusal(logged, APPEND, input={"action": A0, "lines": [line, early]})
    assert (code, "lines[1]" in text) == ("BAD_USER_INPUT", True)


async def test_characters_that_cannot_be_stored_are_replaced(logged: GraphQLClient) -> None:
    await append(logged, "before", "a\0b\0", "after")
    page = await call(logged, PAGE, action=A0)
    assert [each["text"] for each in page["lines"]] == ["before", "a\ufffdb\ufffd", "after"]


async def test_an_attempt_has_a_summary_of_its_log(logged: GraphQLClient) -> None:
    await append(logged, "one", "two", stream="stderr")
    action = await call(
        logged,
        """query ($action: ActionIdentifierInput!) { action(id: $action) { attemptHistory { attempt
             logSummary { lineCount byteCount firstError isTruncated streams { name nextOffset } } } } }""",
        action=A0,
    )
    first, second = action["attemptHistory"]
    assert second["logSummary"] is None
    assert first["logSummary"] == {
        "lineCount": 2, "byteCount": 8, "firstError": 1, "isTruncated": False,
        "streams": [{"name": "stderr", "nextOffset": 2}],
    }  # fmt: skip
