"""An executor with a lease, as a program of its own: `python leasing.py URL[,URL] RUN TTL`. It creates the
run, prints `ready` and renews the lease; on SIGTERM it reports that the run succeeded, and ends."""

import json
import os
import signal
import sys
import threading
import urllib.request
from itertools import cycle
from typing import Any

RENEW = """mutation ($runs: [RunIdentifierInput!]!, $executor: String!, $ttl: Int!) {
  renewLease(runs: $runs, executor: $executor, ttlSeconds: $ttl) { results { expiresAt error { code } } }
}"""
CREATE = """mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"""
UPDATE = """mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }"""


def main(url: str, name: str, ttl: int) -> None:
    """Runs until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    run = {"project": "p", "domain": "d", "name": name}
    of_run = {"project": "p", "domain": "d", "runName": name}
    ids = [{**of_run, "name": each} for each in ("root", "step")]
    actions = [{"id": ids[0], "phase": "RUNNING"}, {"id": ids[1], "parentName": "root", "phase": "RUNNING"}]
    send(url, CREATE, {"input": actions})
    renewal = {"runs": [run], "executor": f"{name}:{os.getpid()}", "ttl": ttl}
    send(url, RENEW, renewal)
    print("ready", flush=True)
    while not ended.wait(ttl / 3):
        send(url, RENEW, renewal)
    send(url, UPDATE, {"input": [{"id": each, "attempts": 1, "phase": "SUCCEEDED"} for each in ids[::-1]]})


def send(url: str, query: str, variables: dict[str, Any]) -> None:
    """Sends a mutation; without an answer again and again, to one server after the other."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    pause = threading.Event()
    for each in cycle(url.split(",")):
        request = urllib.request.Request(each, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=2) as response:
                answer = json.load(response)
            assert "errors" not in answer, answer
            return
        except OSError:
            pause.wait(0.2)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
