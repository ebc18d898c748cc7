"""Data directories of PostgreSQL servers."""

import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SECONDS = 30
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 1024**3


class ServerFailed(Exception):
    """PostgreSQL or one of its programs failed; the message has its output."""


def find_binaries() -> Path | None:
    """The folder of the newest initdb and postgres, or None."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    if pg_config := shutil.which("pg_config"):
        done = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, timeout=10)
        folders.append(Path(done.stdout.strip()))
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name)
    folders.extend(reversed(versions))
    for folder in folders:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    return None


def base_backup(url: str, data: Path) -> list[str]:
    """The command that copies the data of the running server at this URL."""
    binaries = find_binaries()
    assert binaries is not None
    options = ("--wal-method=stream", "--checkpoint=fast", "--no-sync")
    return [str(binaries / "pg_basebackup"), f"--dbname={url}", f"--pgdata={data}", *options]


def memory_folder() -> Path | None:
    """A folder in memory, if there is one with space; otherwise None, the usual place for temporary files.
    Creating a database writes 300 files: 25 ms there, up to 400 ms on a disk."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES:
        return _MEMORY
    return None


def unprivileged_user() -> str | None:
    """The user of the server if the tests run as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def make_data(binaries: Path, folder: Path, primary_url: str | None, archive: bytes | None) -> None:
    """Makes the directory `data` of a standby, or else of a server: from an archive, or an empty one with a
    system identifier of its own. Raises ServerFailed."""
    if user := unprivileged_user():
        shutil.chown(folder, user)
    if primary_url is not None:
        run([*base_backup(primary_url, folder / "data"), "--write-recovery-conf"], folder)
    elif archive is not None:
        run(["tar", "-xf", "-"], folder, archive)
    else:
        run(_initdb(binaries), folder)


def archived(folder: Path) -> bytes:
    """The directory `data` of a server that does not run, as a tar file."""
    return run(["tar", "-cf", "-", "data"], folder)


@cache
def initial_data(binaries: Path) -> bytes:
    """An archive of an empty server: initdb takes twenty times as long to make one as tar."""
    with tempfile.TemporaryDirectory(prefix="rungraph-postgres-", dir=memory_folder()) as name:
        make_data(binaries, Path(name), None, None)
        return archived(Path(name))


def _initdb(binaries: Path) -> list[str]:
    options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
    return [str(binaries / "initdb"), "--pgdata=data", *options]


def run(command: list[str], folder: Path, input: bytes = b"") -> bytes:
    """The output of a program, run by the user of the server. Raises ServerFailed."""
    user = unprivileged_user()
    done = subprocess.run(
        command,
        input=input,
        capture_output=True,
        timeout=SECONDS,
        cwd=folder,
        user=user,
        extra_groups=None if user is None else [],
    )
    if done.returncode != 0:
        raise ServerFailed(f"{command[0]} failed:\n{(done.stdout + done.stderr).decode()}")
    return done.stdout
