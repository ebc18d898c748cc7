"""A real PgBouncer in front of a PostgreSQL server, configured as in docs/operations.md."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests.support.ports import free_port

_START_SECONDS = 30
_STOP_SECONDS = 15
# It lives until this shell's input is closed, so that none is left when the tests are killed.
_KEEPER = '"$@" & server=$!; read -r _; kill -INT $server; wait $server'


def find_pgbouncer() -> str | None:
    """The path of pgbouncer, or None."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def running_pgbouncer(url: str) -> Iterator[str]:
    """Runs PgBouncer; yields the URL of the same database through it."""
    program, target = find_pgbouncer(), make_url(url)
    assert program is not None, "PgBouncer is not installed: run `python tests/prepare.py`"
    # It refuses to run as root.
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
    with tempfile.TemporaryDirectory(prefix="rungraph-pgbouncer-") as name:
        folder, port = Path(name), free_port()
        if user is not None:
            shutil.chown(folder, user)
        (folder / "users").write_text(f'"{target.username}" ""\n')
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"""[databases]
* = host={target.host} port={target.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder / "users"}
pool_mode = session
default_pool_size = 100
server_login_retry = 1
ignore_startup_parameters = jit, statement_timeout
"""
        )
        with (folder / "log").open("wb") as log:
            keeper = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "pgbouncer-keeper", program, str(config)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                user=user,
                extra_groups=None if user is None else [],
                start_new_session=True,
            )
        assert keeper.stdin is not None
        try:
            _wait_until_ready(keeper, folder / "log")
            yield target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        finally:
            keeper.stdin.close()
            try:
                keeper.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(keeper.pid, 9)
                keeper.wait(_STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while "process up" not in (output := log.read_text()):
        is_there = process.poll() is None and time.monotonic() < deadline
        assert is_there, f"PgBouncer did not start:\n{output}"
        time.sleep(0.02)
