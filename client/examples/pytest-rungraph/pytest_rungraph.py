"""Records a session of pytest as a run of Rungraph: files are actions, tests are actions below them."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import rungraph

_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(?::|$)")
_MAX_LINES = 5000
"""Lines of a section that are recorded: of longer ones the last."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rungraph")
    group.addoption("--rungraph", action="store_true", help="Record the session in Rungraph.")
    group.addoption("--no-rungraph", action="store_true", help="Do not, although RUNGRAPH_URL is set.")


def pytest_configure(config: pytest.Config) -> None:
    is_on = config.getoption("rungraph") or os.environ.get("RUNGRAPH_URL")
    is_worker = hasattr(config, "workerinput")  # of pytest-xdist: the controller records
    is_off = config.getoption("no_rungraph") or config.getoption("collectonly")
    if is_on and not is_worker and not is_off:
        config.pluginmanager.register(SessionRecorder(config), "rungraph-recorder")


def _quietly(hook: Callable[..., None]) -> Callable[..., None]:
    """An error of the plugin is logged, and fails no test."""

    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            logging.getLogger("rungraph").warning("the plugin failed", exc_info=True)

    return guarded


class _Messages(logging.Handler):
    """Keeps what the client logs for the end of the session, out of the captured output of tests."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        logger = logging.getLogger("rungraph")
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class _Test:
    """A test that runs."""

    def __init__(self, step: rungraph.Step, file: str) -> None:
        self.step, self.file = step, file
        self.sections = 0
        """How many captured sections of its reports are recorded."""
        self.end: tuple[str, str | None, str | None] = ("SUCCEEDED", None, None)
        """Phase, code and message."""
        self.will_rerun = False

    def next_attempt(self) -> None:
        self.step = self.step.next_attempt()
        self.end, self.will_rerun = ("SUCCEEDED", None, None), False


class SessionRecorder:
    """The hooks, in the process that has all reports: with pytest-xdist the controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: pytest.Session | None = None
        self._run: rungraph.Step | None = None
        self._files: dict[str, rungraph.Step] = {}
        self._tests: dict[str, _Test] = {}
        self._ids: set[str] = set()
        self._shared: set[str] = set()
        """Names of tests that several files have."""
        self._remaining: Counter[str] = Counter()
        """Tests of each file that have not ended."""
        self._phases: dict[str, Counter[str]] = {}
        self._abort: str | None = None
        self._messages = _Messages()

    @_quietly
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        arguments = list(self._config.invocation_params.args)
        self._run = rungraph.begin(
            "pytest", function="pytest", spec={"arguments": arguments}, on_abort=self._on_abort
        )

    def _on_abort(self, reason: str) -> None:
        """Called from a thread of the client: the session ends after the current test."""
        self._abort = f"aborted in Rungraph: {reason}" if reason else "aborted in Rungraph"
        if self._session is not None:
            self._session.shouldstop = self._abort

    @_quietly
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._collected(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    @_quietly
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self._collected(ids)

    def _collected(self, ids: Iterable[str]) -> None:
        new = set(ids) - self._ids
        self._ids |= new
        self._remaining.update(_file(each) for each in new)
        names = Counter(_name(each) for each in self._ids)
        self._shared = {name for name, count in names.items() if count > 1}

    @_quietly
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            code, message = _error(report)
            rungraph.begin(report.nodeid or "collection", self._run).end("FAILED", code, message)
            self._phases.setdefault(_file(report.nodeid), Counter())["FAILED"] += 1

    @_quietly
    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if nodeid in self._tests:
            self._tests[nodeid].next_attempt()
            return
        file, name = _file(nodeid), _name(nodeid)
        if file not in self._files:
            self._files[file] = rungraph.begin(file, self._run)
        full = nodeid if name in self._shared else name
        self._tests[nodeid] = _Test(rungraph.begin(full, self._files[file], function=nodeid), file)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._report(report)
        if self._abort is not None and hasattr(report, "node"):
            pytest.exit(self._abort, returncode=2)  # the controller of pytest-xdist, which stops its workers

    @_quietly
    def _report(self, report: pytest.TestReport) -> None:
        test = self._tests.get(report.nodeid)
        if test is None:
            return
        if test.will_rerun and report.when == "setup":
            test.next_attempt()
        for title, content in report.sections[test.sections :]:
            _log(test.step, title, content)
        test.sections = len(report.sections)
        outcome: str = report.outcome
        stop = getattr(report, "stop", None)
        if outcome == "rerun":  # of pytest-rerunfailures
            test.step.end("FAILED", *_error(report), at=stop)
            test.will_rerun = True
        elif outcome == "failed":
            if test.end[0] != "FAILED":
                test.end = ("FAILED", *_error(report))
        elif hasattr(report, "wasxfail"):
            result = "failed as expected" if outcome == "skipped" else "passed unexpectedly"
            test.step.log(": ".join(filter(None, [result, report.wasxfail])), "WARNING", "pytest")
        elif outcome == "skipped":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            test.end = ("SKIPPED", "SKIPPED", reason.removeprefix("Skipped: "))
        if report.when not in ("setup", "call") and not test.will_rerun:
            self._finish(report.nodeid, stop)

    def _finish(self, nodeid: str, at: float | None) -> None:
        test = self._tests.pop(nodeid)
        test.step.end(*test.end, at=at)
        self._phases.setdefault(test.file, Counter())[test.end[0]] += 1
        self._remaining[test.file] -= 1
        if self._run is not None:
            self._run.progress(sum(self._total().values()), len(self._ids))
        if self._remaining[test.file] == 0:
            self._files[test.file].end(*_summary(self._phases[test.file]), at=at)

    def _total(self) -> Counter[str]:
        return sum(self._phases.values(), Counter())

    @_quietly
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        phase, code, message = _summary(self._total())
        is_aborted = exitstatus == pytest.ExitCode.INTERRUPTED and bool(self._abort or phase != "FAILED")
        if is_aborted:
            phase, code, message = "ABORTED", None, None
        for nodeid in list(self._tests):
            self._tests.pop(nodeid).step.end("ABORTED")
        for file, step in self._files.items():  # that have tests which did not run
            phases = self._phases.get(file, Counter())
            step.end(*(("ABORTED",) if is_aborted and not phases["FAILED"] else _summary(phases)))
        if exitstatus not in (0, 1, 2, 5):
            phase, code = "FAILED", f"EXIT_{int(exitstatus)}"
            message = f"pytest ended with exit code {int(exitstatus)}"
        if self._run is not None:
            self._run.end(phase, code, message)

    @_quietly
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._messages.lines:
            terminalreporter.write_line(f"rungraph: {line}")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _name(nodeid: str) -> str:
    return nodeid.partition("::")[2] or nodeid


def _summary(phases: Counter[str]) -> tuple[str, str | None, str | None]:
    """Phase, code and message of what has tests that ended in these phases."""
    if phases["FAILED"]:
        return "FAILED", "TESTS_FAILED", f"{phases['FAILED']} of {sum(phases.values())} tests failed"
    if not phases["SUCCEEDED"]:
        return "SKIPPED", "SKIPPED", "all tests were skipped" if phases else "no tests"
    return "SUCCEEDED", None, None


def _error(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str]:
    """A code and a message: the line of the exception, then what pytest prints."""
    crash = getattr(report.longrepr, "reprcrash", None)
    line = getattr(crash, "message", "") or ""
    found = _EXCEPTION.match(line)
    is_exception = found is not None and found[1].rpartition(".")[2][:1].isupper()
    code = found[1] if found is not None and is_exception else "AssertionError"
    text = report.longreprtext
    return code, f"{line}\n\n{text}" if line else text


def _log(step: rungraph.Step, title: str, content: str) -> None:
    """Records a captured section, such as `Captured stdout call`."""
    words = title.split()
    stream = words[1] if words[0] == "Captured" and len(words) > 1 else title
    level: str | None = None
    for line in content.splitlines()[-_MAX_LINES:]:
        if stream == "log":
            found = _LEVEL.match(line)
            level = found[1] if found else level
        step.log(line, level, stream)
