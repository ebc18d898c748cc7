"""`rungraph import`: checks all files, then writes or replays each and shows the progress."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.aborts import PolledAborts
from ingest.client import ApiError, GraphQLClient, ServerUnavailable
from ingest.executor import Executor
from ingest.history import OnProgress, write_history
from ingest.plan import Plan
from ingest.player import Player
from ingest.wfformat import DOMAIN, PROJECT
from ingest.wfformat.format import check_name, read_recording
from ingest.wfformat.jsonfile import InvalidFile
from ingest.wfformat.schedule import critical_path_ms, plan_recording, run_name
from repo.domain.identifiers import RunIdentifier, printable
from repo.domain.phases import ActionPhase

MAX_UNAVAILABLE_S = 60.0
"""The maximum seconds for which a server may be unavailable during an import."""


def run_import(
    files: Sequence[Path],
    *,
    url: str,
    token: str | None = None,
    project: str = PROJECT,
    domain: str = DOMAIN,
    speed: float | None = None,
    name: str | None = None,
    console: Console | None = None,
) -> int:
    """Imports recordings from the command line; returns the exit code. 0: all are imported. 1: the server
    rejected an operation or was unavailable, or a run was aborted. 2: a file is invalid, and nothing was
    written. 130: interrupted; running the command again resumes the import."""
    console = console or Console()
    try:
        return asyncio.run(
            import_files(
                files,
                url=url,
                token=token,
                project=project,
                domain=domain,
                speed=speed,
                name=name,
                console=console,
            )
        )
    except KeyboardInterrupt:
        _print(console, "Interrupted. Run the same command again to resume.")
        return 130


async def import_files(
    files: Sequence[Path],
    *,
    url: str,
    token: str | None = None,
    project: str = PROJECT,
    domain: str = DOMAIN,
    speed: float | None = None,
    name: str | None = None,
    console: Console,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> int:
    """Imports recordings one after the other; returns the exit code as in run_import. With `speed`, plays
    that many recorded seconds per second with the current time; without it, writes the recorded times at
    once. `name` names the run of a single file, instead of its workflow and digest."""
    try:
        plans = _plan_all(files, project, domain, speed, name)
        client = GraphQLClient(
            url, token=token, on_status=lambda problem: _print(console, problem), transport=transport
        )
    except (InvalidFile, ValueError) as error:
        _print(console, str(error))
        return 2
    async with client:
        executor = Executor(client)
        try:
            await executor.check()
            client.max_unavailable_s = MAX_UNAVAILABLE_S
            outcomes = [await _import(executor, path, plan, speed, console) for path, plan in plans]
        except ServerUnavailable as error:
            _print(console, f"{error}. Run the same command again to resume.")
            return 1
        except ApiError as error:
            _print(console, str(error))
            return 1
    return 0 if all(phase is ActionPhase.SUCCEEDED for phase in outcomes) else 1


def _plan_all(
    files: Sequence[Path], project: str, domain: str, speed: float | None, name: str | None
) -> list[tuple[Path, Plan]]:
    if speed is not None and not 0 < speed <= 1_000_000:
        raise ValueError(f"the speed must be above 0 and at most 1000000, not {speed:g}")
    if name is not None and len(files) != 1:
        raise ValueError("a name goes with a single file")
    for option, value in (("project", project), ("domain", domain), ("name", name)):
        try:
            check_name("-" if value is None else value)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
    plans = []
    for path in files:
        recording = read_recording(path)
        run = RunIdentifier(project, domain, name or run_name(recording, live=speed is not None))
        plans.append((path, plan_recording(recording, run)))
    return plans


async def _import(
    executor: Executor, path: Path, plan: Plan, speed: float | None, console: Console
) -> ActionPhase:
    began, writes = time.monotonic(), executor.writes
    with _progress(console, path.name) as progress:
        if speed is None:
            phase = await write_history(executor, plan, progress)
        else:
            phase = await Player(
                executor, plan, PolledAborts(executor, plan), speed=speed, progress=progress
            ).play()
    tasks = len(plan.actions) - 1
    _print(
        console,
        f"{path.name}: {phase.name} as {plan.run}, {tasks:,} tasks, "
        f"critical path {critical_path_ms(plan) / 1000:,.3f} s of {plan.duration_ms / 1000:,.3f} s, "
        + (f"took {time.monotonic() - began:.1f} s" if executor.writes > writes else "already imported"),
    )
    return phase


def _print(console: Console, text: str) -> None:
    console.print(escape(printable(text)), highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console, title: str) -> Iterator[OnProgress]:
    """A progress bar on a terminal; otherwise a line for every quarter."""
    if not console.is_terminal:
        yield _lines(console, title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(printable(title)), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(console: Console, title: str) -> Callable[[int, int], None]:
    printed = 0

    def report(done: int, total: int) -> None:
        nonlocal printed
        quarter = done * 4 // total
        if printed < quarter < 4:
            printed = quarter
            _print(console, f"{title}: {done:,} of {total:,} actions")

    return report
