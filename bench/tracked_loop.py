"""A script of 10,000 steps, without and with the Python client, which PYTHONPATH names: prints its times as
JSON."""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

STEPS = 10_000
_MICROSECONDS = 1e6


def step(number: int) -> int:
    return number


def quantiles(function: Callable[[int], int]) -> tuple[float, float]:
    """The median and the 99th percentile of a call, in microseconds."""
    clock = time.perf_counter
    times = []
    for number in range(STEPS):
        began = clock()
        function(number)
        times.append(clock() - began)
    times.sort()
    return times[STEPS // 2] * _MICROSECONDS, times[STEPS * 99 // 100] * _MICROSECONDS


def peak_memory() -> int:
    """In KiB. `ru_maxrss` would include the memory of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    gc.disable()
    untracked = quantiles(step)
    gc.enable()
    cpu = time.process_time()
    from rungraph import flush, track

    imported = time.process_time() - cpu

    def script() -> dict[str, float]:
        tracked = track(step)
        tracked(0)
        began = time.perf_counter()
        p50, p99 = quantiles(tracked)
        delivered = 0.0
        if "flush" in sys.argv and flush(60):
            delivered = STEPS / (time.perf_counter() - began)
        return {"p50": p50, "p99": p99, "delivered": delivered}

    values = track(script)()
    values |= {
        "import_ms": imported * 1000,
        "untracked_p50": untracked[0],
        "untracked_p99": untracked[1],
        "memory_mib": peak_memory() / 1024,
        "cpu": time.process_time() - cpu,
        "ended": time.time(),
    }
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
