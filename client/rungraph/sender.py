"""The thread that sends: batches of records, leases, and what other processes left on the disk."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from . import documents
from .aborts import note_abort
from .connection import Connection, Refused, Unavailable
from .delivery import Delivery
from .recorder import Recorder
from .settings import Settings
from .spool import orphans
from .steps import Run

if TYPE_CHECKING:
    from .process import Process

_GATHER_SECONDS = 0.05
"""How long entries are collected before they are sent."""
_RENEW_SECONDS = 1.5
"""How often leases are renewed at least: the answer has the aborts."""
_ORPHANS_SECONDS = 20.0
_BATCH = 2000
_RETRY = (0.5, 15.0)
_SILENT_AFTER = 1.0
_EXIT_WAIT, _EXIT_WAIT_ONLINE = 0.35, 2.0
"""How long the end of the process waits for a response of a server that did not respond, or did."""


class Sender:
    """Starts with the first step and ends with the process. Nothing that it does raises into the script."""

    def __init__(self, process: Process, recorder: Recorder, settings: Settings) -> None:
        self._process, self._recorder, self._settings = process, recorder, settings
        connection = Connection(settings.url, lambda: settings.token, self._while_waiting)
        self.delivery = Delivery(connection, process.warn, self._keep_leases)
        leases = Connection(settings.url, lambda: settings.token, self._while_waiting)
        self._lease_connection, self._connection = leases, connection
        self.is_running = False
        self._is_online = False
        self._is_closing = False
        self._retry_at = 0.0
        self._retry_pause = _RETRY[0]
        self._renew_at = 0.0
        self._renewed_at: float | None = None
        self._orphans_at = 0.0
        self._answered_at = 0.0
        self._is_done = threading.Event()
        self._flushes = 0
        self._start_lock = threading.Lock()

    def start(self) -> None:
        with self._start_lock:
            if self.is_running or self._is_closing:
                return
            self.is_running = True
            try:
                threading.Thread(target=self._run, name="rungraph-sender", daemon=True).start()
            except RuntimeError as error:  # no more threads, or the interpreter ends
                self.is_running = False
                self._process.failed(error)

    def _run(self) -> None:
        while not self._is_closing or not self._is_done.is_set():
            try:
                self._turn()
            except Exception as error:
                self._process.failed(error)
                time.sleep(1)

    def _turn(self) -> None:
        recorder = self._recorder
        now = time.monotonic()
        if now < self._retry_at:
            recorder.move_to_disk()
            if not self._finish():
                self._sleep(self._retry_at - now)
            return
        try:
            self._keep_leases()
            sent = recorder.send(_BATCH, self._deliver)
            if not sent and not recorder.queue and recorder.spool.is_empty():
                self._send_orphans()
                if not self._finish():
                    self._sleep(max(self._renew_at - time.monotonic(), 0.01) if self._open_runs() else 60.0)
            elif len(recorder.queue) < 500 and recorder.spool.is_empty():
                self._gather()
        except Unavailable as error:
            self._is_online = False
            if not error.is_silent or self._retry_pause >= 4:
                kept = f"; reports are kept in {self._settings.spool_folder} until it is available"
                self._process.warn(f"{error}{'' if recorder.loses else kept}")
            self._retry_at = time.monotonic() + self._retry_pause
            self._retry_pause = min(self._retry_pause * 2, _RETRY[1])

    def _finish(self) -> bool:
        """Whether the process ends, so that nothing is left to do."""
        if self._is_closing:
            self._is_done.set()
        return self._is_closing

    def _sleep(self, seconds: float) -> None:
        """Waits for entries, or so long. Those that come while the server is unavailable wait too."""
        recorder = self._recorder
        recorder.wake.clear()
        recorder.is_idle = True
        if recorder.queue or recorder.wake.wait(0 if self._is_closing else min(seconds, 60.0)):
            self._gather()
        recorder.is_idle = False

    def _gather(self) -> None:
        if not self._is_closing:
            time.sleep(_GATHER_SECONDS)

    def _deliver(self, records: list[tuple[str, bytes]]) -> None:
        self.delivery.deliver(records)
        self._answered()

    def _answered(self) -> None:
        self._answered_at = time.monotonic()
        self._is_online, self._retry_pause, self._retry_at = True, _RETRY[0], 0.0

    def _while_waiting(self, seconds: float) -> None:
        """Called while a response is late: the queue goes to the disk meanwhile."""
        if seconds > _SILENT_AFTER:
            self._is_online = False
        self._recorder.move_to_disk()
        if self._is_closing and self._is_done.is_set():
            raise TimeoutError("the process ends")

    def _open_runs(self) -> list[Run]:
        return [run for run in list(self._process.runs) if run.open]

    def _keep_leases(self) -> None:
        """Renews the leases that are due. Raises Unavailable."""
        now = time.monotonic()
        runs = self._open_runs()
        if self.delivery.saw_abort:
            runs += list(self._process.ended)
        elif now < self._renew_at:
            runs = [run for run in runs if not run.has_lease]
        else:
            self._renew_at = now + min(self._settings.lease_seconds / 3, _RENEW_SECONDS)
        # A new run is reported first.
        runs = [run for run in runs if run.is_known]
        if runs:
            self._renew(runs[:1000])
        self.delivery.saw_abort = False

    def _renew(self, runs: list[Run]) -> None:
        variables = {
            "runs": [run.identifier() for run in runs],
            "executor": runs[0].executor,
            "ttl": self._settings.lease_seconds,
        }
        try:
            data = self._lease_connection.graphql(documents.RENEW_LEASE, json.dumps(variables).encode(), 5.0)
        except Refused as error:
            self._process.warn(f"no lease: {error}")
            for run in runs:
                run.has_lease = True
            return
        self._answered()
        for run, result in zip(runs, data["renewLease"]["results"]):
            problem = result["error"]
            run.has_lease = problem is None or problem["code"] != "NOT_FOUND"
            if problem is not None and run.has_lease:
                self._process.warn(f"no lease: {problem['code']}: {problem['message']}")
            for action in result["aborts"]:
                reason = (action["abort"] or {}).get("reason") or ""
                note_abort(run, action["name"], reason, self._recorder.put)

    def _send_orphans(self) -> None:
        now = time.monotonic()
        if now < self._orphans_at and not self._is_closing:
            return
        self._orphans_at = now + _ORPHANS_SECONDS
        send_orphans(self._settings, self.delivery)

    def flush(self, seconds: float) -> bool:
        """Waits until all is sent; whether it was."""
        until = time.monotonic() + seconds
        recorder = self._recorder
        while time.monotonic() < until:
            recorder.wake.set()
            if not recorder.queue and recorder.in_flight is None and recorder.spool.is_empty():
                return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        """Sends what is left, as long as the server responds, and keeps the rest on the disk."""
        if self._is_closing:
            return
        self._is_closing = True
        began = time.monotonic()
        recorder = self._recorder
        if self.is_running:
            self._retry_at = 0.0
            recorder.wake.set()
            while not self._is_done.wait(0.02):
                now = time.monotonic()
                wait = _EXIT_WAIT_ONLINE if self._is_online else _EXIT_WAIT
                if now > max(began, self._answered_at) + wait or now > began + self._settings.exit_seconds:
                    break
            self._is_done.set()
        with recorder.lock:
            recorder.move_to_disk()
            if recorder.in_flight is None:
                recorder.spool.close()
                self._connection.close()
                self._lease_connection.close()


def send_orphans(settings: Settings, delivery: Delivery) -> int:
    """Sends the records of processes that have ended; how many. Raises Unavailable."""
    count = 0
    for spool in orphans(settings.spool_folder):
        try:
            while True:
                records, position = spool.peek(1_000_000)
                if not records:
                    spool.advance(spool.end)
                    break
                delivery.deliver(records)
                spool.advance(position)
                count += len(records)
        finally:
            spool.close()
    return count
