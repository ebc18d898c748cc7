"""Starts `rungraph` for tests that are not in Python, by forking (tests.support.forking).

Each line of the input is a request, a JSON object: `id`, `arguments`, `environment`, `folder`, and the files
`stdout` and `stderr`. A line of the output gives its `pid`, and another one its exit `code` at its end. All
processes end with the input.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support import forking

_writing = threading.Lock()


def _say(id: int, **values: int) -> None:
    with _writing:
        print(json.dumps({"id": id, **values}), flush=True)


def _report_end(id: int, process: forking.Process) -> None:
    _say(id, code=process.wait_in_thread(None))


def _start(request: dict[str, Any]) -> None:
    with open(request["stdout"], "ab") as stdout, open(request["stderr"], "ab") as stderr:
        process = forking.Process(
            *(forking.RUNGRAPH, *request["arguments"]),
            environment=request["environment"],
            folder=Path(request["folder"]),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
        )
    _say(request["id"], pid=process.pid)
    threading.Thread(target=_report_end, args=(request["id"], process), daemon=True).start()


if __name__ == "__main__":
    for line in sys.stdin:
        _start(json.loads(line))
