"""The demo executor: writes some history, then plays a few runs at a time."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import httpx2
from rich.console import Console
from rich.markup import escape

from ingest.aborts import AbortRequests, SubscribedAborts
from ingest.client import PERMANENT_ERRORS, ApiError, GraphQLClient
from ingest.demo.lost import LEASE_S, start_lost_run
from ingest.demo.narrator import Narrator
from ingest.demo.scenarios import EXECUTOR, PROJECT, SCENARIOS, plan_scenario
from ingest.executor import Executor
from ingest.history import write_history
from ingest.plan import Json, Plan
from ingest.player import Player
from repo.domain.identifiers import RunIdentifier, printable
from repo.domain.phases import ActionPhase

HISTORY = 20
"""The number of runs at the start."""
LIVE = 4
"""The number of runs played at a time."""
MAX_RUNS = 500
"""From this number of runs on, new ones start rarely, so that an unattended database stays small."""
_START_INTERVAL_S = 6.0
_MAX_RUNS_INTERVAL_S = 600.0
POLL_INTERVAL_S = 30.0
_TICK_S = 1.0

_DEMO_LABEL = {"key": "executor", "value": EXECUTOR}
_DEMO_FILTER: Json = {"project": PROJECT, "labels": [_DEMO_LABEL]}
_UNFINISHED = [phase.name for phase in ActionPhase if not phase.is_terminal]


def run_demo(
    url: str,
    *,
    token: str | None = None,
    history: int = HISTORY,
    live: int = LIVE,
    max_runs: int = MAX_RUNS,
    seed: int | None = None,
    console: Console | None = None,
) -> int:
    """Plays the demo from the command line until interrupted; returns the exit code (1: rejected by the
    server, 2: invalid URL). Waits for an unavailable server, and resumes the unfinished runs of an
    earlier demo."""
    console = console or Console()
    try:
        asyncio.run(
            play_demo(
                url, token=token, history=history, live=live, max_runs=max_runs, seed=seed, console=console
            )
        )
    except (ApiError, ValueError) as error:
        console.print(escape(printable(str(error))), highlight=False, soft_wrap=True)
        return 1 if isinstance(error, ApiError) else 2
    except KeyboardInterrupt:
        console.print("Demo: stopped. Start it again to resume unfinished runs.", highlight=False)
    return 0


async def play_demo(
    url: str,
    *,
    token: str | None = None,
    history: int = HISTORY,
    live: int = LIVE,
    max_runs: int = MAX_RUNS,
    seed: int | None = None,
    console: Console,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> None:
    """Plays the demo until cancelled. Raises ValueError for an invalid URL, and ApiError if the caller is
    not authenticated or not allowed."""

    def log(text: str) -> None:
        with suppress(OSError):  # output is closed; continue
            console.print(escape(printable(f"Demo: {text}")), highlight=False, soft_wrap=True)

    client = GraphQLClient(
        url, token=token, max_unavailable_s=float("inf"), on_status=log, transport=transport
    )
    async with client:
        demo = Demo(Executor(client), log, seed=seed)
        while True:
            try:
                await demo.executor.check()
                log(f"playing at {client.url}, in project '{PROJECT}'")
                if await demo.fill_history(history):
                    await demo.lose_executor()
                await demo.play(live, max_runs)
            except Exception as error:  # whatever it is, the runs go on
                if isinstance(error, ApiError) and error.code in PERMANENT_ERRORS:
                    raise
                log(f"{error}; restarting in {POLL_INTERVAL_S:.0f} s")
                await asyncio.sleep(POLL_INTERVAL_S)


class Demo:
    """Creates and plays runs. On an empty server the same seed gives the same runs in the same order."""

    def __init__(
        self, executor: Executor, log: Callable[[str], None], *, seed: int | None = None, speed: float = 1
    ) -> None:
        """`speed` is seconds of the plans per second."""
        self.executor = executor
        self._log = log
        self._seed = secrets.randbits(32) if seed is None else seed
        self._speed = speed
        self._playing: dict[RunIdentifier, asyncio.Task[None]] = {}
        self._players: dict[RunIdentifier, tuple[Player, SubscribedAborts]] = {}
        self._requests = AbortRequests(executor.client, PROJECT, self._report_interruption)
        self._failed: set[RunIdentifier] = set()
        """Runs whose aborts could not be handled, until the next poll."""
        self.silent: list[Plan] = []
        """Finished runs without logs and files."""

    async def lose_executor(self) -> None:
        """Starts a run whose executor never reports again."""
        run = await start_lost_run(self.executor, self._seed)
        self._log(f"started {run}, whose executor will be lost in {LEASE_S} s")

    async def fill_history(self, total: int) -> bool:
        """Writes finished runs of the last day until the demo has this many runs; whether any was missing."""
        count = await self.executor.count_runs(_DEMO_FILTER)
        if count >= total:
            return False
        self._log(f"writing {total - count} finished runs of the last day")
        now = datetime.now(UTC)
        for number in range(count, total):
            scenario, seed, rng = self._choose(number)
            # The newest of them ends before the live ones begin.
            hours_ago = 24 * (1 - number / total) + 1
            began_at = now - timedelta(hours=hours_ago, seconds=rng.randrange(600))
            plan = plan_scenario(scenario, seed, rng.uniform(1, 6), began_at)
            await write_history(self.executor, plan, lambda done, total: None)
            self.silent.append(plan)
        return True

    async def narrate_history(self) -> None:
        """Writes the logs and files of the finished runs, the newest first."""
        while self.silent:
            await Narrator(self.executor, self.silent.pop()).write_history()

    async def unfinished_runs(self) -> list[Plan]:
        """The demo's runs that are unfinished or have pending aborts and are not played here. Players of
        runs that have ended meanwhile are notified."""
        played = [(run, aborts) for run, (player, aborts) in self._players.items() if player.started]
        nodes = await self.executor.runs({**_DEMO_FILTER, "phases": _UNFINISHED})
        nodes += await self.executor.runs({**_DEMO_FILTER, "abortPending": True})
        plans = {plan.run: plan for plan in map(_rebuild_plan, nodes) if plan}
        for run, aborts in played:
            if run not in plans:
                aborts.end()
        return [plan for run, plan in plans.items() if run not in self._playing]

    async def unplayed_aborts(self) -> list[Plan]:
        """The demo's runs with pending aborts that are not played here."""
        plans = []
        for run in self._unplayed():
            node = await self.executor.run(run)
            plan = _rebuild_plan(node) if node and _DEMO_LABEL in node["labels"] else None
            if plan:
                plans.append(plan)
            else:
                self._failed.add(run)
        return plans

    def _unplayed(self) -> set[RunIdentifier]:
        return self._requests.runs() - self._playing.keys() - self._failed

    async def play(self, live: int, max_runs: int, *, forever: bool = True) -> None:
        """Plays `live` runs at a time; from `max_runs` on, new ones start rarely. `forever=False` returns
        when there are `max_runs` and all have ended."""
        clock = asyncio.get_running_loop()
        next_poll = next_start = clock.time()
        warned = False
        async with self._following_aborts() as following:
            while not following.done():
                left = []
                if clock.time() >= next_poll:
                    next_poll = clock.time() + POLL_INTERVAL_S
                    self._failed.clear()
                    left = await self.unfinished_runs()
                left += await self.unplayed_aborts()
                for plan in left:
                    if plan.run not in self._playing:
                        self._log(f"resumes {plan.run}")
                        self._start(plan)
                if clock.time() >= next_start and len(self._playing) < live:
                    count = await self.executor.count_runs(_DEMO_FILTER)
                    many = count >= max_runs
                    if many and not warned:
                        self._log(f"there are {count} runs; new ones now start every 10 minutes only")
                        warned = True
                    if many and not forever:
                        if not self._playing and self._requests.is_synced and not self._unplayed():
                            return
                    elif not many or not self._playing:
                        scenario, seed, rng = self._choose(count)
                        plan = plan_scenario(scenario, seed, rng.uniform(1, 2))
                        # The one before may not be stored, and so not be counted, yet.
                        if plan.run not in self._playing:
                            self._log(f"started {plan.run}, {len(plan.actions)} actions")
                            self._start(plan)
                    next_start = clock.time() + (
                        _MAX_RUNS_INTERVAL_S if many and forever else _START_INTERVAL_S / self._speed
                    )
                await asyncio.sleep(_TICK_S / self._speed)
            following.result()

    @asynccontextmanager
    async def _following_aborts(self) -> AsyncIterator[asyncio.Task[None]]:
        """Follows abort requests while the context is open, and completes the history; at its end all
        players stop."""
        following = asyncio.create_task(self._requests.follow())
        narrating = asyncio.create_task(self.narrate_history())
        try:
            yield following
        finally:
            tasks = [following, narrating, *self._playing.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _report_interruption(self, problem: str | None) -> None:
        self._log(f"abort requests: {problem or 'connected again'}")

    def _start(self, plan: Plan) -> None:
        self._playing[plan.run] = asyncio.create_task(self._play(plan))
        self._playing[plan.run].add_done_callback(lambda _: self._playing.pop(plan.run))

    async def _play(self, plan: Plan) -> None:
        try:
            if plan.root.fields["spec"]["beganAt"]:
                phase = await write_history(self.executor, plan, lambda done, total: None)
                if phase is not ActionPhase.ABORTED and not self._requests.of(plan.run):
                    return
            aborts = SubscribedAborts(self._requests, plan.run)
            player = Player(self.executor, plan, aborts, speed=self._speed, tick_s=_TICK_S / self._speed)
            self._players[plan.run] = player, aborts
            narrator = Narrator(self.executor, plan, speed=self._speed)
            narrating = asyncio.create_task(narrator.follow(lambda: player.reached))
            try:
                phase = await player.play()
            except BaseException:
                narrating.cancel()
                raise
            narrator.end()
            await narrating
            self._log(f"ended {plan.run}: {phase.name}")
        except ApiError as error:
            self._log(f"stopped playing {plan.run}: {error}")
        finally:
            self._players.pop(plan.run, None)
            if self._requests.of(plan.run):
                self._failed.add(plan.run)

    def _choose(self, number: int) -> tuple[str, int, random.Random]:
        """The scenario, the seed and the random generator of the demo's n-th run."""
        rng = random.Random(f"{self._seed}-{number}")
        scenario = list(SCENARIOS)[number % len(SCENARIOS)]
        return scenario, rng.getrandbits(32), rng


def _rebuild_plan(node: Json) -> Plan | None:
    """The plan of a run started by a demo; None if its spec is not, or no longer, one of the demo's."""
    spec = node["rootAction"]["spec"]
    try:
        began_at = spec["beganAt"] and datetime.fromisoformat(spec["beganAt"])
        plan = plan_scenario(spec["scenario"], int(spec["seed"]), float(spec["pace"]), began_at)
    except (KeyError, TypeError, ValueError):
        return None
    same = (plan.run.project, plan.run.domain, plan.run.name) == (
        node["project"],
        node["domain"],
        node["name"],
    )
    return plan if same else None
