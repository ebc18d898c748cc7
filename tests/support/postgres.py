"""A real PostgreSQL server, stopped even if the tests are killed."""

import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from repo import migrate
from tests.support.databases import wait_for
from tests.support.ports import free_port
from tests.support.postgres_data import (
    ServerFailed,
    archived,
    base_backup,
    find_binaries,
    initial_data,
    make_data,
    memory_folder,
    run,
    unprivileged_user,
)

_START_SECONDS = 30
_STOP_SECONDS = 20
_TRIES = 3

# The server lives until this shell's input is closed: when the tests are killed, the pipe closes, and the
# shell stops the server and removes its files. Each line of the input is `start` or a signal that stops the
# server; the shell confirms each with a line.
_KEEPER = """
folder=$1; shift
"$@" >>"$folder/log" 2>&1 & server=$!
while read -r line; do
    if [ "$line" = start ]; then "$@" >>"$folder/log" 2>&1 & server=$!
    else kill -"$line" $server; wait $server; fi
    echo done
done
kill -INT $server 2>/dev/null
wait $server
rm -rf "$folder"
"""

_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


class Postgres:
    """A server on a free port; its user is a superuser."""

    def __init__(self, keeper: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._keeper = keeper
        self._folder = folder

    def stop(self, immediately: bool = False) -> None:
        """Stops it and cuts off its clients; `immediately` as in a crash."""
        self._send("QUIT" if immediately else "INT")

    def start(self) -> None:
        """Starts it again and waits until it is ready."""
        skip = len((self._folder / "log").read_text())
        self._send("start")
        _wait_until_ready(self._folder, skip)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._folder / "data"

    def copy(self) -> Path:
        """Copies the data directory of the stopped server; returns the copy."""
        copy = self._folder / "copy"
        self._program("cp", "-a", str(self.data), str(copy))
        return copy

    def back_up(self) -> Path:
        """Copies the data of the running server by pg_basebackup; returns the copy."""
        copy = self._folder / "copy"
        self._program(*base_backup(self.url, copy))
        return copy

    def replace_data(self, copy: Path) -> None:
        """Replaces the data of the stopped server by a copy."""
        shutil.rmtree(self.data)
        copy.rename(self.data)

    def promote(self) -> None:
        """Promotes a standby, with what it has received."""
        self._execute("SELECT pg_promote()")

    def stop_receiving(self) -> None:
        """Disconnects a standby from its primary."""
        self._execute("ALTER SYSTEM SET primary_conninfo = ''")
        self._execute("SELECT pg_reload_conf()")
        self._wait_for("SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    def catch_up(self, primary: "Postgres") -> None:
        """Waits until a standby has received everything from its primary."""
        position = primary._execute("SELECT pg_current_wal_flush_lsn()")
        self._wait_for(f"SELECT pg_last_wal_replay_lsn() >= '{position}'")

    def _wait_for(self, condition: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._execute(condition) != "t":
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def _execute(self, statement: str) -> str:
        binaries = find_binaries()
        assert binaries is not None
        psql = (str(binaries / "psql"), "--no-psqlrc", "--tuples-only", "--no-align")
        return self._program(*psql, f"--dbname={self.url}", f"--command={statement}").strip()

    def _program(self, *command: str) -> str:
        """The output of a program, run as the user of the server."""
        return run(list(command), self._folder).decode()

    def _send(self, line: str) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(f"{line}\n".encode())
        self._keeper.stdin.flush()
        readable, _, _ = select.select([self._keeper.stdout], [], [], _STOP_SECONDS)
        assert readable, f"PostgreSQL did not {line} within {_STOP_SECONDS} s"
        self._keeper.stdout.readline()


@contextmanager
def running_postgres(
    standby_of: Postgres | None = None,
    *,
    durable: bool = False,
    is_unrelated: bool = False,
    is_migrated: bool = False,
    environment: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Postgres]:
    """Runs an empty server, or a standby of another one, with additional settings and environment variables.
    A durable one is on disk and syncs each commit. An unrelated one has a system identifier of its own, all
    others of this process have the same. A migrated one has the newest schema. Raises ServerFailed."""
    binaries = find_binaries()
    if binaries is None:
        raise ServerFailed("PostgreSQL's server is not installed: run `python tests/prepare.py`")
    archive = None
    if standby_of is None and not is_unrelated:
        archive = migrated_data() if is_migrated else initial_data(binaries)
    settings = _SETTINGS | ({} if durable else _NOT_DURABLE) | settings
    for attempt in range(1, _TRIES + 1):
        parent = None if durable else memory_folder()
        folder = Path(tempfile.mkdtemp(prefix="rungraph-postgres-", dir=parent))
        try:
            make_data(binaries, folder, standby_of.url if standby_of else None, archive)
            keeper, port = _start(binaries, folder, settings, environment or {})
            break
        except ServerFailed:
            # Another process may have taken the port in the meantime.
            shutil.rmtree(folder, ignore_errors=True)
            if attempt == _TRIES:
                raise
    try:
        yield Postgres(keeper, port, folder)
    finally:
        _stop(keeper)
        shutil.rmtree(folder, ignore_errors=True)


@cache
def migrated_data() -> bytes:
    """An archive of a server whose database has the newest schema."""
    with running_postgres() as server:
        wait_for(migrate(server.url))
        server.stop()
        return archived(server.data.parent)


def _start(
    binaries: Path, folder: Path, settings: dict[str, str], environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    data, user = folder / "data", unprivileged_user()
    port = free_port()
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    server = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *arguments]
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", _KEEPER, "postgres-keeper", str(folder), *server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, **environment},
        user=user,
        extra_groups=None if user is None else [],
        start_new_session=True,  # Ctrl-C is for the tests, which then stop the server in order
    )
    try:
        _wait_until_ready(folder)
    except BaseException:
        _stop(keeper)
        raise
    return keeper, port


def _wait_until_ready(folder: Path, skip: int = 0) -> None:
    """Waits until the server accepts connections according to its pid file, as pg_ctl does."""
    pid_file, log = folder / "data" / "postmaster.pid", folder / "log"
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if pid_file.read_text().rstrip().endswith("ready"):
                return
        except FileNotFoundError:
            pass
        output = log.read_text()[skip:] if log.exists() else ""
        # Clients that connect too early also log a FATAL error.
        if re.search(r"FATAL:  (?!the database system is )", output):
            raise ServerFailed(f"PostgreSQL did not start:\n{output}")
        time.sleep(0.02)
    raise ServerFailed(f"PostgreSQL was not ready after {_START_SECONDS} s:\n{log.read_text()}")


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    keeper.stdin.close()
    keeper.stdout.close()
    try:
        keeper.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(keeper.pid, 9)
        keeper.wait(_STOP_SECONDS)
