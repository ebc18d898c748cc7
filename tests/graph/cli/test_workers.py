"""Several workers at one address: real processes on PostgreSQL, which are killed and stopped."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from graph.aborts.webhook import sign
from tests.support import forking
from tests.support.databases import PostgresDatabases
from tests.support.executors import FakeExecutor
from tests.support.ports import free_port
from tests.support.sockets import Socket, connected
from tests.support.waiting import until

SECONDS = 40
RUNS = "subscription { runs(first: 5, after: %s) { kind cursor runs { name } } }"

# `rungraph`, except that workers are started with this program instead of Python.
WITH_ANOTHER_PYTHON = "import sys; sys.executable = sys.argv.pop(1); from graph.cli.main import app; app()"
FAILING_ON_REQUEST = '#!/bin/sh\ntest ! -e "{flag}" || exit 7\nexec {python} "$@"\n'


class Workers:
    """`rungraph serve --workers 2`, observed from outside."""

    def __init__(self, process: forking.Process | asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.url = f"{self.address}/graphql"
        self._log = log
        self._stack = AsyncExitStack()

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def started(self) -> list[tuple[int, int]]:
        """The number and the process id of every worker that has started, in order."""
        found = re.findall(r"worker started +pid=(\d+) worker=(\d+)", self.output)
        return [(int(worker), int(pid)) for pid, worker in found]

    @property
    def pids(self) -> dict[int, int]:
        """The current process id of each worker."""
        return dict(self.started)

    @asynccontextmanager
    async def only(self, worker: int) -> AsyncIterator[None]:
        """Only this worker accepts connections: the other one is paused."""
        others = [pid for number, pid in self.pids.items() if number != worker]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: all(state_of(pid) == "T" for pid in others))
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def websocket_to(self, worker: int) -> AsyncIterator[Socket]:
        """A websocket to this worker: the other one is paused while it connects."""
        async with self.only(worker):
            socket = await self._stack.enter_async_context(connected(self.url))
        yield socket

    async def metric(self, name: str) -> float:
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            page = (await client.get(f"{self.address}/metrics")).text
        (value,) = re.findall(rf"^rungraph_{name} (\S+)$", page, re.MULTILINE)
        return float(value)

    async def metric_becomes(self, name: str, wanted: float) -> None:
        """Five times in a row, whichever worker responds."""
        in_a_row = 0
        async with asyncio.timeout(SECONDS):
            while in_a_row < 5:
                in_a_row = in_a_row + 1 if await self.metric(name) == wanted else 0
                await asyncio.sleep(0.05)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), SECONDS)

    async def all_have_ended(self) -> None:
        await until(lambda: not any(state_of(pid) for _, pid in self.started))
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", self.port)) != 0

    async def close(self) -> None:
        await self._stack.aclose()


def state_of(pid: int) -> str:
    """The state of a process in Linux, such as S or T; empty if it has ended."""
    try:
        output = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return output.rpartition(") ")[2][0].replace("Z", "")


@pytest.fixture
def database_url(postgres_server_url: str) -> Iterator[str]:
    databases = PostgresDatabases(postgres_server_url)
    url = databases.create()
    yield url
    databases.drop(url)


@asynccontextmanager
async def serving(
    database_url: str, folder: Path, *start: str, ready: int = 2, **settings: str
) -> AsyncIterator[Workers]:
    """Two workers, once `ready` of them serve."""
    port = free_port()
    log = folder / "log"
    arguments = ("serve", "--workers", "2", "--port", str(port))
    environment = {
        **os.environ,
        "RUNGRAPH_DATABASE_URL": database_url,
        "RUNGRAPH_BROADCAST_URL": database_url,
        "RUNGRAPH_LOG_FORMAT": "text",
        **{f"RUNGRAPH_{name.upper()}": value for name, value in settings.items()},
    }
    process: forking.Process | asyncio.subprocess.Process
    # In a session of its own, as a terminal's shell gives each command a group of its own.
    with log.open("wb") as file:
        if start:
            process = await asyncio.create_subprocess_exec(
                *(*start, *arguments),
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        else:
            process = forking.Process(
                *(forking.RUNGRAPH, *arguments),
                folder=folder,
                environment=environment,
                stderr=file.fileno(),
                in_own_session=True,
            )
    workers = Workers(process, port, log)
    try:
        await until(lambda: len(workers.started) >= ready or process.returncode is not None)
        yield workers
    finally:
        await workers.close()
        if process.returncode is None:
            process.kill()  # the workers follow it
            await process.wait()
        try:
            await workers.all_have_ended()
        except TimeoutError:
            for pid in workers.pids.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise


@pytest.fixture
async def workers(database_url: str, tmp_path: Path) -> AsyncIterator[Workers]:
    async with serving(database_url, tmp_path) as started:
        yield started


async def create_run(through: Socket, name: str) -> None:
    id = f'{{project: "p", domain: "d", runName: "{name}", name: "a0"}}'
    await through.subscribe(name, f"mutation {{ createAction(input: {{id: {id}}}) {{ created }} }}")
    assert (await through.data(name))["created"]
    await through.completes(name)


async def sees(watching: Socket, name: str) -> str:
    """The cursor of the frame with the run."""
    while True:
        frame = await watching.data("watch")
        assert frame["kind"] in ("SYNCED", "CHANGE"), frame
        if name in [run["name"] for run in frame["runs"]]:
            return str(frame["cursor"])


async def test_a_write_at_one_worker_quickly_reaches_a_subscriber_at_the_other(workers: Workers) -> None:
    async with workers.websocket_to(1) as writing, workers.websocket_to(2) as watching:
        await watching.subscribe("watch", RUNS % "null")
        assert (await watching.data("watch"))["kind"] == "SYNCED"
        count = 30
        # Without notifications each would take a second, since the next write comes right after a poll.
        async with asyncio.timeout(count * 2 / 3):
            for number in range(count):
                await create_run(writing, f"run-{number}")
                await sees(watching, f"run-{number}")


async def test_a_killed_worker_is_replaced_and_its_subscriber_resumes_at_another(workers: Workers) -> None:
    async with workers.websocket_to(1) as writing, workers.websocket_to(2) as watching:
        await watching.subscribe("watch", RUNS % "null")
        assert (await watching.data("watch"))["kind"] == "SYNCED"
        await create_run(writing, "before")
        cursor = await sees(watching, "before")
        killed = workers.pids[2]
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(watching.connection.recv(), SECONDS)
        await create_run(writing, "meanwhile")
        async with connected(workers.url) as again:
            await again.subscribe("watch", RUNS % f'"{cursor}"')
            await sees(again, "meanwhile")
            await create_run(writing, "after")
            await sees(again, "after")
    await until(lambda: workers.pids[2] != killed)
    assert [worker for worker, _ in workers.started].count(1) == 1
    assert "reason='signal 9' worker=2" in workers.output


async def test_metrics_are_aggregated_over_all_living_workers(workers: Workers) -> None:
    await workers.metric_becomes("workers", 2)
    async with workers.websocket_to(1) as one, workers.websocket_to(2) as other:
        await one.subscribe("watch", RUNS % "null")
        for number in range(2):
            await other.subscribe(f"watch-{number}", RUNS % f'"nonsense {number}"')
        await workers.metric_becomes("subscribers", 3)
        await workers.metric_becomes("bus_connected", 1)
        await workers.metric_becomes("resyncs_total", 2)
        os.kill(workers.pids[2], signal.SIGKILL)
        await workers.metric_becomes("subscribers", 1)
    await until(lambda: len(workers.started) == 3)
    await workers.metric_becomes("workers", 2)
    # Counters must not decrease, or rates over them would be wrong.
    await workers.metric_becomes("resyncs_total", 2)


async def test_every_worker_reports_the_current_number_of_pending_aborts(workers: Workers) -> None:
    id = '{project: "p", domain: "d", runName: "aborted", name: "a0"}'
    async with workers.websocket_to(1) as socket:
        await create_run(socket, "aborted")
        await socket.subscribe("1", f"mutation {{ abortAction(input: {{id: {id}}}) {{ requested }} }}")
        assert (await socket.data("1"))["requested"]
        await socket.completes("1")
        async with workers.only(1):
            assert await workers.metric("aborts_pending") == 1
        await socket.subscribe("2", f"mutation {{ clearAbortRequest(id: {id}) {{ action {{ name }} }} }}")
        assert (await socket.data("2"))["action"] == {"name": "a0"}
    # The count of the other worker is no longer used.
    async with workers.only(2):
        assert await workers.metric("aborts_pending") == 0
        assert await workers.metric("abort_oldest_age_seconds") == 0


async def test_a_worker_signs_webhook_requests_with_the_secret_of_the_server(
    database_url: str, tmp_path: Path
) -> None:
    secret = "a secret that is long enough"
    with FakeExecutor().serving() as executor:
        async with serving(
            database_url,
            tmp_path,
            abort_webhook_url=executor.url,
            abort_webhook_secret=secret,
            abort_webhook_allow_private="true",
        ) as workers:
            async with workers.websocket_to(1) as socket:
                await create_run(socket, "aborted")
                id = '{project: "p", domain: "d", runName: "aborted", name: "a0"}'
                await socket.subscribe(
                    "1", f"mutation {{ abortAction(input: {{id: {id}}}) {{ requested }} }}"
                )
                assert await socket.data("1") == {"requested": True}
            await workers.metric_becomes("aborts_pending", 0)
            await workers.metric_becomes("abort_attempts_total", 1)
            assert secret not in workers.output
    (notification,) = executor.notifications
    timestamp = notification.headers["rungraph-timestamp"]
    assert notification.headers["rungraph-signature"] == sign(secret, timestamp, notification.body)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
async def test_all_workers_stop_gracefully(workers: Workers, sent: signal.Signals) -> None:
    async with workers.websocket_to(1) as one, workers.websocket_to(2) as other:
        for watching in (one, other):
            await watching.subscribe("watch", RUNS % "null")
            assert (await watching.data("watch"))["kind"] == "SYNCED"
        if sent is signal.SIGINT:
            os.killpg(workers.process.pid, sent)  # as Ctrl-C does
        else:
            workers.process.send_signal(sent)
        assert await one.close_code() == 1012
        assert await other.close_code() == 1012
    assert await workers.exit_code() == 0
    await workers.all_have_ended()
    assert workers.output.count("\n") == 2, workers.output  # that they started


async def test_a_hanging_worker_is_killed_at_the_stop(workers: Workers) -> None:
    os.kill(workers.pids[1], signal.SIGSTOP)
    workers.process.terminate()
    assert await workers.exit_code() == 0
    assert f"did not stop and is killed        pid={workers.pids[1]} worker=1" in re.sub(
        " +pid", "        pid", workers.output
    )
    await workers.all_have_ended()


async def test_workers_keep_serving_during_the_stop_delay_unless_a_second_signal_arrives(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        serving(database_url, tmp_path, stop_delay="600") as workers,
        httpx2.AsyncClient(base_url=workers.address, timeout=SECONDS) as client,
    ):
        assert (await client.get("/readyz")).status_code == 200
        os.killpg(workers.process.pid, signal.SIGINT)
        async with asyncio.timeout(SECONDS):
            while (await client.get("/readyz")).status_code == 200:  # noqa: ASYNC110 - asked from outside
                await asyncio.sleep(0.05)
        for worker in (1, 2):
            async with workers.websocket_to(worker) as websocket:
                await create_run(websocket, f"late-{worker}")
        assert workers.process.returncode is None
        workers.process.terminate()
        assert await workers.exit_code() == 0
        await workers.all_have_ended()


async def test_workers_do_not_outlive_their_parent_process(workers: Workers) -> None:
    shared = set(shared_folders())
    async with workers.websocket_to(1) as one, workers.websocket_to(2) as other:
        workers.process.kill()
        assert await one.close_code() == 1012
        assert await other.close_code() == 1012
    await workers.all_have_ended()
    assert shared - set(shared_folders()), "the folder with the figures is left over"


def shared_folders() -> list[Path]:
    return [
        found
        for place in ("/dev/shm", tempfile.gettempdir())
        for found in Path(place).glob("rungraph-????????")
    ]


async def test_the_server_exits_with_1_if_workers_cannot_start(database_url: str, tmp_path: Path) -> None:
    start = (sys.executable, "-c", WITH_ANOTHER_PYTHON, "/bin/false")
    async with serving(database_url, tmp_path, *start) as workers:
        assert await workers.exit_code() == 1
    assert workers.output.count("\n") == 1
    assert re.search(r"stopped, since workers cannot start +reason='exit code 1'", workers.output)


async def test_a_worker_that_dies_repeatedly_is_restarted_with_backoff(
    database_url: str, tmp_path: Path
) -> None:
    flag, python = tmp_path / "fail", tmp_path / "python"
    python.write_text(FAILING_ON_REQUEST.format(flag=flag, python=sys.executable))
    python.chmod(0o755)
    start = (sys.executable, "-c", WITH_ANOTHER_PYTHON, str(python))
    async with serving(database_url, tmp_path, *start) as workers:
        flag.touch()
        os.kill(workers.pids[1], signal.SIGKILL)
        await until(lambda: workers.output.count("exit code 7") == 3)
        pauses = re.findall(r"again_in_seconds=(\S+)", workers.output)
        assert pauses[:4] == ["0.1", "0.2", "0.4", "0.8"]
        await workers.metric_becomes("workers", 1)
        flag.unlink()
        await workers.metric_becomes("workers", 2)
        workers.process.terminate()
        assert await workers.exit_code() == 0


@pytest.mark.parametrize(
    ("database", "bus", "reason"),
    [
        ("sqlite:///x.db", "redis://127.0.0.1", "SQLite has a single writer"),
        ("postgresql://user:secret@host/name", "memory://", "are not notified of each other's writes"),
    ],
)
def test_several_workers_are_refused_with_unsuitable_settings(
    tmp_path: Path, database: str, bus: str, reason: str
) -> None:
    done = run(tmp_path, RUNGRAPH_DATABASE_URL=database, RUNGRAPH_BROADCAST_URL=bus)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rungraph: RUNGRAPH_WORKERS: more than one ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_workers_do_not_start_without_a_database(tmp_path: Path) -> None:
    unavailable = "postgresql://user:secret@127.0.0.1:1/name"
    done = run(tmp_path, RUNGRAPH_DATABASE_URL=unavailable, RUNGRAPH_BROADCAST_URL=unavailable)
    assert done.returncode == 1
    assert done.stderr.startswith("rungraph: the database ")
    assert done.stderr.count("\n") == 1


def test_workers_do_not_start_at_a_port_that_is_taken(database_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        bus = "redis://127.0.0.1:1"
        done = run(
            tmp_path, RUNGRAPH_DATABASE_URL=database_url, RUNGRAPH_BROADCAST_URL=bus, RUNGRAPH_PORT=port
        )
    assert done.returncode == 1
    in_use = f"rungraph: cannot listen at 127.0.0.1, port {port}: address already in use"
    assert done.stderr == f"{in_use}; choose another port by --port or RUNGRAPH_PORT\n"


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return forking.run(
        "serve", folder=folder, environment={**os.environ, "RUNGRAPH_WORKERS": "2", **environment}
    )
