"""Which store a URL names."""

import subprocess
import sys
from pathlib import Path

import pytest

from repo import InvalidArgument, check_store_url
from repo.artifacts.stores import Directory, open_store

POSTGRESQL = "postgresql://u:p@localhost/x"


@pytest.mark.parametrize(
    ("url", "database_url", "path"),
    [
        ("", "sqlite:////data/rungraph.db", "/data/rungraph.db.artifacts"),
        ("", "sqlite:///rungraph.db", str(Path.cwd() / "rungraph.db.artifacts")),
        ("", POSTGRESQL, None),
        ("none", "sqlite:////data/rungraph.db", None),
        ("file:///var/lib/r%C3%A4ume", POSTGRESQL, "/var/lib/räume"),
    ],
)
def test_a_store_is_a_directory_or_none(url: str, database_url: str, path: str | None) -> None:
    store = open_store(url, database_url)
    if path is None:
        assert store is None
    else:
        assert isinstance(store, Directory)
        assert str(store.path) == path


@pytest.mark.parametrize(
    "url", ["/var/lib", "file:x", "file://host/x", "ftp://x/y", "s3://", "s3:bucket", "https://bucket/x"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        check_store_url(url)


def test_a_bucket_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    check_store_url("s3://bucket/prefix")
    monkeypatch.setitem(sys.modules, "obstore", None)
    for scheme in ("s3", "gs", "az"):
        with pytest.raises(InvalidArgument, match=r"pip install .\[obstore\]"):
            check_store_url(f"{scheme}://bucket/prefix")


def test_without_a_bucket_its_package_is_not_imported(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys, graph.app, repo
async def main():
    url = "sqlite:///{tmp_path}/rungraph.db"
    await repo.migrate(url)
    async with repo.open_repository(url):
        assert "obstore" not in sys.modules
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
