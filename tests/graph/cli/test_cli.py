"""The command line, run as processes."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support import forking
from tests.support.ports import free_port

RUNGRAPH = [str(Path(sys.executable).with_name("rungraph"))]


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return forking.run(*arguments, folder=folder, environment={**os.environ, **environment})


def test_help_names_every_command(tmp_path: Path) -> None:
    text = run("--help", folder=tmp_path).stdout
    remote = ("list", "get", "events", "logs", "abort", "push", "watch")
    for command in ("serve", "migrate", "schema", "import", "demo", "token", "restored", *remote):
        assert command in text
        assert run(command, "--help", folder=tmp_path).returncode == 0


def test_migrate_creates_the_default_database_in_the_current_folder(tmp_path: Path) -> None:
    done = run("migrate", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "sqlite:///rungraph.db is at the newest schema\n")
    with sqlite3.connect(tmp_path / "rungraph.db") as database:
        assert database.execute("SELECT count(*) FROM actions").fetchone() == (0,)


def test_restored_begins_an_incarnation_that_invalidates_earlier_cursors(tmp_path: Path) -> None:
    for count in (1, 2):
        assert run("restored", folder=tmp_path).returncode == 0
        with sqlite3.connect(tmp_path / "rungraph.db") as database:
            found = database.execute("SELECT complete_until FROM incarnations ORDER BY number").fetchall()
        assert (len(found) > count, found[-1]) == (True, (None,))


@pytest.mark.parametrize("command", ["serve", "migrate", "demo"])
def test_an_invalid_setting_stops_the_start_with_one_line(tmp_path: Path, command: str) -> None:
    done = run(command, folder=tmp_path, RUNGRAPH_DATABASE_URL="mysql://user:secret@host/name")
    assert done.returncode == 2
    assert done.stderr.startswith("rungraph: RUNGRAPH_DATABASE_URL: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr + done.stdout


def test_a_database_that_cannot_be_opened_stops_the_start_with_one_line(tmp_path: Path) -> None:
    for url in ("sqlite:///no/such/folder/x.db", "postgresql://user:secret@127.0.0.1:1/name"):
        for command in ("serve", "migrate"):
            done = run(command, folder=tmp_path, RUNGRAPH_DATABASE_URL=url, RUNGRAPH_PORT=str(free_port()))
            assert done.returncode == 1, done.stderr
            assert "Traceback" not in done.stderr
            assert "rungraph: the database " in done.stderr
            assert "secret" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_that_is_taken_stops_the_start_with_one_line(tmp_path: Path, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(command, folder=tmp_path, RUNGRAPH_PORT=port)
    assert done.returncode == 1
    in_use = f"rungraph: cannot listen at 127.0.0.1, port {port}: address already in use"
    assert done.stderr == f"{in_use}; choose another port by --port or RUNGRAPH_PORT\n"
    assert "http://" not in done.stdout


def test_an_address_of_another_machine_stops_the_start_with_one_line(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "no.such.host.invalid"):
        done = run("serve", "--host", host, folder=tmp_path, RUNGRAPH_ALLOW_ANYBODY="true")
        assert done.returncode == 1
        assert done.stderr.startswith(f"rungraph: cannot listen at {host}, port 8000: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "sent", "base"),
    [
        ("serve", signal.SIGTERM, ""),
        ("serve", signal.SIGINT, ""),
        ("demo", signal.SIGINT, ""),
        ("demo", signal.SIGINT, "/team/rungraph"),
    ],
)
async def test_a_server_starts_answers_and_stops(
    tmp_path: Path, command: str, sent: signal.Signals, base: str
) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *RUNGRAPH,
        command,
        cwd=tmp_path,
        env={**os.environ, "RUNGRAPH_PORT": str(port), "RUNGRAPH_BASE_PATH": base},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(40), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while True:
                try:
                    ready = await client.get("/readyz")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
            assert ready.status_code == 200
            if command == "demo":
                while True:
                    answer = await client.post(f"{base}/graphql", json={"query": "{ runs { totalCount } }"})
                    if answer.json()["data"]["runs"]["totalCount"] > 5:
                        break
                    await asyncio.sleep(0.1)
        process.send_signal(sent)
        async with asyncio.timeout(20):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    database, where = output.decode().splitlines()[:2]
    assert database == "Database   sqlite:///rungraph.db"
    assert where == (
        f"Rungraph   http://127.0.0.1:{port}{base}/ "
        f"(open it in a browser; the API and GraphiQL are at {base}/graphql)"
    )
    assert "Traceback" not in errors.decode()
    assert "does not respond" not in output.decode()


@pytest.mark.parametrize(
    ("environment", "addresses"),
    [
        ({"GRAPHIQL": "false"}, "/x/ (open it in a browser; the API is at /x/graphql)"),
        ({"PAGE": "false"}, "/x/graphql (the API and GraphiQL are there)"),
        ({"PAGE": "false", "GRAPHIQL": "false"}, "/x/graphql (the API is there)"),
    ],
)
async def test_a_server_prints_its_addresses(
    tmp_path: Path, environment: dict[str, str], addresses: str
) -> None:
    port = free_port()
    settings = {**environment, "BASE_PATH": "/x", "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *RUNGRAPH,
        "serve",
        cwd=tmp_path,
        env={**os.environ, **{f"RUNGRAPH_{name}": value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            lines = [await process.stdout.readline() for _ in range(2)]
    finally:
        process.kill()
        await process.wait()
    assert lines[1].decode() == f"Rungraph   http://127.0.0.1:{port}{addresses}\n"


def test_speed_and_instant_exclude_each_other(tmp_path: Path) -> None:
    done = run("import", "x.json", "--speed", "2", "--instant", folder=tmp_path)
    assert done.returncode == 2
    assert "not both" in done.stderr
