"""The GraphQL operations of an executor, in batches within the server's limits."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.client import ApiError, GraphQLClient
from ingest.plan import Json, Plan
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase

BATCH = 1000
"""The most items in one call: a page of results too."""
BATCH_BYTES = 4 * 1024 * 1024
"""Half of what a server reads by default."""

_CREATE = (
    """mutation CreateActions($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"""
)
_EVENTS = (
    """mutation InsertEvents($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"""
)
_PHASES = """mutation UpdateActionPhases($input: [UpdateActionPhaseInput!]!) {
  updateActionPhases(input: $input) { applied }
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
class Stored:
    """How far the server knows an action to have come."""

    phase: ActionPhase
    attempts: int

    @property
    def rank(self) -> tuple[int, ActionPhase]:
        """Comparable with the rank of a plan's step."""
        return self.attempts, self.phase


def batches(items: Sequence[Json]) -> Iterator[list[Json]]:
    """The items in order, in lists that fit into one call."""
    batch: list[Json] = []
    size = 0
    for item in items:
        bytes_ = len(json.dumps(item, ensure_ascii=False).encode())
        if batch and (len(batch) == BATCH or size + bytes_ > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += bytes_
    if batch:
        yield batch


class Executor:
    """What an executor tells the server, and asks it. Every call may be made again. Raises ApiError."""

    def __init__(self, client: GraphQLClient) -> None:
        self.client = client
        self.writes = 0
        """How many calls have written something."""

    async def check(self) -> None:
        """Return when there is a server."""
        await self.client.execute("query Hello { __typename }")

    async def report(
        self, created: Sequence[Json] = (), events: Sequence[Json] = (), phases: Sequence[Json] = ()
    ) -> None:
        """Create actions, insert events, update phases: in this order, so that whoever sees a phase
        finds its event, and an action in a terminal phase has nothing left to be reported."""
        for query, variable, items in (
            (_CREATE, "input", created),
            (_EVENTS, "events", events),
            (_PHASES, "input", phases),
        ):
            for batch in batches(items):
                await self.client.execute(query, {variable: batch})
                self.writes += 1

    async def update_state(self, action: Json, state: str) -> None:
        """Set an action's own text."""
        await self.client.execute(_STATE, {"id": action, "state": state})

    async def stored_actions(self, plan: Plan) -> dict[str, Stored]:
        """The actions of the run that exist, by name."""
        found: dict[str, Stored] = {}
        after = None
        while True:
            data = await self.client.execute(_ACTIONS, {"run": plan.run_input(), "after": after})
            page = data["actions"]
            for node in page["nodes"]:
                found[node["name"]] = Stored(ActionPhase[node["phase"]], node["attempts"])
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    async def aborts_of(self, plan: Plan) -> tuple[ActionPhase | None, list[str]]:
        """The phase of the run, None where it does not exist, and the names of its actions whose abort
        waits to be confirmed."""
        data = await self.client.execute(_ABORTS, {"run": plan.run_input()})
        run = data["run"]
        asked = [
            node["name"]
            for node in data["pendingAborts"]["nodes"]
            if (node["project"], node["domain"], node["runName"])
            == (plan.run.project, plan.run.domain, plan.run.name)
        ]
        # Many other aborts may wait before this one; the run itself tells of its own.
        if run and run["abort"] and run["abort"]["state"] in ("REQUESTED", "RETRYING"):
            asked.insert(0, plan.root.name)
        return run and ActionPhase[run["phase"]], list(dict.fromkeys(asked))

    async def mark_abort_attempt(self, action: Json) -> int:
        """Say that stopping the action is under way; how often that was said by now."""
        try:
            data = await self.client.execute(_MARK, {"id": action})
        except ApiError as error:
            # Somebody else has confirmed it since it was listed.
            if error.code != "CONFLICT":
                raise
            return 1
        return int(data["markAbortAttempt"]["attemptCount"])

    async def clear_abort_request(self, action: Json) -> None:
        """Say that the action is gone."""
        await self.client.execute(_CLEAR, {"id": action})

    async def run(self, run: RunIdentifier) -> Json | None:
        """project, domain, name, labels and rootAction.spec of a run, if there is one."""
        name = {"project": run.project, "domain": run.domain, "name": run.name}
        found: Json | None = (await self.client.execute(_RUN, {"run": name}))["run"]
        return found

    async def runs(self, wanted: Json) -> list[Json]:
        """project, domain, name and rootAction.spec of every run that matches."""
        found: list[Json] = []
        after = None
        while True:
            data = await self.client.execute(_RUNS, {"filter": wanted, "after": after})
            found += data["runs"]["nodes"]
            if not data["runs"]["pageInfo"]["hasNextPage"]:
                return found
            after = data["runs"]["pageInfo"]["endCursor"]

    async def count_runs(self, wanted: Json) -> int:
        """How many runs match."""
        data = await self.client.execute(_COUNT, {"filter": wanted})
        return int(data["runs"]["totalCount"])
