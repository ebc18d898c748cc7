"""Background loops: each is restarted after an unexpected error, and /readyz reports it meanwhile."""

import ast
import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from broadcaster._base import Subscriber
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

import repo.supervision
from graph.aborts.reconciler import Reconciler
from graph.app import create_app
from graph.auth import authentication
from graph.auth.authentication import Authenticator
from graph.settings import Settings
from repo import FULL_ACCESS, Action, CredentialKind, Frame, Supervisor
from repo.watch.bus import PostgresBackend
from repo.watch.hub import Hub
from tests.project.test_architecture import MODULES
from tests.support.client import GraphQLClient
from tests.support.databases import PostgresDatabases, create_migrated
from tests.support.making import (
    ADA,
    RUN,
    make_run,
    new,
)
from tests.support.notifications import terminate_listeners
from tests.support.waiting import until

SECONDS = 30

UNSUPERVISED = {
    "graph.observability.health": "one check of the database, for a probe that waits for it",
    "graph.cli.demo": "the server itself, and the demo beside it: where one ends, so does the other",
    "graph.execution.row_completion": "ends with the operation",
    "graph.auth.authentication": "one question to the database, for those who wait for it",
    "graph.transport.shared_subscriptions": "ends with the stream, whose subscribers are told why",
    "graph.schema.loaders": "ends with the operation",
    "graph.auth.oidc": "reads the keys once; who needs them starts it again",
    "graph.aborts.reconciler": "one call of an executor; the abort is due again where it fails",
    "graph.transport.server": "closes the remaining connections, once, when the server stops",
    "graph.limits.rate_limits": "asks the storage once; the next operation does it again",
    "client.rungraph.reading.streaming": "one read of a connection; the next caller awaits it",
    "graph.cli.remote.connection": "a command line; ends with it",
    "graph.cli.remote.watch": "a command line; ends with it",
    "graph.transport.websocket": "closes one connection",
    "graph.cli.workers": "kills who is late when the server stops, once",
    "ingest.demo.executor": "part of an executor; prints its errors and restarts",
    "repo.sql.database": "one transaction",
    "repo.sql.postgres_pool": "one connection, dropped if it does not answer",
    "repo.actions.activity": "one transaction; the next reports of a run note it again",
    "repo.artifacts.objects": "one transaction, to its end though the upload was cancelled",
    "repo.actions.group_commit": "the transactions of those who wait for them",
    "repo.sql.postgres": "one attempt to connect",
    "repo.supervision": "all others",
    "repo.watch.row_streams": "the next page of a snapshot",
}
"""Modules that start tasks, and why these need no supervisor."""


def starts_tasks(source: str) -> bool:
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in called}
    return bool(names & {"create_task", "ensure_future", "TaskGroup"})


def test_every_task_without_a_supervisor_is_justified() -> None:
    found = {name for name, path in MODULES.items() if starts_tasks(path.read_text())}
    assert found == set(UNSUPERVISED)


@pytest.fixture
def database_url(postgres_server_url: str) -> Iterator[str]:
    databases = PostgresDatabases(postgres_server_url)
    url = create_migrated(databases)
    yield url
    databases.drop(url)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repo.supervision, "ALIVE_AFTER", 0.2)
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", 0.1)


async def test_a_failed_loop_is_restarted_and_counted() -> None:
    supervisor, turns = Supervisor(), 0
    goes_on = asyncio.Event()

    async def work() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise ValueError("unforeseen")
        if turns == 2:
            # It awaits a cancelled task, which looks like its own cancellation.
            waiting = asyncio.get_running_loop().create_future()
            waiting.cancel()
            await waiting
        await goes_on.wait()

    assert supervisor.failed == []
    task = supervisor.start("loop", work)
    await until(lambda: turns == 1)
    await until(lambda: supervisor.failed == ["loop"])
    await until(lambda: turns == 3 and supervisor.failed == [])
    assert supervisor.restarts == Counter(loop=2)
    goes_on.set()
    await asyncio.wait_for(task, SECONDS)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_a_cancelled_loop_ends_even_if_it_raises(error: type[BaseException]) -> None:
    supervisor, began = Supervisor(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            raise error from None

    task = supervisor.start("loop", work)
    await began.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=SECONDS)
    assert task.cancelled()
    assert supervisor.restarts == Counter(loop=0)


class Failing:
    """A method that fails a number of times with an unexpected error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.left = 0
        works: Callable[..., Any] = getattr(owner, name)

        async def method(*arguments: Any, **named: Any) -> Any:
            self._fail()
            return await works(*arguments, **named)

        def plain(*arguments: Any, **named: Any) -> Any:
            self._fail()
            return works(*arguments, **named)

        monkeypatch.setattr(owner, name, method if asyncio.iscoroutinefunction(works) else plain)

    def _fail(self) -> None:
        if self.left:
            self.left -= 1
            raise asyncio.CancelledError


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[GraphQLClient]:
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("loop", "owner", "method"),
    [
        ("feed reader", Hub, "poll"),
        ("revocation", Authenticator, "_end_revoked_sessions"),
        ("abort reconciler", Reconciler, "_poll"),
        ("bus connection", PostgresBackend, "_listen"),
        ("bus receiver", Subscriber, "get"),
        ("bus sender", PostgresBackend, "publish"),
    ],
)
async def test_each_background_loop_of_a_server_is_restarted(
    postgres_server_url: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
    owner: type,
    method: str,
) -> None:
    failing = Failing(monkeypatch, owner, method)
    settings = Settings(database_url=database_url, broadcast_url=postgres_server_url, auth="token")
    app = create_app(settings)
    async with running(app) as client:
        supervisor: Supervisor = app.state.supervisor
        repository = app.state.repository
        await make_run(repository)
        credential, secret = await repository.credentials.create(CredentialKind.TOKEN, "t", ADA, FULL_ACCESS)
        client.headers["Authorization"] = f"Bearer {secret}"
        frames = repository.watch_all_action_updates(RUN)
        await anext(frames)
        headers = [(b"authorization", f"Bearer {secret}".encode())]
        request = HTTPConnection({"type": "http", "headers": headers})
        caller = await app.state.authenticator.authenticate(request)
        ended = asyncio.Event()
        with app.state.authenticator.open_session(caller, ended.set):
            assert await status(client) == (200, "ready\n")
            failing.left = 1
            await terminate_listeners(postgres_server_url)
            await repository.create_action(new("soon", "a0"))
            await until(lambda: loop in supervisor.failed)
            code, text = await status(client)
            assert (code, loop in text) == (503, True)
            await repository.create_action(new("late", "a0"))
            await comes(frames, "late")
            await until(lambda: failing.left == 0)
            await until(lambda: not supervisor.failed)
            assert await status(client) == (200, "ready\n")
            assert supervisor.restarts[loop] == 1
            page = (await client.get("/metrics")).text
            assert f'rungraph_background_restarts_total{{loop="{loop}"}} 1.0' in page
            await repository.credentials.revoke(credential.id)
            await asyncio.wait_for(ended.wait(), SECONDS)
        await frames.aclose()


async def comes(frames: AsyncIterator[Frame[Action]], name: str) -> None:
    async with asyncio.timeout(SECONDS):
        while name not in [action.name for action in (await anext(frames)).items]:
            pass


async def status(client: GraphQLClient) -> tuple[int, str]:
    response = await client.get("/readyz")
    return response.status_code, response.text
