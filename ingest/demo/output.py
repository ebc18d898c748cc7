"""What the demo's actions put out while they run: lines of a log, progress, metrics, and files at the end.

The same for the same attempt of a plan, however often it is computed."""

import base64
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from ingest.plan import Json, Plan, PlannedAction, Step
from repo.domain.phases import ActionPhase

EPOCHS = 12
_BOLD, _GREY, _GREEN, _RESET = "\x1b[1;34m", "\x1b[90m", "\x1b[32m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, `at` seconds after the start of the attempt."""

    at: float
    text: str
    level: str | None = "INFO"
    stream: str = "stdout"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that runs for `seconds`, and how it ends according to the plan."""

    plan: Plan
    action: PlannedAction
    number: int
    seconds: float
    last: Step

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose."""
        return random.Random(f"{self.plan.run}-{self.action.name}-{self.number}-{purpose}")

    @property
    def is_trial(self) -> bool:
        """Whether it trains a model."""
        return self.action.fields.get("functionName") == "train_trial"

    @property
    def total(self) -> int:
        """How much there is to do: epochs or rows."""
        return EPOCHS if self.is_trial else self.random("total").randrange(40, 90) * 1000

    def done(self, seconds: float) -> int:
        """How much of it is done after that time. What fails does not get to the end."""
        whole = self.total if self.last.phase is ActionPhase.SUCCEEDED else self.total * 0.7
        return int(whole * min(1.0, seconds / max(self.seconds, 0.1)))


def attempts_of(plan: Plan, action: PlannedAction) -> dict[int, Attempt]:
    """The attempts of an action that run and have no children, by number."""
    if any(other.parent_name == action.name for other in plan.actions):
        return {}
    found: dict[int, Attempt] = {}
    for step, following in zip(action.steps, action.steps[1:], strict=False):
        if step.phase is ActionPhase.RUNNING and following.phase.is_terminal:
            seconds = (following.offset_ms - step.offset_ms) / 1000
            found[step.attempt] = Attempt(plan, action, step.attempt, seconds, following)
    return found


def lines(attempt: Attempt) -> list[Line]:
    """The log of an attempt."""
    rng = attempt.random("lines")
    function = attempt.action.fields.get("functionName", attempt.action.name)
    found = [Line(0, f"{_BOLD}==>{_RESET} {function}, attempt {attempt.number}")]
    pace = 0.4 if attempt.seconds < 60 else 2.0
    for number in range(1, int(attempt.seconds / pace)):
        at = number * pace
        chance = rng.random()
        if chance < 0.06:
            found.append(Line(at, f"slow read: {rng.randrange(300, 900)} ms", "WARNING"))
        elif chance < 0.2:
            found.append(Line(at, f"cache miss, key=block-{rng.randrange(4096):04x}", "DEBUG"))
        elif attempt.is_trial:
            epoch = attempt.done(at)
            text = f"epoch {epoch}/{EPOCHS} {_GREY}loss{_RESET}={loss(attempt, at):.4f}"
            found.append(Line(at, text))
        else:
            found.append(Line(at, f"processed {attempt.done(at):,} of {attempt.total:,} rows"))
    error = attempt.last.event.get("error")
    if error is None:
        found.append(Line(attempt.seconds, f"{_GREEN}done{_RESET} in {attempt.seconds:.1f} s"))
    else:
        traceback = (
            "Traceback (most recent call last):",
            f'  File "{function}.py", line {rng.randrange(20, 200)}, in main',
            f"    {function}(table)",
            f"{error['code']}: {error['message']}",
        )
        found += [Line(attempt.seconds, text, "ERROR", "stderr") for text in traceback]
    return found


def loss(attempt: Attempt, seconds: float) -> float:
    """The loss of a trial after that time; at its end the one that it returns."""
    outputs = attempt.last.event.get("outputs") or {}
    final = float(outputs.get("loss", 0.5))
    left = 1 - min(1.0, seconds / max(attempt.seconds, 0.1))
    return final + left**2 * (2.5 - final) * attempt.random(f"loss {int(seconds)}").uniform(0.9, 1.1)


def progress(attempt: Attempt, seconds: float) -> Json:
    """The ProgressInput after that time."""
    unit = "epochs" if attempt.is_trial else "rows"
    return {"done": attempt.done(seconds), "total": attempt.total, "message": unit}


def metrics(attempt: Attempt, seconds: float) -> list[Json]:
    """The MetricInputs after that time."""
    memory = attempt.random(f"memory {int(seconds)}").randrange(300, 900) * 2**20
    found: list[Json] = [{"name": "memory", "value": memory, "unit": "By"}]
    if attempt.is_trial:
        found.insert(0, {"name": "loss", "value": round(loss(attempt, seconds), 4)})
    else:
        found.insert(0, {"name": "rows", "value": attempt.done(seconds), "unit": "1"})
    return found


def artifacts(attempt: Attempt) -> list[Json]:
    """What an attempt leaves behind: the StoreArtifactInputs without the action and the attempt."""
    found: list[Json] = []
    outputs = attempt.last.event.get("outputs")
    if outputs is not None and not attempt.is_trial:
        found.append({"kind": "OUTPUTS", "name": "outputs.json", "json": outputs})
    make = _FILES.get(attempt.action.name)
    return found + (make(attempt) if make else [])


def _summary(attempt: Attempt) -> list[Json]:
    rng = attempt.random("files")
    shops = [(name, rng.randrange(200, 900), rng.uniform(5, 40)) for name in ("North", "South", "Online")]
    rows = "\n".join(f"| {name} | {orders:,} | {share:.1f} % |" for name, orders, share in shops)
    text = (
        f"# Sales of the day\n\n**{sum(orders for _, orders, _ in shops):,}** orders in three shops.\n\n"
        f"| shop | orders | returned |\n|---|--:|--:|\n{rows}\n\n> Returns of the last week are included.\n"
    )
    return [{"kind": "REPORT", "name": "summary.md", "text": text, "mediaType": "text/markdown"}]


def _page(attempt: Attempt) -> list[Json]:
    rng = attempt.random("files")
    bars = "".join(f'<p style="width:{rng.randrange(20, 95)}%">{day}</p>' for day in "MTWTFSS")
    style = "<style>p{margin:4px;padding:6px;background:#cfe0ff;font:14px sans-serif}</style>"
    text = f"<!doctype html><title>Sales</title>{style}<h1>Sales by day</h1>{bars}"
    return [{"kind": "REPORT", "name": "report.html", "text": text}]


def _table(attempt: Attempt) -> list[Json]:
    rng = attempt.random("files")
    rows = (
        f'{n},"Item {rng.randrange(900)}, size {rng.choice("SML")}",{rng.uniform(2, 90):.2f}'
        for n in range(1, 501)
    )
    return [{"kind": "FILE", "name": "sales.csv", "text": "id,item,price\n" + "\n".join(rows) + "\n"}]


def _bad_rows(attempt: Attempt) -> list[Json]:
    rng = attempt.random("files")
    rows = (f"{rng.randrange(90_000)},{rng.choice(('n/a', '12,5', '-', 'free'))}" for _ in range(118))
    return [{"kind": "FILE", "name": "bad-rows.csv", "text": "row,price\n" + "\n".join(rows) + "\n"}]


def _chart(attempt: Attempt) -> list[Json]:
    rng = attempt.random("files")
    heights = [max(4, int(110 / (n + 1) ** 0.5 + rng.uniform(-6, 6))) for n in range(24)]
    return [
        {"kind": "REPORT", "name": "loss.png", "base64": base64.b64encode(bar_chart(heights)).decode()},
        {"kind": "FILE", "name": "losses.csv", "text": "trial,height\n" + _numbered(heights)},
    ]


def _numbered(values: list[int]) -> str:
    return "".join(f"{n},{value}\n" for n, value in enumerate(values, 1))


def bar_chart(heights: list[int], width: int = 14, height: int = 120) -> bytes:
    """A PNG with a bar for each height in pixels."""
    palette = b"\xff\xff\xff" + b"\x35\x48\xc8"
    rows = b"".join(
        b"\0"
        + b"".join((b"\1" if value >= height - y else b"\0") * (width - 4) + b"\0" * 4 for value in heights)
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width * len(heights), height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


_FILES: dict[str, Callable[[Attempt], list[Json]]] = {
    "aggregate": _summary,
    "render-html": _page,
    "render-csv": _table,
    "check-schema": _bad_rows,
    "compare": _chart,
    "build-dataset": _table,
    "reconcile": _table,
}
