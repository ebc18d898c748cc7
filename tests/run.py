"""Runs the checks of `make test` part by part: pytest, and at the same time all others, one after the other.
A third at the same time made tests time out on two cores.

A part that succeeds prints one line with its wall and CPU time. A part that fails prints its output; the
others still run, and the exit code is 1. `python tests/run.py types page` runs only these parts.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = ROOT / ".venv" / "bin"
FRONTEND = ROOT / "frontend"
API_TESTS = [
    *(f"tests/graph/schema/test_{name}.py" for name in ("graphql", "errors", "subscriptions", "abort_api")),
    *(f"tests/graph/transport/test_{name}.py" for name in ("http", "shared_subscriptions", "websocket")),
    "tests/graph/limits/test_documents.py",
    "tests/repo/actions/test_values.py",
    "tests/repo/actions/test_counts.py",
    "tests/repo/domain/test_identifiers.py",
]


@dataclass(frozen=True)
class Part:
    """Commands of one check, run in a folder."""

    name: str
    commands: list[list[str]]
    folder: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)


def python(*command: str) -> list[str]:
    """A program of the virtual environment."""
    return [str(BIN / command[0]), *command[1:]]


def npm(*scripts: str) -> list[list[str]]:
    """Scripts of the page's package.json."""
    return [["npm", "run", "--silent", script] for script in scripts]


PYTEST = ("pytest", "-q", "-m", "not soak")
TESTS = Part("pytest", [python(*PYTEST, "--workers", "auto")])
OTHERS = [
    Part("style", [python("ruff", "check", "--quiet"), python("ruff", "format", "--check", "--quiet")]),
    Part("imports", [python("lint-imports")]),
    Part("types", [python("mypy")]),
    Part("schema", [python("rungraph", "schema", "check")]),
    Part("page", npm("lint", "typecheck", "codegen:check"), FRONTEND),
    Part("page-tests", npm("test"), FRONTEND),
    Part("browser-tests", npm("test:browser"), FRONTEND),
    Part(
        "pytest-uncompiled",
        [python("pytest", "-q", "-k", "not postgresql", *API_TESTS)],
        environment={"RUNGRAPH_TEST_COMPILED_EXECUTION": "false"},
    ),
]


def environment() -> dict[str, str]:
    """Ours, in which Python may store bytecode: the tests start it hundreds of times, and it would compile
    everything each time."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(part: Part) -> bool:
    """Runs a part and prints its result; returns whether it succeeded."""
    began, output, cpu, succeeded = time.monotonic(), b"", 0.0, True
    for command in part.commands:
        with subprocess.Popen(
            command,
            cwd=part.folder,
            env=environment() | part.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None
            output += process.stdout.read()
            # Not reaped by Popen, since only wait4 returns the CPU time of a single process.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        cpu += usage.ru_utime + usage.ru_stime
        if process.returncode != 0:
            succeeded = False
            break
    seconds = f"{time.monotonic() - began:.0f} s, {cpu:.0f} s of CPU"
    text = output.decode(errors="replace").strip()
    if succeeded:
        summary = text.splitlines()[-1].strip(" =") if part is TESTS and text else ""
        print(f"ok      {part.name} ({seconds}) {summary}".rstrip(), flush=True)
    else:
        print(f"{text}\nFAILED  {part.name} ({seconds})", flush=True)
    return succeeded


def main(names: list[str]) -> int:
    """Returns the exit code."""
    if unknown := set(names) - {part.name for part in (TESTS, *OTHERS)}:
        print(f"no such part: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    lanes = [[part for part in lane if not names or part.name in names] for lane in ([TESTS], OTHERS)]
    with ThreadPoolExecutor(len(lanes)) as threads:
        succeeded = list(threads.map(lambda lane: [run(part) for part in lane], lanes))
    return 0 if all(map(all, succeeded)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
