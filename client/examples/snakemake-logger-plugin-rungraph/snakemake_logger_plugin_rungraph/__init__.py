"""Records a workflow of Snakemake as a run of Rungraph, and its jobs as actions of it."""

import logging
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
import rungraph
from snakemake_interface_logger_plugins.base import LogHandlerBase

_LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
_MAX_LINES = 5000
"""Lines of a log file that are recorded: of longer ones the last."""


class LogHandler(LogHandlerBase):
    """Called by Snakemake with every record of its log, in a thread of its own."""

    def __post_init__(self) -> None:
        self._run: rungraph.Step | None = None
        self._snakefile = "Snakefile"
        self._jobs: dict[int, rungraph.Step] = {}
        """The last attempt of each job."""
        self._logs: dict[int, list[str]] = {}
        self._error: str | None = None
        """The last one that belongs to no job."""
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
        """Only notes the file: nothing may have to be done."""
        self._snakefile = str(getattr(record, "snakefile_main", None) or record.snakefile or self._snakefile)

    def _root(self) -> rungraph.Step:
        if self._run is None:
            name = Path.cwd().name or "snakemake"
            spec = {"arguments": sys.argv[1:], "snakefile": self._snakefile}
            self._run = rungraph.begin(name, task=name, spec=spec, on_abort=self._on_abort)
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

    def _on_error(self, record: Any) -> None:
        self._error = record.getMessage().removeprefix("RuleException:\n")
        self._on_other(record)

    def _on_job_error(self, record: Any) -> None:
        """Follows the error that is its cause. Of a job that is not tried again, it comes twice."""
        step = self._jobs.get(record.jobid)
        if step is not None and step.phase == "RUNNING":
            message = record.rule_msg or self._error or f"the job {record.rule_name} failed"
            _log_files(step, self._logs[record.jobid])
            step.end("FAILED", "JOB_FAILED", message, at=record.created)
        self._error = None

    def _on_other(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
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
            elif failed:
                run.end("FAILED", "JOBS_FAILED", f"{failed} of {len(self._jobs)} jobs failed")
            elif self._error is not None:
                run.end("FAILED", "WORKFLOW_FAILED", self._error)
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
