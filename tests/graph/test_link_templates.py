"""Links to other systems by templates: their fields, encoding, filters and mistakes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.documents import Limits
from graph.link_templates import parse_links
from graph.schema.build import build_schema
from repo import ActionRepo, Label, TaskIdentifier
from tests.graph.schema.test_statements import counted
from tests.support.making import RUN, T0, new

ENGINE = Engine(build_schema(Limits(depth=15, aliases=10, tokens=1000, cost=10**6, page=1000)))
VALUES: dict[str, Any] = {
    "project": "etl",
    "domain": "prod",
    "run": "r/1 ü&x=1",
    "action": "a0",
    "task": "load",
    "version": "v1",
    "function": None,
    "environment": "",
    "attempt": 2,
    "createdAt": T0,
    "startedAt": T0 + timedelta(milliseconds=1500),
    "endedAt": None,
    "labels": {"commit": "9f3c", "team": ""},
}


def urls(*templates: dict[str, str], kind: Any = "run", **values: Any) -> list[str]:
    links = parse_links(json.dumps([{"name": "x", **each} for each in templates]))
    return [each.url for each in links.links(kind, VALUES | values)]


def one(url: str, **values: Any) -> str | None:
    return next(iter(urls({"url": url}, **values)), None)


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://x.test/d?run={run}", "https://x.test/d?run=r%2F1%20%C3%BC%26x%3D1"),
        ("https://x.test/{project}/{domain}/{action}#{attempt}", "https://x.test/etl/prod/a0#2"),
        ("https://x.test/c/{labels.commit}", "https://x.test/c/9f3c"),
        (
            "https://x.test/?from={startedAt.ms}&to={endedAt.ms|now}",
            "https://x.test/?from=1767268801500&to=now",
        ),
        ("https://x.test/?at={createdAt}", "https://x.test/?at=2026-01-01T12%3A00%3A00.000Z"),
        ("mailto:team@x.test?subject={run}", "mailto:team@x.test?subject=r%2F1%20%C3%BC%26x%3D1"),
        ("http://x.test:8080", "http://x.test:8080"),
        ("https://x.test/{function|none}", "https://x.test/none"),
        ("https://x.test/{function|}", "https://x.test/"),
        *(
            (f"https://x.test/{{{name}}}", None)
            for name in ("endedAt", "environment", "labels.team", "labels.x")
        ),
    ],
)
def test_fields_are_encoded_and_a_missing_one_hides_the_link(template: str, url: str | None) -> None:
    assert one(template) == url


def test_a_value_cannot_be_a_step_in_a_path() -> None:
    assert one("https://x.test/runs/{run}/logs", run="..") is None
    assert one("https://x.test/runs/{run}/logs", run="...") == "https://x.test/runs/.../logs"


def test_links_are_for_runs_actions_projects_and_tasks() -> None:
    base = {"url": "https://x.test/"}
    for filter, run, action in (
        ({}, 1, 1),
        ({"on": "run"}, 1, 0),
        ({"on": "action"}, 0, 1),
        ({"project": "etl", "task": "load"}, 1, 1),
        ({"project": "web"}, 0, 0),
        ({"task": "train"}, 0, 0),
    ):
        assert len(urls({**base, **filter})) == run
        assert len(urls({**base, **filter}, kind="action")) == action


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"url": "ftp://x.test/"}, "link 1: url must begin with"),
        ({"url": "https://{project}.test/"}, "HOST and ADDRESS have no fields"),
        ({"url": "//x.test/"}, "link 1: url must begin with"),
        ({"url": "https://x.test/a b"}, "have no blanks"),
        ({"url": "https://me:secret@x.test/"}, "without a user and a password"),
        ({"url": "https://x.test:port/"}, "valid host"),
        ({"url": "https://x.test/{rnu}"}, "names {rnu}, which is none of project"),
        ({"url": "https://x.test/{labels.}"}, "names {labels.}"),
        ({"url": "https://x.test/{run"}, "a brace that is no field"),
        ({"url": "https://x.test/", "name": ""}, "name must have 1 to 60"),
        ({"url": "https://x.test/", "on": "task"}, "at 0.on: literal_error"),
        ({"url": "https://x.test/", "projects": "x"}, "at 0.projects: unexpected_keyword"),
    ],
)
def test_a_mistake_is_named_when_the_server_starts(template: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_links(json.dumps([{"name": "x", **template}]))
    assert message in str(error.value)
    assert "secret" not in str(error.value)


def test_links_are_few() -> None:
    with pytest.raises(ValueError, match="has 21 links; at most 20"):
        parse_links(json.dumps([{"name": "x", "url": "https://x.test"}] * 21))
    assert parse_links("").links("run", VALUES) == []


QUERY = """{
  runs { nodes { links { name url } rootAction { links { url } } } }
  actions(run: {project: "etl", domain: "production", name: "nightly-1"}) { nodes { name links { url } } }
}"""


async def test_runs_and_actions_have_links_whose_labels_are_read_once(repository: ActionRepo) -> None:
    task = TaskIdentifier("etl", "production", "load", "v7")
    root = new(task=task, labels=(Label("commit", "9f3c"),), created_at=datetime(2026, 1, 1, tzinfo=UTC))
    await repository.actions.create([root, *(new(f"t{n}", "a0") for n in range(9))])
    links = parse_links(
        json.dumps(
            [
                {"name": "Code", "url": "https://x.test/{labels.commit}"},
                {"name": "Task", "url": "https://x.test/{task}/{version}/{run}/{action}"},
            ]
        )
    )
    context = Context(repository, ANONYMOUS, 1000, link_templates=links)
    with counted(repository.database) as statements:
        answer = await ENGINE.answer(OperationRequest(QUERY), context)
    body = orjson.loads(answer.body)
    assert "errors" not in body, body
    (run,) = body["data"]["runs"]["nodes"]
    of_task = f"https://x.test/load/v7/{RUN.name}/a0"
    assert run["links"] == [
        {"name": "Code", "url": "https://x.test/9f3c"},
        {"name": "Task", "url": of_task},
    ]
    assert run["rootAction"]["links"] == [{"url": "https://x.test/9f3c"}, {"url": of_task}]
    by_name = {each["name"]: each["links"] for each in body["data"]["actions"]["nodes"]}
    assert len(by_name) == 10
    assert all(by_name[f"t{n}"] == [{"url": "https://x.test/9f3c"}] for n in range(9))
    assert len(statements) <= 5, statements
