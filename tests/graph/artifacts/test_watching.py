"""Subscriptions see what is stored, and a page of actions costs one statement for its artifacts."""

import asyncio
from contextlib import aclosing
from typing import Any

import orjson

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest, encode, formatted
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from repo import ActionRepo, ArtifactKind, NewArtifact
from tests.graph.schema.test_statements import counted
from tests.support.making import RUN, action, make_run

ENGINE = Engine(build_schema(Limits(depth=15, aliases=10, tokens=1000, cost=10**6, page=1000)))
WATCH = """subscription { actions(run: {project: "etl", domain: "production", name: "nightly-1"}) {
  kind actions { name artifacts { name json url } }
} }"""
READ = """{ run(id: {project: "etl", domain: "production", name: "nightly-1"}) {
  actions(first: 50) { nodes { name artifacts(last: 2) { name size url json text } } }
} }"""


def made(name: str, of: str) -> NewArtifact:
    return NewArtifact(action(of), 1, ArtifactKind.OUTPUTS, name, "application/json")


async def test_a_subscription_to_actions_sends_new_artifacts(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    stream = await ENGINE.stream(OperationRequest(WATCH), Context(repository, ANONYMOUS, 1000))
    async with asyncio.timeout(30), aclosing(stream) as results:
        async for result in results:
            assert not result.errors
            frame: dict[str, Any] = orjson.loads(encode(formatted(result)))["data"]["actions"]
            if frame["kind"] == "SYNCED":
                await repository.artifacts.store(made("x", "b"), b'{"a": [1]}')
            elif frame["kind"] == "CHANGE":
                break
    (changed,) = frame["actions"]
    (stored,) = changed["artifacts"]
    assert (changed["name"], stored["name"], stored["json"]) == ("b", "x", {"a": [1]})
    assert RUN == action("b").run


async def test_the_artifacts_of_a_page_are_one_statement(repository: ActionRepo) -> None:
    await make_run(repository, **{f"t{number}": "a0" for number in range(30)})
    cost = []
    for number in range(30):
        for name in ("x", "y", "z"):
            await repository.artifacts.store(made(name, f"t{number}"), b'{"n": 1}')
        if number % 10 == 0:
            with counted(repository.database) as statements:
                answer = await ENGINE.answer(OperationRequest(READ), Context(repository, ANONYMOUS, 1000))
            body = orjson.loads(answer.body)
            assert "errors" not in body, body
            nodes = body["data"]["run"]["actions"]["nodes"]
            of_it = [each["artifacts"] for each in nodes if each["artifacts"]]
            assert len(of_it) == number + 1
            assert all([each["json"] for each in some] == [{"n": 1}] * 2 for some in of_it)
            cost.append(len(statements))
    assert cost[0] == cost[-1] <= 5, cost
