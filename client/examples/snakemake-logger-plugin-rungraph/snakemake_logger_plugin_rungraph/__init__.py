"""Records a workflow of Snakemake as a run of Rungraph, and its jobs as actions of it."""

import logging
import os
import re
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
import rungraph
from snakemake_interface_logger_plugins.base import LogHandlerBase

_RESTART = re.compile(r"Trying to restart job (\d+)")
_LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
_MAX_LINES = 5000
"""Lines of a log file that are recorded: of longer ones the last."""


class LogHandler(LogHandlerBase):
    """Called by Snakemake with every record of its log, in a thread of its own."""

    def __post_init__(self) -> None:
        self._run: rungraph.Step | None = None
        self._snakefile: str | None = None
        self._jobs: dict[int, rungraph.Step] = {}
        """The last attempt of each job."""
        self._logs: dict[int, list[str]] = {}
        self._failures: dict[int, str] = {}
        self._has_failed = False
        self._is_interrupted = False

    writes_to_stream = False
    writes_to_file = False
    has_filter = True  # of its own: it needs all records, whatever is printed
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if not self.common_settings.dryrun:
                event = getattr(record, "event", None)
                name = getattr(event, "value", "message")
                getattr(self, f"_on_{name}", self._on_other)(record)
        except Exception:
            self.handleError(record)

    def _on_workflow_started(self, record: Any) -> None:
        self._snakefile = str(
            getattr(record, "snakefile", None) or getattr(record, "snakefile_main", None) or ""
        )

    def _root(self) -> rungraph.Step:
        if self._run is None:
            self._run = rungraph.begin(
                Path.cwd().name or "snakemake",
                function=self._snakefile or "Snakefile",
                task=self._snakefile or "Snakefile",
                on_abort=self._on_abort,
            )
        return self._run

    def _on_abort(self, reason: str) -> None:
        """As Ctrl-C in a terminal, which interrupts Snakemake and the jobs that it runs here."""
        self._is_interrupted = True
        os.kill(os.getpid(), signal.SIGINT)
        for process in psutil.Process().children(recursive=True):
            process.send_signal(signal.SIGINT)

    def _on_run_info(self, record: Any) -> None:
        counts: Mapping[str, int] = getattr(record, "stats", None) or {}
        total = getattr(record, "total_job_count", None) or counts.get("total")
        self._root().progress(0, total)

    def _on_progress(self, record: Any) -> None:
        self._root().progress(record.done, record.total)

    def _on_job_info(self, record: Any) -> None:
        wildcards = dict(record.wildcards or {})
        name = ", ".join([record.rule_name, *(f"{key}={value}" for key, value in wildcards.items())])
        last = self._jobs.get(record.jobid)
        if last is not None:
            self._jobs[record.jobid] = last.next_attempt()
            return
        resources = {key: value for key, value in record.resources.items() if not key.startswith("_")}
        spec = {
            "jobid": record.jobid,
            "wildcards": wildcards,
            "input": list(record.input or []),
            "output": list(record.output or []),
            "log": list(record.log or []),
            "threads": record.threads,
            "resources": resources,
            "shell": record.shellcmd,
            "reason": record.reason,
        }
        self._logs[record.jobid] = spec["log"]
        self._jobs[record.jobid] = rungraph.begin(
            name, self._root(), function=record.rule_name, task=record.rule_name, spec=spec
        )

    def _on_job_finished(self, record: Any) -> None:
        step = self._jobs.get(record.job_id)
        if step is not None:
            _log_files(step, self._logs[record.job_id])
            step.end(at=record.created)

    def _on_job_error(self, record: Any) -> None:
        """Of a job that is not tried again. It is logged twice."""
        self._has_failed = True
        message = record.rule_msg or self._failures.get(record.jobid)
        if message is None:
            message = "the command failed" if record.shellcmd else "the job failed"
        if record.shellcmd:
            message += f"\n\n{record.shellcmd}"
        self._fail(record.jobid, message, record)

    def _fail(self, jobid: int, message: str, record: logging.LogRecord) -> None:
        step = self._jobs.get(jobid)
        if step is not None and step.phase == "RUNNING":
            _log_files(step, self._logs[jobid])
            step.end("FAILED", "JOB_FAILED", message, at=record.created)

    def _on_error(self, record: Any) -> None:
        self._has_failed = True
        self._on_other(record)

    def _on_other(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if (found := _RESTART.match(text)) is not None:
            self._fail(int(found[1]), "the job failed and is tried again", record)
        if text.startswith("Terminating processes on user request"):
            self._is_interrupted = True
        if self._run is not None and text:
            level = record.levelname if record.levelname in _LEVELS else None
            self._run.log(text, level, "snakemake", at=record.created)

    def close(self) -> None:
        """The workflow has ended."""
        run, self._run = self._run, None
        if run is not None:
            for jobid, step in self._jobs.items():
                if step.phase == "RUNNING":
                    _log_files(step, self._logs[jobid])
                    step.end("ABORTED" if self._is_interrupted else "FAILED")
            failed = sum(step.phase == "FAILED" for step in self._jobs.values())
            if self._is_interrupted:
                run.end("ABORTED")
            elif failed or self._has_failed:
                run.end("FAILED", "JOBS_FAILED", f"{failed} of {len(self._jobs)} jobs failed")
            else:
                run.end()
            rungraph.flush(2)
        super().close()


def _log_files(step: rungraph.Step, paths: Iterable[str]) -> None:
    """Records the log files of a job."""
    for path in paths:
        try:
            lines = Path(path).read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines[-_MAX_LINES:]:
            step.log(line, stream=path)
