"""Logging to an unwritable log: it neither raises nor blocks, and counts lost lines."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

SAY = """
import json, logging, os, sys, warnings
import structlog
from graph.observability.logs import configure_logs, dropped_log_lines, flush_logs
configure_logs("info", "json")
log = structlog.get_logger()
def tell(**values):
    flush_logs()
    print(json.dumps({"dropped": dropped_log_lines(), **values}), flush=True)
"""
EVERY_WAY = """
log.warning("ours")
logging.getLogger("uvicorn.error").error("of a library")
warnings.warn("careful")
try:
    1 / 0
except ZeroDivisionError:
    log.error("with a traceback", exc_info=True)
tell()
"""


def run(code: str, stderr: int | IO[bytes], *command: str) -> subprocess.CompletedProcess[str]:
    python = [sys.executable, "-c", SAY + code]
    return subprocess.run(
        [*command, *python], stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60, check=False
    )


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The result of the program, which has to succeed."""
    assert done.returncode == 0, done
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_logging_to_a_full_disk_does_not_raise() -> None:
    with open("/dev/full", "wb") as full:
        assert result_of(run(EVERY_WAY, full)) == {"dropped": 4}


def test_logging_to_a_closed_pipe_does_not_raise() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert result_of(run(EVERY_WAY, writing)) == {"dropped": 4}
    finally:
        os.close(writing)


def test_logging_to_a_closed_stream_does_not_raise_or_write_to_another_file(tmp_path: Path) -> None:
    code = f"""
file = open({str(tmp_path / "database")!r}, "wb")
log.warning("ours")
os.system("echo something >&2")
tell(descriptor=file.fileno())
"""
    found = result_of(run(code, subprocess.DEVNULL, "sh", "-c", 'exec "$@" 2>&-', "sh"))
    assert found["dropped"] == 1
    assert found["descriptor"] > 2
    assert (tmp_path / "database").read_bytes() == b""


def test_a_reader_that_pauses_blocks_no_logging_and_gets_the_queued_lines() -> None:
    reading, writing = os.pipe()
    code = """
for number in range(20_000):
    log.warning("line", number=number)
print("went on", flush=True)
sys.stdin.readline()
for number in range(20_000, 20_010):
    flush_logs(60)
    log.warning("line", number=number)
tell()
"""
    with subprocess.Popen(
        [sys.executable, "-c", SAY.replace("flush_logs()", "flush_logs(60)") + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
    ) as process:
        os.close(writing)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "went on\n"
        print(file=process.stdin, flush=True)
        with os.fdopen(reading) as lines:
            entries = [json.loads(line) for line in lines]
        dropped = json.loads(process.stdout.readline())["dropped"]
    numbers = [entry["number"] for entry in entries if entry["event"] == "line"]
    assert numbers == sorted(numbers)
    assert numbers[-10:] == list(range(20_000, 20_010))
    assert dropped == 20_010 - len(numbers) > 0  # the report came when nothing waited, and was written
    reported = [entry["count"] for entry in entries if entry["event"] == "log lines could not be written"]
    assert 0 < sum(reported) <= dropped


def test_a_log_continues_with_a_whole_line_once_there_is_space(tmp_path: Path) -> None:
    code = """
import resource
log.warning("first")
flush_logs()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = os.fstat(2).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
for _ in range(3):
    log.warning("too much")
    flush_logs()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.warning("last")
tell()
"""
    with (tmp_path / "log").open("wb") as log:
        assert result_of(run(code, log)) == {"dropped": 3}
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines[1]) == 20  # what of the first that was too much could be written
    events = [json.loads(line) for line in [lines[0], *lines[2:]]]
    assert [event["event"] for event in events] == ["first", "last", "log lines could not be written"]
    assert events[-1]["count"] == 3


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_value_that_cannot_be_formatted_is_left_out(format: str) -> None:
    code = f"""
configure_logs("info", {format!r})
class Bad:
    def __str__(self): raise RuntimeError("no text")
    __repr__ = __str__
endless = []
endless.append(endless)
log.warning("a bad value", value=Bad())
log.warning("an endless one", value=endless)
logging.error("%s", Bad())
logging.error(Bad())
tell()
"""
    done = run(code, subprocess.PIPE)
    assert result_of(done)["dropped"] <= 1
    assert "a bad value" in done.stderr
    assert "an endless one" in done.stderr


def test_the_last_lines_are_written_before_the_process_ends() -> None:
    lines = run(
        "[log.warning('line', number=n) for n in range(500)]; raise OSError('ended')", subprocess.PIPE
    )
    entries = [json.loads(line) for line in lines.stderr.splitlines()]
    assert [entry.get("number") for entry in entries] == [*range(500), None]
    assert entries[-1]["event"] == "ended by an error"
