"""Retries: which failed step a call is the next attempt of, in this process or another one of the run."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .identities import identity
from .steps import FOREIGN, Run, Spec, Step

_STALE_SECONDS = 7 * 24 * 3600


class Retries:
    """Failed steps. Those below a step of another process are in files, so that any process of the run may
    retry them, and all others in memory."""

    def __init__(self, folder: Path, failed: Callable[[Exception], None]) -> None:
        self._folder = folder / "retries"
        self._failed = failed

    def take(
        self, spec: Spec, parent: Step, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, int] | None:
        """The name and the attempt of the failed step whose next attempt this call is."""
        if spec.retry is False:
            return None
        if parent.sent == FOREIGN:
            try:
                if (claimed := self._claim(spec, parent, args, kwargs)) is not None:
                    return claimed
            except (OSError, ValueError) as error:
                self._failed(error)
        if not parent.failed:
            return None
        key = (None, spec.name) if spec.retry else (spec, identity(args, kwargs)[0])
        failed = parent.failed.pop(key, None)
        return None if failed is None else failed[:2]

    def keep(
        self,
        step: Step,
        parent: Step,
        key: tuple[Any, object] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """The step has failed. `key` identifies a retry of it in this process."""
        if parent.sent == FOREIGN:
            try:
                if self._write(step, parent, args, kwargs):
                    return
            except OSError as error:
                self._failed(error)
        step.key = key
        parent.remember_failure(step)

    def forget(self, run: Run) -> None:
        """The run has ended."""
        try:
            _remove(self.folder_of(run))
        except OSError:
            pass  # there is none, or a process writes to it

    def folder_of(self, run: Run) -> Path:
        """What processes of the run tell each other."""
        return self._folder / _digest([run.project, run.domain, run.name])

    def _write(self, step: Step, parent: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether other processes can identify a retry of it."""
        if (key := self.key(step.spec, parent, args, kwargs)) is None:
            return False
        self.write(step, key)
        return True

    def write(self, step: Step, key: str) -> None:
        """A call with the key is the next attempt of the step, which has failed."""
        folder = self.folder_of(step.run)
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget_old()
        new = folder / f"{key}.{os.getpid()}.{os.urandom(3).hex()}"
        new.write_text(json.dumps([step.name, step.attempt]))
        os.replace(new, folder / key)

    def _claim(
        self, spec: Spec, parent: Step, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, int] | None:
        folder = self.folder_of(parent.run)
        if not folder.exists() or (key := self.key(spec, parent, args, kwargs)) is None:
            return None
        claimed = folder / f"{key}.{os.getpid()}.{os.urandom(3).hex()}"
        try:
            os.rename(folder / key, claimed)  # of several processes one succeeds
        except FileNotFoundError:
            return None
        name, attempt = json.loads(claimed.read_text())
        claimed.unlink()
        return str(name), int(attempt)

    @staticmethod
    def key(spec: Spec, parent: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """A key that is equal in all processes; None if an argument has no value that could be compared."""
        if spec.retry is False:
            return None
        place = [parent.name, spec.function or "", spec.name]
        if spec.retry:
            return _digest(place)
        try:
            return _digest([*place, _plain((args, tuple(sorted(kwargs.items()))))])
        except TypeError:
            return None

    def _forget_old(self) -> None:
        """Removes those of runs that were killed."""
        for folder in self._folder.iterdir():
            if folder.stat().st_mtime < time.time() - _STALE_SECONDS:
                _remove(folder)


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _plain(value: object) -> str:
    """The value with its type, as text. Raises TypeError unless it is plain."""
    if isinstance(value, tuple) and type(value) is tuple:
        return f"({','.join(map(_plain, value))})"
    if type(value) not in (int, float, bool, type(None), complex, str, bytes):
        raise TypeError
    return f"{type(value).__name__}:{value!r}"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
