"""The demo executor: some history, then a few live runs at a time."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import httpx2
from rich.console import Console
from rich.markup import escape

from ingest.aborts import AbortRequests, FollowedAborts
from ingest.client import REFUSED, ApiError, GraphQLClient
from ingest.demo.scenarios import (
    EXECUTOR,
    PROJECT,
    SCENARIOS,
    plan_scenario,
)
from ingest.executor import Executor
from ingest.history import write_history
from ingest.plan import Json, Plan
from ingest.player import Player
from repo.domain.identifiers import RunIdentifier, printable
from repo.domain.phases import ActionPhase

HISTORY = 20
"""Runs that are there at the start."""
LIVE = 4
"""Runs that are played at a time."""
MAX_RUNS = 500
"""From here on the demo is slow to begin new runs, so that a database left alone stays small."""
_BETWEEN_S = 6.0
_BETWEEN_WHEN_MANY_S = 600.0
_LOOK_AFTER_S = 30.0
_TICK_S = 1.0

_MY_LABEL = {"key": "executor", "value": EXECUTOR}
_MINE: Json = {"project": PROJECT, "labels": [_MY_LABEL]}
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
    """Play the demo from the command line until it is interrupted; the exit code (1: the server refused, 2:
    no such address).

    A server that is not there yet, or goes away, is waited for. What an earlier demo left unfinished is
    taken up again.
    """
    console = console or Console()
    try:
        asyncio.run(
            play_demo(
                url,
                token=token,
                history=history,
                live=live,
                max_runs=max_runs,
                seed=seed,
                console=console,
            )
        )
    except (ApiError, ValueError) as error:
        console.print(escape(printable(str(error))), highlight=False, soft_wrap=True)
        return 1 if isinstance(error, ApiError) else 2
    except KeyboardInterrupt:
        console.print("Demo: stopped. What is unfinished goes on when it is started again.", highlight=False)
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
    """Play the demo until cancelled. Raises ValueError where `url` is no address, and ApiError where the
    server refuses who calls."""

    def say(text: str) -> None:
        with suppress(OSError):  # nobody can read it, and the runs go on
            console.print(escape(printable(f"Demo: {text}")), highlight=False, soft_wrap=True)

    client = GraphQLClient(url, token=token, patience_s=float("inf"), on_away=say, transport=transport)
    async with client:
        demo = Demo(Executor(client), say, seed=seed)
        while True:
            try:
                await demo.executor.check()
                say(f"playing at {client.url}, in project '{PROJECT}'")
                await demo.write_past(history)
                await demo.keep_going(live, max_runs)
            except Exception as error:  # whatever it is, the runs go on
                if isinstance(error, ApiError) and error.code in REFUSED:
                    raise
                say(f"{error}; beginning again in {_LOOK_AFTER_S:.0f} s")
                await asyncio.sleep(_LOOK_AFTER_S)


class Demo:
    """Makes runs and plays them. With a seed, the same runs in the same order on an empty server."""

    def __init__(
        self, executor: Executor, say: Callable[[str], None], *, seed: int | None = None, speed: float = 1
    ) -> None:
        """`speed` is how much faster than planned everything is played."""
        self.executor = executor
        self._say = say
        self._seed = secrets.randbits(32) if seed is None else seed
        self._speed = speed
        self._playing: dict[RunIdentifier, asyncio.Task[None]] = {}
        self._players: dict[RunIdentifier, tuple[Player, FollowedAborts]] = {}
        self._requests = AbortRequests(executor.client, PROJECT, self._tell_of_requests)
        self._set_aside: set[RunIdentifier] = set()
        """Runs in which something is asked for in vain, until the next look."""

    async def write_past(self, wanted: int) -> None:
        """Make finished runs of the last day, until there are so many runs of the demo's."""
        count = await self.executor.count_runs(_MINE)
        if count >= wanted:
            return
        self._say(f"writing {wanted - count} finished runs of the last day")
        now = datetime.now(UTC)
        for number in range(count, wanted):
            scenario, seed, rng = self._choose(number)
            # The newest of them is over before the live ones begin.
            hours_ago = 24 * (1 - number / wanted) + 1
            began_at = now - timedelta(hours=hours_ago, seconds=rng.randrange(600))
            plan = plan_scenario(scenario, seed, rng.uniform(1, 6), began_at)
            await write_history(self.executor, plan, lambda done, total: None)

    async def leftovers(self) -> list[Plan]:
        """The demo's runs that are unfinished, or whose abort waits, and that nobody plays here. Who plays
        one of the others is told that it has ended."""
        played = [(run, heard) for run, (player, heard) in self._players.items() if player.begun]
        nodes = await self.executor.runs({**_MINE, "phases": _UNFINISHED})
        nodes += await self.executor.runs({**_MINE, "abortPending": True})
        plans = {plan.run: plan for plan in map(_plan_again, nodes) if plan}
        for run, heard in played:
            if run not in plans:
                heard.end()
        return [plan for run, plan in plans.items() if run not in self._playing]

    async def asked_of_nobody(self) -> list[Plan]:
        """The demo's runs in which something is to be stopped, and that nobody plays here."""
        plans = []
        for run in self._neglected():
            node = await self.executor.run(run)
            plan = _plan_again(node) if node and _MY_LABEL in node["labels"] else None
            if plan:
                plans.append(plan)
            else:
                self._set_aside.add(run)
        return plans

    def _neglected(self) -> set[RunIdentifier]:
        return self._requests.runs() - self._playing.keys() - self._set_aside

    async def keep_going(self, live: int, max_runs: int, *, forever: bool = True) -> None:
        """Play `live` runs at a time, and fewer and seldom once there are `max_runs`.

        `forever=False` returns when there are `max_runs` and all of them have ended.
        """
        clock = asyncio.get_running_loop()
        look_after = begin_next = clock.time()
        warned = False
        async with self._hearing() as following:
            while not following.done():
                left = []
                if clock.time() >= look_after:
                    look_after = clock.time() + _LOOK_AFTER_S
                    self._set_aside.clear()
                    left = await self.leftovers()
                left += await self.asked_of_nobody()
                for plan in left:
                    if plan.run not in self._playing:
                        self._say(f"going on with {plan.run}")
                        self._begin(plan)
                if clock.time() >= begin_next and len(self._playing) < live:
                    count = await self.executor.count_runs(_MINE)
                    many = count >= max_runs
                    if many and not warned:
                        self._say(f"there are {count} runs; from now on a new one only every 10 minutes")
                        warned = True
                    if many and not forever:
                        if not self._playing and self._requests.is_synced and not self._neglected():
                            return
                    elif not many or not self._playing:
                        scenario, seed, rng = self._choose(count)
                        plan = plan_scenario(scenario, seed, rng.uniform(1, 2))
                        self._say(f"begins {plan.run}, {len(plan.actions)} actions")
                        self._begin(plan)
                    begin_next = clock.time() + (
                        _BETWEEN_WHEN_MANY_S if many and forever else _BETWEEN_S / self._speed
                    )
                await asyncio.sleep(_TICK_S / self._speed)
            following.result()

    @asynccontextmanager
    async def _hearing(self) -> AsyncIterator[asyncio.Task[None]]:
        """Hear of aborts as long as the context lasts, at whose end nothing is played any more."""
        following = asyncio.create_task(self._requests.follow())
        try:
            yield following
        finally:
            tasks = [following, *self._playing.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _tell_of_requests(self, trouble: str | None) -> None:
        self._say(f"abort requests: {trouble or 'they come again'}")

    def _begin(self, plan: Plan) -> None:
        self._playing[plan.run] = asyncio.create_task(self._play(plan))
        self._playing[plan.run].add_done_callback(lambda _: self._playing.pop(plan.run))

    async def _play(self, plan: Plan) -> None:
        try:
            if plan.root.fields["spec"]["beganAt"]:
                phase = await write_history(self.executor, plan, lambda done, total: None)
                if phase is not ActionPhase.ABORTED and not self._requests.of(plan.run):
                    return
            heard = FollowedAborts(self._requests, plan.run)
            player = Player(self.executor, plan, heard, speed=self._speed, tick_s=_TICK_S / self._speed)
            self._players[plan.run] = player, heard
            phase = await player.play()
            self._say(f"ended {plan.run}: {phase.name}")
        except ApiError as error:
            self._say(f"gave up {plan.run} for now: {error}")
        finally:
            self._players.pop(plan.run, None)
            if self._requests.of(plan.run):
                self._set_aside.add(plan.run)

    def _choose(self, number: int) -> tuple[str, int, random.Random]:
        """The demo's run of this number: its scenario, its own seed, and chance for the rest."""
        rng = random.Random(f"{self._seed}-{number}")
        scenario = list(SCENARIOS)[number % len(SCENARIOS)]
        return scenario, rng.getrandbits(32), rng


def _plan_again(node: Json) -> Plan | None:
    """The plan of a run that a demo began; None where its spec is not (or no longer) one of ours."""
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
