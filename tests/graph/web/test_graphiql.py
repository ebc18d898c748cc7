"""GraphiQL: its page, files and examples."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette
from starlette.routing import Mount

import ingest.client
from graph.app import create_app
from graph.settings import Settings
from graph.web import ui
from ingest.demo.scenarios import SCENARIOS, plan_scenario
from ingest.executor import Executor
from ingest.history import write_history
from repo import migrate
from tests import ROOT
from tests.support.browser import find_chromium
from tests.support.client import GraphQLClient
from tests.support.serving import run_node, serving
from tests.support.toy import toy_app

EXAMPLES = sorted((ROOT / "frontend" / "graphiql" / "page" / "examples").glob("*.graphql"))
NAMES = [example.stem for example in EXAMPLES]
HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

CREATE = "mutation ($id: ActionIdentifierInput!) { createAction(input: {id: $id}) { created } }"
ABORT = "mutation ($id: RunIdentifierInput!) { abortRun(input: {id: $id}) { requested } }"


@pytest.fixture
async def toy() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(toy_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def fill(app: Starlette) -> None:
    """A run of each scenario of the demo, one that is running, and one with an unconfirmed abort."""
    api = ingest.client.GraphQLClient("http://localhost", transport=httpx2.ASGITransport(app))
    async with api:
        for seed, scenario in enumerate(SCENARIOS):
            plan = plan_scenario(scenario, seed, began_at=datetime(2026, 1, 1, tzinfo=UTC))
            await write_history(Executor(api), plan, lambda done, total: None)
        place = {"project": "demo", "domain": "development"}
        for run in ("going-on", "aborted"):
            await api.execute(CREATE, {"id": {**place, "runName": run, "name": "root"}})
        await api.execute(ABORT, {"id": {**place, "name": "aborted"}})


async def test_graphiql_may_load_nothing_from_other_hosts(toy: httpx2.AsyncClient) -> None:
    response = await toy.get("/graphql", headers=HTML)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "http" not in policy
    assert "unsafe" not in policy
    nonce = re.search(r"style-src 'self' 'nonce-([^']+)';", policy)
    assert nonce is not None
    assert f'nonce="{nonce[1]}"' in response.text
    assert "<script>" not in response.text
    assert 'href="login?return_to=graphql"' in response.text
    addresses = re.findall(r'<(?:link|script)[^>]*(?:src|href)="([^"]*)"', response.text)
    assert len(addresses) == 9
    for address in addresses:
        # Relative, so that the page works behind a proxy that puts it elsewhere.
        assert re.fullmatch(r"graphiql/[\w-]+\.\w+", address)
        assert (await toy.get(f"/{address}")).status_code == 200


async def test_files_are_revalidated(toy: httpx2.AsyncClient) -> None:
    first = await toy.get("/graphiql/graphiql.js")
    again = await toy.get("/graphiql/graphiql.js", headers={"if-none-match": first.headers["etag"]})
    assert first.headers["cache-control"] == "no-cache"
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


async def test_files_are_gzipped_for_browsers_that_accept_it(toy: httpx2.AsyncClient) -> None:
    packed = await toy.get("/graphiql/graphiql.js", headers={"accept-encoding": "gzip, br"})
    plain = await toy.get("/graphiql/graphiql.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert packed.content == plain.content
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert plain.headers["content-type"].startswith("text/javascript")
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


async def test_missing_files_are_not_found(toy: httpx2.AsyncClient) -> None:
    for path in ("nothing.js", "../http.py", "%2e%2e/%2e%2e/http.py", ""):
        assert (await toy.get(f"/graphiql/{path}")).status_code == 404, path


@pytest.mark.parametrize("path", ["/graphql?query={hello}", "/graphql?query={hello}&variables={}"])
async def test_a_browser_with_a_query_gets_its_result(toy: httpx2.AsyncClient, path: str) -> None:
    response = await toy.get(path, headers=HTML)
    assert response.json() == {"data": {"hello": "Hello, world"}}


async def test_clients_that_do_not_accept_html_do_not_get_graphiql(toy: httpx2.AsyncClient) -> None:
    response = await toy.get("/graphql", headers={"accept": "*/*"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_without_graphiql_a_browser_gets_an_error() -> None:
    transport = httpx2.ASGITransport(toy_app(graphiql=False))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.get("/graphql", headers=HTML)
    assert response.status_code == 400
    assert "`query` is missing" in response.text


async def test_a_missing_build_is_explained(
    toy: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ui, "GRAPHIQL", tmp_path)
    response = await toy.get("/graphql", headers=HTML)
    assert response.status_code == 503
    assert "make install" in response.text
    assert "npm run build" in response.text


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_examples_are_valid_and_documented(example: Path) -> None:
    text = example.read_text()
    assert validate(build_schema((ROOT / "schema.graphql").read_text()), parse(text)) == []
    assert re.match(r"(# .+\n)+(query|mutation|subscription) [A-Z]\w+", text)
    assert all(len(line) <= 70 for line in text.splitlines()), "a longer line is cut off in the editor"


async def test_every_example_returns_data_of_the_demo(app: Starlette, client: GraphQLClient) -> None:
    await fill(app)
    results = {}
    for example in EXAMPLES:
        if example.stem == "9-watch-runs":
            continue  # for which HTTP is no way; it runs in a browser, in test_websocket_clients.py
        result = await client.execute(example.read_text())
        assert "errors" not in result, (example.name, result["errors"])
        results[example.stem] = result["data"]

    def runs(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = results[name]["runs"]["nodes"]
        return found

    assert len(runs("1-recent-runs")) == 5
    assert runs("2-one-run-in-detail")[0]["actions"]["nodes"][0]["name"] == "root"
    assert [run["name"] for run in runs("3-progress")] == ["going-on"]
    assert runs("4-failures")[0]["actions"]["nodes"][0]["error"]
    assert results["5-page-by-page"]["runs"]["pageInfo"]["hasNextPage"]
    assert len(runs("6-search")) == 1
    assert results["7-pending-aborts"]["pendingAborts"]["nodes"][0]["runName"] == "aborted"
    assert results["8-abort-dry-run"]["abortRuns"]["matched"] == 1
    assert results["8-abort-dry-run"]["abortRuns"]["requested"] == 0


async def test_the_paging_example_continues_from_the_cursor(app: Starlette, client: GraphQLClient) -> None:
    await fill(app)
    query = next(example for example in EXAMPLES if example.stem == "5-page-by-page").read_text()
    names: list[str] = []
    after = None
    for _ in range(2):
        page = (await client.execute(query, {"after": after}))["data"]["runs"]
        names += [run["name"] for run in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert len(set(names)) == 6
    assert page["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize("prefix", ["", "/team/rungraph"], ids=["at the root", "behind a prefix"])
async def test_graphiql_works_in_a_browser_without_any_outside_request(prefix: str, tmp_path: Path) -> None:
    chromium = find_chromium()
    assert chromium, "Chromium is not installed: run `python tests/prepare.py`"
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}")
    await migrate(settings.database_url)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await fill(app)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app.router.lifespan_context(app):
            yield

    with serving(Starlette(routes=[Mount(prefix, app)], lifespan=lifespan)) as address:
        seen = json.loads(run_node("graphiql.js", f"{address}{prefix}/graphql", chromium))

    assert seen["complaints"] == []
    assert {urlsplit(url)._replace(path="", query="").geturl() for url in seen["requests"]} == {address}
    assert all(urlsplit(url).path.startswith(f"{prefix}/graph") for url in seen["requests"])
    assert seen["title"] == "Rungraph API"
    assert len(seen["tabs"]) == len(EXAMPLES)
    assert seen["tabs"][0] == "RecentRuns"
    assert json.loads(seen["result"])["data"]["runs"]["totalCount"] == len(SCENARIOS) + 2
    assert "The runs, newest first by default" in seen["documentation"]
    assert "pendingAborts" in seen["explorer"]
    assert seen["isDark"]
