"""The GraphQL operations of an executor, in batches within the server's limits."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.client import ApiError, GraphQLClient
from ingest.plan import Json, Plan, PlannedAction
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase

BATCH = 1000
"""The maximum number of items in a mutation."""
BATCH_BYTES = 4 * 1024 * 1024
"""Half of the server's default limit."""
_MUTATIONS = 20
"""Mutations in a request."""

_REPORT = """mutation Report($reports: [ReportInput!]!) {
  report(reports: $reports) { results { error { code message } } }
}"""
_LEASE = """mutation RenewLease($runs: [RunIdentifierInput!]!, $executor: String!, $ttl: Int!) {
  renewLease(runs: $runs, executor: $executor, ttlSeconds: $ttl) { results { error { message } } }
}"""
_STATE = """mutation UpdateActionState($id: ActionIdentifierInput!, $state: String!) {
  updateActionState(id: $id, state: $state) { action { id } }
}"""
_MARK = """mutation MarkAbortAttempt($id: ActionIdentifierInput!) {
  markAbortAttempt(id: $id) { attemptCount }
}"""
_CLEAR = """mutation ClearAbortRequest($id: ActionIdentifierInput!) {
  clearAbortRequest(id: $id) { action { id } }
}"""
_ACTIONS = """query ActionsOfRun($run: RunIdentifierInput!, $after: String) {
  actions(run: $run, first: 1000, after: $after, orderBy: {field: CREATED_AT, direction: ASC}) {
    nodes { name phase attempts }
    pageInfo { hasNextPage endCursor }
  }
}"""
_ABORTS = """query Aborts($run: RunIdentifierInput!) {
  run(id: $run) { phase abort { state } }
  pendingAborts(first: 1000) { nodes { project domain runName name } }
}"""
_RUN = """query Run($run: RunIdentifierInput!) {
  run(id: $run) { project domain name labels { key value } rootAction { spec } }
}"""
_RUNS = """query RunsOf($filter: RunFilter!, $after: String) {
  runs(filter: $filter, first: 1000, after: $after) {
    nodes { project domain name rootAction { spec } }
    pageInfo { hasNextPage endCursor }
  }
}"""
_COUNT = """query CountRuns($filter: RunFilter!) { runs(filter: $filter, first: 1) { totalCount } }"""


@dataclass(frozen=True, slots=True)
class StoredAction:
    """The stored phase and attempt of an action."""

    phase: ActionPhase
    attempts: int

    @property
    def rank(self) -> tuple[int, ActionPhase]:
        """Comparable with Step.rank."""
        return self.attempts, self.phase


def batches(items: Sequence[Json], most: int = BATCH) -> Iterator[list[Json]]:
    """The items in order, in lists of at most `most` that fit into one request."""
    batch: list[Json] = []
    size = 0
    for item in items:
        bytes_ = len(json.dumps(item, ensure_ascii=False).encode())
        if batch and (len(batch) == most or size + bytes_ > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += bytes_
    if batch:
        yield batch


class Executor:
    """The operations of an executor. All are idempotent and raise ApiError."""

    def __init__(self, client: GraphQLClient) -> None:
        self.client = client
        self.writes = 0
        """The number of mutations that wrote something."""

    async def check(self) -> None:
        """Returns when the server is available."""
        await self.client.execute("query Hello { __typename }")

    async def report(
        self, created: Sequence[Json] = (), events: Sequence[Json] = (), phases: Sequence[Json] = ()
    ) -> None:
        """Reports new actions, and events with the phase updates of the same attempts and phases."""
        await self.report_items(_reports(created, events, phases))

    async def report_items(self, reports: Sequence[Json]) -> None:
        """Sends ReportInputs."""
        for batch in batches(reports):
            stored = await self.client.execute(_REPORT, {"reports": batch})
            self.writes += 1
            for result in stored["report"]["results"]:
                if (error := result["error"]) is not None:
                    raise ApiError(error["message"], error["code"])

    async def append_logs(self, inputs: Sequence[Json]) -> None:
        """Appends lines to logs: AppendLogInputs, with their offsets."""
        await self._each("AppendLogs", "appendLog", "AppendLogInput", "nextOffset", inputs)

    async def store_artifacts(self, inputs: Sequence[Json]) -> None:
        """Stores artifacts: StoreArtifactInputs."""
        await self._each("StoreArtifacts", "storeArtifact", "StoreArtifactInput", "digest", inputs)

    async def write_output(
        self, plan: Plan, actions: Iterable[PlannedAction], time_at: Callable[[int], datetime]
    ) -> None:
        """Writes the logs and the artifacts of the last attempts of these actions. `time_at` returns the time
        of an offset in milliseconds."""
        logs: list[Json] = []
        artifacts: list[Json] = []
        for action in actions:
            last = action.steps[-1]
            attempt = {"action": plan.id_input(action.name), "attempt": last.attempt}
            logs += (attempt | each for each in _logs(action, time_at))
            made_at = time_at(last.offset_ms).isoformat()
            artifacts += (attempt | each | {"createdAt": made_at} for each in action.artifacts)
        await self.append_logs(logs)
        await self.store_artifacts(artifacts)

    async def renew_lease(self, run: Json, executor: str, ttl_s: int) -> None:
        """Renews the lease of a run."""
        await self.client.execute(_LEASE, {"runs": [run], "executor": executor, "ttl": ttl_s})
        self.writes += 1

    async def _each(self, name: str, field: str, type_: str, result: str, inputs: Sequence[Json]) -> None:
        """One mutation for each input, many in a request."""
        for batch in batches(inputs, _MUTATIONS):
            declared = ", ".join(f"$i{number}: {type_}!" for number in range(len(batch)))
            fields = " ".join(f"r{n}: {field}(input: $i{n}) {{ {result} }}" for n in range(len(batch)))
            variables = {f"i{number}": item for number, item in enumerate(batch)}
            await self.client.execute(f"mutation {name}({declared}) {{ {fields} }}", variables)
            self.writes += 1

    async def update_state(self, action: Json, state: str) -> None:
        """Sets the state text of an action."""
        await self.client.execute(_STATE, {"id": action, "state": state})

    async def stored_actions(self, plan: Plan) -> dict[str, StoredAction]:
        """The actions of the run that exist, by name."""
        found: dict[str, StoredAction] = {}
        after = None
        while True:
            data = await self.client.execute(_ACTIONS, {"run": plan.run_input(), "after": after})
            page = data["actions"]
            for node in page["nodes"]:
                found[node["name"]] = StoredAction(ActionPhase[node["phase"]], node["attempts"])
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    async def pending_aborts(self, plan: Plan) -> tuple[ActionPhase | None, list[str]]:
        """The phase of the run, None if it does not exist, and the names of its actions with unconfirmed
        aborts."""
        data = await self.client.execute(_ABORTS, {"run": plan.run_input()})
        run = data["run"]
        names = [
            node["name"]
            for node in data["pendingAborts"]["nodes"]
            if (node["project"], node["domain"], node["runName"])
            == (plan.run.project, plan.run.domain, plan.run.name)
        ]
        # The page may be full of other aborts; the run has its own.
        if run and run["abort"] and run["abort"]["state"] in ("REQUESTED", "RETRYING"):
            names.insert(0, plan.root.name)
        return run and ActionPhase[run["phase"]], list(dict.fromkeys(names))

    async def mark_abort_attempt(self, action: Json) -> int:
        """Counts an attempt to stop the action; returns the number of attempts."""
        try:
            data = await self.client.execute(_MARK, {"id": action})
        except ApiError as error:
            # Confirmed by another client since it was listed.
            if error.code != "CONFLICT":
                raise
            return 1
        return int(data["markAbortAttempt"]["attemptCount"])

    async def clear_abort_request(self, action: Json) -> None:
        """Confirms that the action has stopped."""
        await self.client.execute(_CLEAR, {"id": action})

    async def run(self, run: RunIdentifier) -> Json | None:
        """The project, domain, name, labels and rootAction.spec of a run; None if it does not exist."""
        name = {"project": run.project, "domain": run.domain, "name": run.name}
        found: Json | None = (await self.client.execute(_RUN, {"run": name}))["run"]
        return found

    async def runs(self, filter_: Json) -> list[Json]:
        """The project, domain, name and rootAction.spec of every matching run."""
        found: list[Json] = []
        after = None
        while True:
            data = await self.client.execute(_RUNS, {"filter": filter_, "after": after})
            found += data["runs"]["nodes"]
            if not data["runs"]["pageInfo"]["hasNextPage"]:
                return found
            after = data["runs"]["pageInfo"]["endCursor"]

    async def count_runs(self, filter_: Json) -> int:
        """The number of matching runs."""
        data = await self.client.execute(_COUNT, {"filter": filter_})
        return int(data["runs"]["totalCount"])


def _logs(action: PlannedAction, time_at: Callable[[int], datetime]) -> Iterator[Json]:
    """The streams, lines and offsets of AppendLogInputs."""
    streams: dict[str, list[Json]] = {}
    for line in action.lines:
        item = {"text": line.text, "level": line.level, "at": time_at(line.offset_ms).isoformat()}
        streams.setdefault(line.stream, []).append(item)
    for stream, lines in streams.items():
        offset = 0
        for batch in batches(lines):
            yield {"stream": stream, "lines": batch, "offset": offset}
            offset += len(batch)


def _reports(created: Sequence[Json], events: Sequence[Json], phases: Sequence[Json]) -> list[Json]:
    """Each new action, event and phase update as a report; an event and the update to its phase as one."""
    updates = {_step(item["id"], item["attempts"], item["phase"]): item for item in phases}
    reports: list[Json] = []
    for item in created:
        details = {name: value for name, value in item.items() if name not in _OF_ATTEMPT}
        report = {"id": item["id"], "details": details, "attempt": item.get("attempts", 1)}
        if item["phase"] != "QUEUED":
            report |= {"phase": item["phase"], "cacheStatus": item["cacheStatus"]}
        reports.append(report)
    for item in events:
        step = {name: value for name, value in item.items() if name != "action"}
        update = updates.pop(_step(item["action"], item["attempt"], item["phase"]), {})
        times = {name: value for name in ("startTime", "endTime") if (value := update.get(name)) is not None}
        reports.append({"id": item["action"], **step, **times})
    for item in updates.values():
        update = {name: value for name, value in item.items() if name != "attempts"}
        reports.append({**update, "attempt": item["attempts"]})
    return reports


_OF_ATTEMPT = ("id", "phase", "attempts", "cacheStatus")


def _step(id: Json, attempt: int, phase: str) -> tuple[str, ...]:
    return (*id.values(), str(attempt), phase)
