"""Stores of large artifacts: a directory, and a bucket of a real S3 server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.s3 import S3Server, running_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(params=["directory", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store."""
    if request.param == "directory":
        return f"file://{tmp_path}/store"
    server: S3Server = request.getfixturevalue("s3_server")
    server.clear()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.url


@pytest.fixture
def objects(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> Callable[[], list[str]]:
    """Lists what the store contains."""
    if store_url.startswith("file:"):
        return lambda: sorted(each.name for each in (tmp_path / "store").rglob("*") if each.is_file())
    server: S3Server = request.getfixturevalue("s3_server")
    return server.objects
