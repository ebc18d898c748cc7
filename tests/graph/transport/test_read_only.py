"""A read-only database: the server reports it, is not ready, and recovers."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import structlog
from sqlalchemy import make_url

from graph.app import create_app
from graph.settings import Settings
from repo import CheckStatus, DatabaseUnavailable, check_database, migrate
from tests.support import forking
from tests.support.client import GraphQLClient
from tests.support.ports import free_port

RUNGRAPH = str(Path(sys.executable).with_name("rungraph"))
SECONDS = 60
UNPRIVILEGED = 65534
ONLY_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
ONLY_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
CREATE = """mutation ($name: String!) {
  createAction(input: {id: {project: "p", domain: "d", runName: $name, name: "a0"}}) { created }
}"""
UPDATE = """mutation ($name: String!) {
  updateActionPhase(input: {phase: RUNNING, attempts: 1,
    id: {project: "p", domain: "d", runName: $name, name: "a0"}}) { applied }
}"""
EVENT = """mutation ($name: String!) {
  insertEvents(events: [{phase: RUNNING, attempt: 1, occurredAt: "2026-01-01T00:00:00Z",
    action: {project: "p", domain: "d", runName: $name, name: "a0"}}]) { inserted }
}"""
ABORT = """mutation ($name: String!) {
  abortRun(input: {id: {project: "p", domain: "d", name: $name}}) { requested }
}"""
RUNS = "{ runs { nodes { name } } }"


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[GraphQLClient]:
    app = create_app(Settings(database_url=url))
    async with (
        asyncio.timeout(SECONDS),
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


async def set_read_only(url: str, value: str) -> None:
    """Sets whether new sessions are read-only by default; existing ones end only when it is turned on."""
    settings = {"default_transaction_read_only": "off"}
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        name = make_url(url).database
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
        if value == "on":
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            await connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
            while await connection.fetchval(f"SELECT count(*) {others}"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # until they are noticed to be closed here
    finally:
        await connection.close()


async def assert_refused(client: GraphQLClient, *mutations: str) -> None:
    """Each error says that the call can be repeated, and the log has no unexpected error."""
    with structlog.testing.capture_logs() as logs:
        for mutation in mutations:
            answer = await client.execute(mutation, {"name": "new" if mutation is CREATE else "one"})
            assert "errors" in answer, (mutation, answer)
            (error,) = answer["errors"]
            assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
            assert "accepts no writes" in error["message"], mutation
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "not ready: the database accepts no writes\n")
    assert {log["log_level"] for log in logs} <= {"info", "warning"}
    assert not any("exc_info" in log for log in logs)


async def assert_works(client: GraphQLClient, name: str) -> None:
    done: dict[str, Any] = await client.execute(CREATE, {"name": name})
    assert done == {"data": {"createAction": {"created": True}}}
    assert (await client.get("/readyz")).status_code == 200


@ONLY_POSTGRESQL
async def test_writes_succeed_once_postgresql_accepts_them_again(database_url: str) -> None:
    async with client_of(database_url) as client:
        await assert_works(client, "one")
        for name in ("two", "three"):
            await set_read_only(database_url, "on")
            await assert_refused(client, UPDATE, EVENT, ABORT, CREATE)
            assert len((await client.execute(RUNS))["data"]["runs"]["nodes"]) > 0
            # The sessions remain, and remain read-only: they have to be replaced.
            await set_read_only(database_url, "off")
            await assert_works(client, name)


@ONLY_POSTGRESQL
async def test_a_server_becomes_ready_again_without_a_write(database_url: str) -> None:
    async with client_of(database_url) as client:
        await set_read_only(database_url, "on")
        assert (await client.get("/readyz")).status_code == 503
        await set_read_only(database_url, "off")
        assert (await client.get("/readyz")).status_code == 200


@contextmanager
def writable_by_others_only(url: str) -> Iterator[str]:
    """A copy of a SQLite file that is read-only for this process until its mode is changed."""
    source = url.removeprefix("sqlite:///")
    folder = tempfile.mkdtemp(prefix="rungraph-read-only-")
    try:
        file = Path(folder) / "rungraph.db"
        shutil.copyfile(source, file)
        file.chmod(0o444)
        privileged = os.geteuid() == 0
        if privileged:
            for path in (folder, file):
                os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
            os.seteuid(UNPRIVILEGED)
        try:
            yield f"sqlite:///{file}"
        finally:
            if privileged:
                os.seteuid(0)
    finally:
        shutil.rmtree(folder)


@ONLY_SQLITE
async def test_a_read_only_sqlite_file_is_reported_until_it_is_writable(database_url: str) -> None:
    async with client_of(database_url) as client:
        await assert_works(client, "one")  # everything is imported
    with writable_by_others_only(database_url) as url:
        await migrate(url)
        async with client_of(url) as client:
            await assert_refused(client, UPDATE, EVENT, ABORT, CREATE)
            for ending in ("", "-wal", "-shm"):  # SQLite made these with the mode of the file
                os.chmod(f"{url.removeprefix('sqlite:///')}{ending}", 0o644)
            await assert_works(client, "two")


@ONLY_POSTGRESQL
async def test_the_doctor_reports_a_read_only_database(database_url: str) -> None:
    await set_read_only(database_url, "on")
    found = {each.check: each async for each in check_database(database_url, 10)}
    assert found["server"].status is CheckStatus.FAILURE
    assert "accepts no writes" in found["server"].detail
    assert found["rights"].status is CheckStatus.FAILURE


@ONLY_POSTGRESQL
async def test_a_migrated_database_may_be_read_only_at_start(database_url: str) -> None:
    await set_read_only(database_url, "on")
    with structlog.testing.capture_logs() as logs:
        await migrate(database_url)
    assert [(log["log_level"], log["event"][:31]) for log in logs if log["log_level"] == "warning"] == [
        ("warning", "the database accepts no writes:")
    ]


def start(url: str, command: str) -> subprocess.CompletedProcess[str]:
    settings = {"RUNGRAPH_DATABASE_URL": url, "RUNGRAPH_PORT": str(free_port())}
    return forking.run(command, environment=os.environ | settings)


@ONLY_POSTGRESQL
@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_a_read_only_database_without_a_schema_stops_the_start_with_one_line(
    empty_database_url: str, command: str
) -> None:
    await set_read_only(empty_database_url, "on")
    done = await asyncio.to_thread(start, empty_database_url, command)
    assert done.returncode == 1
    assert "accepts no writes" in done.stderr
    assert "the database has no schema yet" in done.stderr
    assert done.stderr.count("\n") == 1


@ONLY_POSTGRESQL
@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_of_another_encoding_stops_the_start_with_one_line(
    empty_database_url: str, command: str, encoding: str
) -> None:
    connection = await asyncpg.connect(empty_database_url)
    name = f"{make_url(empty_database_url).database}_{encoding.lower()}_{command}"
    await connection.execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    try:
        url = make_url(empty_database_url).set(database=name).render_as_string(hide_password=False)
        done = await asyncio.to_thread(start, url, command)
        assert done.returncode == 1
        problem = f"its encoding is {encoding}: make a database with ENCODING 'UTF8'"
        if command == "doctor":
            assert problem in done.stdout
        else:
            assert done.stderr.endswith(f" cannot be used: {problem}\n")
            assert done.stderr.count("\n") == 1
            with pytest.raises(Exception, match=encoding):
                await migrate(url)
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@ONLY_SQLITE
async def test_a_read_only_file_without_a_schema_stops_the_start(
    empty_database_url: str,
) -> None:
    sqlite3.connect(empty_database_url.removeprefix("sqlite:///")).execute("VACUUM").connection.close()
    with (
        writable_by_others_only(empty_database_url) as url,
        pytest.raises(DatabaseUnavailable, match="read-?only|readonly"),
    ):
        await migrate(url)
