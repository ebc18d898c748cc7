"""`pytest --workers 4`: runs the tests in processes that are forked once all tests are collected. Importing
and collecting them takes longer than most files of tests run, and is done once for all.

A worker takes one file after the other, in the order of collection.
"""

import os
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

import pytest

_NUMBER = 2
"""The size of a file's number in the pipe from which workers take them, in bytes."""

Files = Sequence[Sequence[pytest.Item]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", default="0", help="run the tests in this many forked processes, or `auto`")


def automatic_workers() -> int:
    """Two per core, as many tests wait for other processes. Each worker has its own servers, since some tests
    empty them or terminate all connections; a server named by the user is not shared."""
    if "RUNGRAPH_TEST_POSTGRES_URL" in os.environ:
        return 1
    return min(2 * len(os.sched_getaffinity(0)), 16) if hasattr(os, "sched_getaffinity") else 4


def worker_count(config: pytest.Config) -> int:
    """The number of workers; 0 if this process runs the tests."""
    option: str = config.getoption("workers")
    return automatic_workers() if option == "auto" else int(option)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Runs the tests if there is to be more than this process; otherwise pytest does."""
    number = worker_count(session.config)
    if not number or session.config.option.collectonly or session.testsfailed:
        return None
    by_path: defaultdict[Path, list[pytest.Item]] = defaultdict(list)
    for item in session.items:
        by_path[item.path].append(item)
    _run_in_workers(session, list(by_path.values()), number)
    return True


def _run_in_workers(session: pytest.Session, files: Files, number: int) -> None:
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    todo, writing = os.pipe()
    os.write(writing, b"".join(index.to_bytes(_NUMBER, "big") for index in range(len(files))))
    os.close(writing)
    workers: dict[Connection, _Worker] = {}
    sys.stdout.flush()
    try:
        for worker in range(number):
            link, theirs = Pipe(duplex=False)
            pid = os.fork()
            if pid == 0:
                _work(session, files, todo, theirs, folder / f"worker-{worker}")
            theirs.close()
            workers[link] = _Worker(session, pid)
        os.close(todo)
        while workers:
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                try:
                    workers[ready].receive(*ready.recv())
                except EOFError:
                    workers.pop(ready).end()
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
    finally:
        for running in workers.values():
            running.kill()


class _Worker:
    """A forked process, as seen by the one that reports its results."""

    def __init__(self, session: pytest.Session, pid: int) -> None:
        self._session = session
        self._pid = pid
        self._running: tuple[str, tuple[str, int | None, str]] | None = None

    def receive(self, kind: str, value: Any) -> None:
        """Takes a message of the process."""
        hook, config = self._session.config.hook, self._session.config
        if kind == "start":
            self._running = value
            hook.pytest_runtest_logstart(nodeid=value[0], location=value[1])
        elif kind == "finish":
            self._running = None
            hook.pytest_runtest_logfinish(nodeid=value[0], location=value[1])
        else:
            report = hook.pytest_report_from_serializable(config=config, data=value)
            hook.pytest_runtest_logreport(report=report)

    def end(self) -> None:
        """Waits for the end of the process; it is a failure of the test that runs, or else of the session."""
        _, status = os.waitpid(self._pid, 0)
        if code := os.waitstatus_to_exitcode(status):
            nodeid, location = self._running or ("a worker", ("", None, ""))
            message = f"the worker ended with {code}; the rest of this file was not run"
            report = pytest.TestReport(nodeid, location, {}, "failed", message, "call")
            self._session.config.hook.pytest_runtest_logreport(report=report)

    def kill(self) -> None:
        """Interrupts the process, as Ctrl-C does, and waits for its end."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGINT)
        os.waitpid(self._pid, 0)


def _work(session: pytest.Session, files: Files, todo: int, link: Connection, folder: Path) -> None:
    """Runs tests in a forked process, with temporary files in this folder, and ends it."""
    code, config = 1, session.config
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a script
        folder.mkdir()
        config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
        # Files that capture the output are not shared. Results go through the link, not to the terminal.
        capture = config.pluginmanager.getplugin("capturemanager")
        capture.stop_global_capturing()
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        capture.start_global_capturing()
        config.pluginmanager.register(_Reporter(config, link))
        try:
            for item, following in _tests(files, todo):
                config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldfail or session.shouldstop:
                    break
        finally:
            config.hook.pytest_sessionfinish(session=session, exitstatus=0)
        code = 0
    except KeyboardInterrupt:
        code = 2
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _tests(files: Files, todo: int) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """The tests of one file after the other, each with the next one, which may need the same fixtures."""

    def taken() -> Sequence[pytest.Item]:
        index = os.read(todo, _NUMBER)
        return files[int.from_bytes(index, "big")] if index else ()

    current = taken()
    while current:
        yield from pairwise(current)
        following = taken()
        yield current[-1], following[0] if following else None
        current = following


class _Reporter:
    """Sends the results of a forked process."""

    def __init__(self, config: pytest.Config, link: Connection) -> None:
        self._config = config
        self._link = link

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._link.send(("start", (nodeid, location)))

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._link.send(("finish", (nodeid, location)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._link.send(("report", data))
