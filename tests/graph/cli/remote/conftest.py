"""A server for the commands of a file of tests."""

from collections.abc import Iterator

import pytest

from tests.support.commands import Remote
from tests.support.databases import Databases


@pytest.fixture(scope="module")
def remote(
    databases: Databases, migrated_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remote]:
    """A server with authentication and without runs, and commands that call it as an administrator."""
    url = databases.copy(migrated_url)
    server = Remote(url, tmp_path_factory.mktemp("remote"))
    server.start()
    try:
        yield server
    finally:
        server.kill()
        databases.drop(url)
