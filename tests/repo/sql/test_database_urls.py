"""The URL of PostgreSQL: its options are the driver's, the same for the database and for the bus."""

import asyncio

import pytest

from repo import DatabaseUnavailable, migrate, open_repository, without_password

SECONDS = 40


async def test_one_url_with_options_of_tls_is_for_the_database_and_the_bus(postgres_server_url: str) -> None:
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
async def test_what_a_server_cannot_honour_is_said_and_not_left_out(
    postgres_server_url: str, option: str, reason: str
) -> None:
    with pytest.raises(DatabaseUnavailable, match=reason) as caught:
        await migrate(f"{postgres_server_url}?{option}")
    assert "secret" not in str(caught.value)


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    url = "postgresql://rungraph:secret@host/name?password=secret&sslmode=require"
    assert without_password(url) == "postgresql://rungraph:***@host/name"
