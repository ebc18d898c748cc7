"""A server with an unwritable log works normally, also while its database restarts."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from repo import Access, CredentialKind, Grant, Identity, IdentityKind, Role, open_repository
from tests.support.databases import PostgresDatabases, create_migrated
from tests.support.postgres import Postgres, running_postgres
from tests.support.server_process import ServerProcess, server_process
from tests.support.sockets import Socket, connected

SECONDS = 60
CREATE = """mutation ($name: String!, $parent: String) { createAction(input: {
  parentName: $parent, id: {project: "p", domain: "d", runName: "r", name: $name}}) { created } }"""
ACTIONS = """subscription { actions(run: {project: "p", domain: "d", name: "r"}) {
  kind actions { name } } }"""
QUERY = "{ runs { nodes { name } } }"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextmanager
def reader_that_left() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@contextmanager
def reader_that_stopped() -> Iterator[int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


@contextmanager
def closed() -> Iterator[None]:
    yield None


async def create_token(database_url: str) -> tuple[str, str]:
    """The id and the secret of a token with full access."""
    access = Access(frozenset({Grant(Role.ADMIN, None, None)}), False)
    identity = Identity(IdentityKind.APPLICATION, "tester", None)
    async with open_repository(database_url) as repository:
        credential, secret = await repository.credentials.create(CredentialKind.TOKEN, "t", identity, access)
    return credential.id, secret


def bearer(token: str) -> dict[str, object]:
    return {"authorization": f"Bearer {token}"}


async def names(socket: Socket, wanted: str) -> None:
    """Returns once a frame has this action."""
    async with asyncio.timeout(SECONDS):
        while True:
            message: dict[str, Any] = await socket.next()
            assert message["type"] in ("next", "ping"), message
            frame = message.get("payload", {}).get("data", {}).get("actions", {})
            if wanted in [action["name"] for action in frame.get("actions", [])]:
                return


async def creates(server: ServerProcess, name: str, parent: str | None = None) -> None:
    answer = await server.ask(CREATE, {"name": name, "parent": parent})
    assert answer.status_code == 200
    assert answer.json() == {"data": {"createAction": {"created": True}}}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("stream", "workers"),
    [(full_disk, 1), (full_disk, 2), (reader_that_left, 1), (reader_that_stopped, 1), (closed, 1)],
)
async def test_a_server_works_with_an_unwritable_log(postgres: Postgres, stream: Any, workers: int) -> None:
    databases = PostgresDatabases(postgres.url)
    database_url = create_migrated(databases)
    _, token = await create_token(database_url)
    revoked, other = await create_token(database_url)
    environment = {
        "RUNGRAPH_DATABASE_URL": database_url,
        "RUNGRAPH_BROADCAST_URL": database_url,
        "RUNGRAPH_AUTH": "token",
        "RUNGRAPH_LOG_OPERATIONS": "all",
        "RUNGRAPH_WORKERS": str(workers),
    }
    with stream() as descriptor:
        # The output before it serves does block without a reader.
        stdout = None if stream is reader_that_stopped else descriptor
        prefix = ("sh", "-c", 'exec "$@" >&- 2>&-', "sh") if descriptor is None else ()
        async with server_process(
            environment, stdout=stdout, stderr=descriptor, token=token, prefix=prefix
        ) as server:
            await creates(server, "a0")
            async with (
                connected(server.url, bearer(token)) as watching,
                connected(server.url, bearer(other)) as ending,
            ):
                for socket in (watching, ending):
                    await socket.subscribe("1", ACTIONS)
                    await names(socket, "a0")
                postgres.stop()
                answer = await server.ask(QUERY)
                errors = answer.json()["errors"]
                assert errors[0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
                assert (await server.get("/readyz")).status_code == 503
                postgres.start()
                await server.is_ready()
                await creates(server, "a1", "a0")
                await names(watching, "a1")
                await names(ending, "a1")
                async with open_repository(database_url) as repository:
                    await repository.credentials.revoke(revoked)
                assert await ending.close_code(SECONDS) == 4403
                async with asyncio.timeout(SECONDS):
                    while await server.metric("bus_connected") != 1:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.1)
            if stream is not reader_that_stopped:  # its lines wait
                assert await server.metric("log_lines_dropped_total") > 3
    databases.drop(database_url)
