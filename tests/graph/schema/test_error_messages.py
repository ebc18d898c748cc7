"""Errors in lists: their summary, and messages of a requested length."""

import textwrap
from typing import Any

import pytest

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from repo import ActionError, ActionPhase, ActionRepo, ErrorKind, Rows
from tests.support.client import GraphQLClient
from tests.support.making import action, event, make_run

SCHEMA = build_schema(Limits(depth=30, aliases=1000, tokens=20000, cost=10**30, page=1000))

PYTHON = """The task failed.
Traceback (most recent call last):
  File "/app/load.py", line 3, in <module>
    load(rows)
KeyError: 'region'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/load.py", line 5, in <module>
    raise LoadError("row 17") from None
app.LoadError: row 17
has no region
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/app/load.py", line 9, in <module>
  |     raise ExceptionGroup("two shards failed", errors)
  | ExceptionGroup: two shards failed (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/load.py", line 3, in load
    | KeyError: 'region'
    +---------------- 2 ----------------
    | ValueError: row 17
    +------------------------------------
"""
JAVA = "\njava.lang.IllegalStateException: row 17\r\n\tat app.Load.main(Load.java:3)\nCaused by: x\n"


async def fail(repository: ActionRepo, message: str) -> None:
    await make_run(repository)
    error = ActionError(ErrorKind.USER, message, "E1")
    await repository.insert_events([event(phase=ActionPhase.FAILED, error=error)])
    await repository.update_action_phase(action(), ActionPhase.FAILED, 1)


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        ("row 17", "row 17"),
        ("", ""),
        (" \n \n", ""),
        ("  first \n second", "first"),
        (JAVA, "java.lang.IllegalStateException: row 17"),
        (PYTHON, "app.LoadError: row 17"),
        (textwrap.indent(PYTHON, "    "), "app.LoadError: row 17"),
        (GROUP, "ExceptionGroup: two shards failed (2 sub-exceptions)"),
        # The end of the traceback is missing: its first line is the most informative one.
        (PYTHON[: PYTHON.index("KeyError")], "The task failed."),
        ("é" * 300, "é" * 300),
        ("é" * 301, "é" * 299 + "…"),
        ("x" * 100_000 + "\nlast", "x" * 299 + "…"),
    ],
)
async def test_the_summary_of_an_error_is_its_most_informative_line(
    client: GraphQLClient, repository: ActionRepo, message: str, summary: str
) -> None:
    await fail(repository, message)
    body = await client.execute("{ runs { nodes { error { summary message } } } }")
    assert body == {"data": {"runs": {"nodes": [{"error": {"summary": summary, "message": message}}]}}}


@pytest.mark.parametrize(
    ("most", "found"),
    [(1, "…"), (4, "abc…"), (9, "abc … xyz"), (10, "abcd … xyz"), (25, "abcdefghijk … pqrstuvwxyz")]
    + [(26, "abcdefghijklmnopqrstuvwxyz"), (2**31 - 1, "abcdefghijklmnopqrstuvwxyz")],
)
async def test_a_message_is_cut_to_the_requested_length(
    client: GraphQLClient, repository: ActionRepo, most: int, found: str
) -> None:
    await fail(repository, "abcdefghijklmnopqrstuvwxyz")
    literal = await client.execute(f"{{ runs {{ nodes {{ error {{ message(maxLength: {most}) }} }} }} }}")
    variable = await client.execute(
        "query ($most: Int) { runs { nodes { error { message(maxLength: $most) } } } }", {"most": most}
    )
    assert literal == variable == {"data": {"runs": {"nodes": [{"error": {"message": found}}]}}}
    assert len(found) <= most


@pytest.mark.parametrize("most", [0, -1])
async def test_an_invalid_maximum_length_is_refused(
    client: GraphQLClient, repository: ActionRepo, most: int
) -> None:
    await fail(repository, "no")
    body = await client.execute(f"{{ runs {{ nodes {{ error {{ message(maxLength: {most}) }} }} }} }}")
    assert body["errors"][0]["message"] == f"maxLength must be at least 1, not {most}"
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_list_with_summaries_of_errors_is_encoded_from_rows(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail(repository, PYTHON)
    pages: list[Any] = []

    read_page = repository.runs.page

    async def record_page(*arguments: Any, **options: Any) -> Any:
        pages.append(await read_page(*arguments, **options))
        return pages[-1]

    monkeypatch.setattr(repository.runs, "page", record_page)
    context = Context(repository, ANONYMOUS, 1000)
    query = "{ runs { nodes { error { code summary message(maxLength: 20) } } } }"
    answer = await Engine(SCHEMA).answer(OperationRequest(query), context)
    assert b'"code":"E1","summary":"app.LoadError: row 17"' in answer.body
    (page,) = pages
    assert isinstance(page.items, Rows)
    assert page.items.raw is not None
