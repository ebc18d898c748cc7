"""`rungraph token …`, and commands that call a server with a token."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from graph.app import create_app
from graph.cli.main import app
from graph.settings import Settings
from ingest.client import ApiError, GraphQLClient
from ingest.demo.executor import run_demo
from repo import (
    Access,
    Credential,
    CredentialKind,
    Grant,
    Identity,
    IdentityKind,
    Role,
    migrate,
    open_repository,
)
from tests import DATA
from tests.support.databases import wait_for
from tests.support.ports import free_port
from tests.support.serving import serving

RUNGRAPH = str(Path(sys.executable).with_name("rungraph"))
SECONDS = 60
RECORDING = str(DATA / "diamond.json")


@pytest.fixture
def migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a SQLite database, which is in the settings."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    wait_for(migrate(url))
    monkeypatch.setenv("RUNGRAPH_DATABASE_URL", url)
    return url


@pytest.fixture
def server(migrated: str) -> Iterator[str]:
    """The address of a server with authentication on this database."""
    with serving(create_app(Settings(database_url=migrated, auth="token"))) as address:
        yield f"{address}/graphql"


def rungraph(*arguments: str, code: int = 0) -> Result:
    """The output of a command, run in this process."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done


def create(*arguments: str) -> str:
    """The secret of a new token."""
    return rungraph("token", "create", "--name", "CI", *arguments).stdout.strip()


def stored(url: str) -> list[Credential]:
    async def read() -> list[Credential]:
        async with open_repository(url) as repository:
            return await repository.credentials.list_of_kind(CredentialKind.TOKEN)

    return wait_for(read())


def test_only_the_secret_is_printed_to_standard_output(tmp_path: Path, migrated: str) -> None:
    """So that TOKEN=$(rungraph token create …) works."""
    done = subprocess.run(
        [RUNGRAPH, "token", "create", "--name", "CI", "--role", "writer", "--project", "etl"],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert re.fullmatch(r"rg_[\w-]{43}\n", done.stdout)
    (token,) = stored(migrated)
    assert token.id in done.stderr
    assert done.stdout.strip() not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_token_belongs_to_a_program_of_its_name_and_lasts_90_days(migrated: str) -> None:
    create("--role", "viewer")
    (token,) = stored(migrated)
    assert token.identity == Identity(IdentityKind.APPLICATION, "CI")
    assert token.access == Access(frozenset({Grant(Role.VIEWER)}))
    assert token.expires_at is not None
    assert abs(token.expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(seconds=SECONDS)


def test_a_token_has_the_requested_grants(migrated: str) -> None:
    places = ("--project", "etl", "--project", "ml", "--domain", "production")
    create("--role", "writer", *places, "--expires", "never", "--user", "user-1", "--acts-for-others")
    (token,) = stored(migrated)
    grants = {Grant(Role.WRITER, project, "production") for project in ("etl", "ml")}
    assert token.access == Access(frozenset(grants), acts_for_others=True)
    assert token.identity == Identity(IdentityKind.USER, "user-1")
    assert token.expires_at is None


@pytest.mark.parametrize("expires", ["90", "d", "1y", "-1d", "0d", "", "1d ", "999999d"])
def test_an_invalid_duration_is_explained_in_one_line(migrated: str, expires: str) -> None:
    done = rungraph("token", "create", "--name", "CI", "--role", "viewer", "--expires", expires, code=2)
    assert done.stderr.startswith("rungraph: ")
    assert done.stderr.count("\n") == 1
    assert stored(migrated) == []


def test_tokens_are_listed_with_their_grants_and_state(migrated: str) -> None:
    create("--role", "writer", "--project", "etl", "--domain", "production")
    secret = create("--role", "admin", "--expires", "never")
    newest, oldest = stored(migrated)
    rungraph("token", "revoke", newest.id)
    listed = rungraph("token", "list").stdout
    head, first, second = (re.split(r" {2,}", line) for line in listed.splitlines())
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert head == ["ID", "NAME", "GRANTS", "CREATED", "EXPIRES", "STATE"]
    assert first == [newest.id, "CI", "admin in everything", today, "never", "revoked"]
    assert second[:3] == [oldest.id, "CI", "writer in etl/production"]
    assert second[5] == "active"
    assert secret not in listed


def test_tokens_are_listed_as_json_for_programs(migrated: str) -> None:
    create("--role", "viewer", "--project", "etl")
    (token,) = stored(migrated)
    (listed,) = json.loads(rungraph("token", "list", "--json").stdout)
    assert listed["id"] == token.id
    assert listed["identity"] == {"kind": "APPLICATION", "subject": "CI"}
    assert listed["grants"] == [{"role": "viewer", "project": "etl", "domain": None}]
    assert token.expires_at is not None
    assert datetime.fromisoformat(listed["expires"]) == token.expires_at
    assert (listed["state"], listed["revoked"]) == ("active", None)


def test_revoking_an_unknown_token_fails(migrated: str) -> None:
    assert rungraph("token", "revoke", "x", code=1).stderr == "rungraph: there is no credential x\n"


def test_a_database_without_the_table_needs_a_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGRAPH_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert "rungraph migrate" in rungraph("token", "list", code=1).stderr


# Clients


async def test_a_client_calls_with_its_token(server: str, migrated: str) -> None:
    secret = await asyncio.to_thread(create, "--role", "viewer")
    async with GraphQLClient(server, token=f" {secret}\n") as client:
        found = await client.execute("{ viewer { identity { subject } } }")
    assert found == {"viewer": {"identity": {"subject": "CI"}}}


@pytest.mark.parametrize(("token", "why"), [(None, "requires a token"), ("rg_x", "rejected the token")])
async def test_a_client_with_an_unknown_token_fails_without_retries(
    server: str, token: str | None, why: str
) -> None:
    async with GraphQLClient(server, token=token, max_unavailable_s=float("inf")) as client:
        async with asyncio.timeout(SECONDS):
            with pytest.raises(ApiError, match=f"{re.escape(server)} {why}.*RUNGRAPH_TOKEN") as refused:
                await client.execute("{ viewer { identity { subject } } }")
    assert refused.value.code == "UNAUTHENTICATED"
    assert token is None or token not in str(refused.value)


def test_text_that_cannot_be_a_token_is_refused() -> None:
    for wrong in ("rg_\nx", "rg_ü"):
        with pytest.raises(ValueError, match="token"):
            GraphQLClient("http://127.0.0.1", token=wrong)


def test_commands_read_the_token_from_the_environment_and_report_a_missing_one(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("watch", "p/d/r", "--url", server, "--no-wait")
    done = rungraph(*command, code=1)
    assert done.stderr == f"rungraph: {server} requires a token: set RUNGRAPH_TOKEN\n"
    refused = rungraph("import", RECORDING, "--url", server, code=1)
    assert "requires a token" in refused.stdout + refused.stderr
    monkeypatch.setenv("RUNGRAPH_TOKEN", create("--role", "viewer"))
    assert "there is no run p/d/r" in rungraph(*command, code=2).stderr


def test_an_import_needs_a_token_with_write_permission(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNGRAPH_TOKEN", create("--role", "viewer"))
    refused = rungraph("import", RECORDING, "--url", server, code=1)
    assert "you may not write" in refused.stdout
    assert len(refused.stdout.splitlines()) == 1
    monkeypatch.setenv("RUNGRAPH_TOKEN", create("--role", "writer"))
    assert "SUCCEEDED" in rungraph("import", RECORDING, "--url", server).stdout


@pytest.mark.parametrize(
    ("role", "why"), [(None, "requires a token"), ("viewer", "you may not write in demo/")]
)
def test_a_demo_that_is_refused_ends(
    server: str, capsys: pytest.CaptureFixture[str], role: str | None, why: str
) -> None:
    assert run_demo(server, token=None if role is None else create("--role", role)) == 1
    assert why in capsys.readouterr().out.replace("\n", " ")


async def test_the_demo_of_a_server_with_authentication_creates_its_own_token(tmp_path: Path) -> None:
    port = str(free_port())
    process = await asyncio.create_subprocess_exec(
        RUNGRAPH,
        "demo",
        cwd=tmp_path,
        env={**os.environ, "RUNGRAPH_AUTH": "token", "RUNGRAPH_PORT": port},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while b"started demo/" not in await process.stdout.readline():
                pass
        async with httpx2.AsyncClient() as client:
            command = await client.post(f"http://127.0.0.1:{port}/graphql", json={"query": "{ __typename }"})
        assert command.status_code == 401
        process.terminate()
        await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    with sqlite3.connect(tmp_path / "rungraph.db") as database:
        query = "SELECT name, revoked_at IS NOT NULL FROM credentials"
        assert database.execute(query).fetchall() == [("demo", 1)]
