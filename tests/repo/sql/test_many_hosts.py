"""A URL with several hosts of PostgreSQL: the one that accepts writes is used."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy import make_url

from graph.settings import Settings
from repo import (
    DatabaseUnavailable,
    InvalidArgument,
    RunIdentifier,
    check_broadcast_url,
    check_database_url,
    migrate,
    open_repository,
    without_password,
)
from tests.support.databases import wait_for
from tests.support.making import make_run
from tests.support.ports import free_port
from tests.support.postgres import Postgres, running_postgres
from tests.support.proxy import proxied

SECONDS = 60


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Postgres, Postgres]]:
    """Two servers, each with a schema."""
    with running_postgres() as one, running_postgres(is_unrelated=True) as two:
        for server in (one, two):
            wait_for(migrate(server.url))
        yield one, two


def together(*ports: int) -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{hosts}/postgres"


def port_of(server: Postgres) -> int:
    port = make_url(server.url).port
    assert port is not None
    return port


async def set_read_only(server: Postgres, value: str) -> None:
    connection = await asyncpg.connect(server.url, server_settings={"default_transaction_read_only": "off"})
    await connection.execute(f"ALTER DATABASE postgres SET default_transaction_read_only = {value}")
    if value == "on":
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await connection.close()


async def runs_of(server: Postgres) -> set[str]:
    connection = await asyncpg.connect(server.url)
    found = await connection.fetch("SELECT DISTINCT run_name FROM actions")
    await connection.close()
    return {row[0] for row in found}


async def test_writes_go_to_the_host_that_accepts_them(servers: tuple[Postgres, Postgres]) -> None:
    one, two = servers
    url = together(port_of(one), port_of(two))
    await set_read_only(one, "on")
    try:
        async with (
            asyncio.timeout(SECONDS),
            open_repository(url, broadcast_url=url) as repository,
        ):
            await make_run(repository, RunIdentifier("p", "d", "first"))
            while not repository.watches.metrics().bus_connected:  # noqa: ASYNC110 - in its own time
                await asyncio.sleep(0.01)
            # They swap roles.
            await set_read_only(one, "off")
            await set_read_only(two, "on")
            while True:
                try:
                    await make_run(repository, RunIdentifier("p", "d", "second"))
                    break
                except DatabaseUnavailable:
                    pass
            assert [run.name for run in (await repository.runs.page()).items] == ["second"]
            await repository.check()
    finally:
        for server in servers:
            await set_read_only(server, "off")
    assert await runs_of(one) == {"second"}
    assert await runs_of(two) == {"first"}


async def test_an_unresponsive_host_does_not_block_the_others(
    servers: tuple[Postgres, Postgres],
) -> None:
    one, two = servers
    async with asyncio.timeout(SECONDS), proxied(one.url) as silent:
        silent.stall()
        async with open_repository(together(silent.port, free_port(), port_of(two))) as repository:
            await make_run(repository, RunIdentifier("p", "d", "third"))
    assert "third" in await runs_of(two)


async def test_the_error_has_a_reason_for_each_host(servers: tuple[Postgres, Postgres]) -> None:
    one, _ = servers
    await set_read_only(one, "on")
    try:
        with pytest.raises(DatabaseUnavailable) as caught:
            await migrate(together(port_of(one), free_port()))
    finally:
        await set_read_only(one, "off")
    assert "host 1: it accepts no writes" in str(caught.value)
    assert "host 2: " in str(caught.value)


async def test_an_explicit_target_session_attribute_is_used(servers: tuple[Postgres, Postgres]) -> None:
    one, two = servers
    await set_read_only(one, "on")
    try:
        url = f"{together(port_of(two), port_of(one))}?target_session_attrs=read-only"
        async with asyncio.timeout(SECONDS), open_repository(url) as repository:
            assert "first" not in {run.name for run in (await repository.runs.page()).items}
    finally:
        await set_read_only(one, "off")


def test_a_url_of_several_hosts_is_printed_without_its_password() -> None:
    url = "postgresql://me:can,ary@one:1,two,three:3/name?password=canary"
    check_database_url(url)
    check_broadcast_url(url)
    assert without_password(url) == "postgresql://me:***@one:1,two,three:3/name"
    assert without_password("postgresql://one,two/name") == "postgresql://one,two/name"
    assert Settings(database_url=url, broadcast_url=url).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:canary@one,/name",
        "postgresql:///name?host=one,two",
        "postgresql://me:canary@one,two:x/name",
    ],
)
def test_invalid_hosts_are_rejected_with_a_reason(url: str) -> None:
    for check in (check_database_url, check_broadcast_url):
        with pytest.raises(InvalidArgument) as refused:
            check(url)
        assert "canary" not in str(refused.value)
