"""Installs what the tests need beyond pip and npm if permitted; otherwise says what to install. Exits with 1
if something is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.browser import HEADLESS_SHELL, find_chromium, find_firefox
from tests.support.fake_clock import find_library
from tests.support.nginx import find_nginx
from tests.support.pgbouncer import find_pgbouncer
from tests.support.postgres_data import find_binaries
from tests.support.redis_server import find_redis


@dataclass
class Need:
    """A program that the tests need."""

    name: str
    is_met: Callable[[], bool]
    debian_package: str
    elsewhere: str


NEEDS = [
    Need(
        "PostgreSQL's server (initdb and postgres)",
        lambda: bool(os.environ.get("RUNGRAPH_TEST_POSTGRES_URL")) or find_binaries() is not None,
        "postgresql",
        "or name a running server whose user may create databases:\n"
        "    RUNGRAPH_TEST_POSTGRES_URL=postgresql://user:password@host/postgres",
    ),
    Need(
        "Redis's server (redis-server)",
        lambda: find_redis() is not None,
        "redis-server",
        "or put redis-server on the PATH.",
    ),
    Need(
        "Chromium, in which they open the page and GraphiQL",
        lambda: find_chromium() is not None,
        "chromium",
        "or name a Chromium or Chrome of yours:\n    RUNGRAPH_TEST_CHROMIUM=/path/to/chrome",
    ),
    Need(
        "Firefox, in which they open the page too",
        lambda: find_firefox() is not None,
        "firefox-esr",
        "or name a Firefox of yours:\n    RUNGRAPH_TEST_FIREFOX=/path/to/firefox",
    ),
    Need(
        "nginx, which they put in front of a server",
        lambda: find_nginx() is not None,
        "nginx-light",
        "or put nginx on the PATH.",
    ),
    Need(
        "PgBouncer, through which servers reach PostgreSQL during a failover",
        lambda: find_pgbouncer() is not None,
        "pgbouncer",
        "or put pgbouncer on the PATH.",
    ),
    Need(
        "libfaketime, with which they put clocks back and forward",
        lambda: find_library() is not None,
        "libfaketime",
        "or name the library:\n    RUNGRAPH_TEST_FAKETIME=/path/to/libfaketimeMT.so.1",
    ),
]


def apt_command() -> list[str] | None:
    """The command that installs packages without interaction, or None."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n", "apt-get"]
    return None


def is_shell_missing() -> bool:
    """Whether tests would be faster with a package that Debian has and Ubuntu does not."""
    if os.environ.get("RUNGRAPH_TEST_CHROMIUM") or shutil.which(HEADLESS_SHELL):
        return False
    if shutil.which("apt-cache") is None:
        return False
    return subprocess.run(["apt-cache", "show", HEADLESS_SHELL], capture_output=True).returncode == 0


def install(apt: list[str], packages: list[str]) -> None:
    """Installs Debian packages; the output is shown only if that fails."""
    print(f"Installing for the tests: {' '.join(packages)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    output = ""
    # If the package lists cannot be updated, the existing ones may suffice.
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            [*apt, *step], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        output += f"$ {' '.join([*apt, *step])}\n{done.stdout}{done.stderr}"
    if done.returncode != 0:
        print(output, file=sys.stderr)


def main() -> int:
    """Returns the exit code."""
    missing = [need for need in NEEDS if not need.is_met()]
    if missing and (apt := apt_command()):
        install(apt, [need.debian_package for need in missing])
        missing = [need for need in missing if not need.is_met()]
    if is_shell_missing() and (apt := apt_command()):
        install(apt, [HEADLESS_SHELL])
    for need in missing:
        print(
            f"The tests need {need.name}. On Debian and Ubuntu:\n"
            f"    apt-get install {need.debian_package}\n{need.elsewhere}",
            file=sys.stderr,
        )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
