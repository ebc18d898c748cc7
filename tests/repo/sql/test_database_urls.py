"""URLs of PostgreSQL: the driver's options, for the database and the bus."""

import asyncio

import pytest

from repo import DatabaseUnavailable, migrate, open_repository, without_password

SECONDS = 40


async def test_a_url_with_tls_options_works_for_the_database_and_the_bus(postgres_server_url: str) -> None:
    url = f"{postgres_server_url}?sslmode=disable"
    await migrate(url)
    async with asyncio.timeout(SECONDS), open_repository(url, broadcast_url=url) as repository:
        assert (await repository.runs.page()).items == []
        assert await repository.runs.count() == 0
        while not repository.watches.metrics().bus_connected:  # noqa: ASYNC110 - it connects in its own time
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("option", "reason"), [("sslmode=require", "SSL"), ("no_such_option=secret", "no_such_option")]
)
async def test_unsupported_options_of_a_url_raise_an_error(
    postgres_server_url: str, option: str, reason: str
) -> None:
    with pytest.raises(DatabaseUnavailable, match=reason) as caught:
        await migrate(f"{postgres_server_url}?{option}")
    assert "secret" not in str(caught.value)


def test_a_url_is_printed_without_secrets() -> None:
    url = "postgresql://rungraph:secret@host/name?password=secret&sslmode=require"
    assert without_password(url) == "postgresql://rungraph:***@host/name"
