"""Leases over the API: renewals, their errors, aborts, and what runs show of them."""

from typing import Any

from repo import ActionRepo, RunIdentifier
from tests.support.client import GraphQLClient
from tests.support.making import RUN, make_run, new

RENEW = """mutation ($runs: [RunIdentifierInput!]!, $executor: String = "one", $ttl: Int = 60) {
  renewLease(runs: $runs, executor: $executor, ttlSeconds: $ttl) { results {
    run { name } expiresAt aborts { name abort { reason } } error { code message path }
  } }
}"""
SHOWN = """query ($runs: RunFilter) { runs(filter: $runs) { nodes {
  name executor leaseExpiresAt lastReportedAt rootAction { isLost }
} } }"""


def identifier(run: RunIdentifier) -> dict[str, str]:
    return {"project": run.project, "domain": run.domain, "name": run.name}


async def renew(client: GraphQLClient, *runs: RunIdentifier, **rest: Any) -> list[dict[str, Any]]:
    body = await client.execute(RENEW, {"runs": [identifier(run) for run in runs], **rest})
    results: list[dict[str, Any]] = body["data"]["renewLease"]["results"]
    return results


async def test_a_renewal_answers_for_each_run_with_its_aborts(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    other = RunIdentifier("etl", "production", "other")
    await make_run(repository, a="a0", b="a0")
    await repository.actions.create([new(run=other)])
    await repository.abort_run(RUN, "wrong table", None)
    unknown = RunIdentifier("etl", "production", "none")
    aborted, absent, running = await renew(client, RUN, unknown, other)
    assert [each["run"]["name"] for each in (aborted, absent, running)] == ["nightly-1", "none", "other"]
    assert aborted["aborts"] == [{"name": "a0", "abort": {"reason": "wrong table"}}]
    assert aborted["error"] is running["error"] is None
    assert (absent["expiresAt"], absent["aborts"], running["aborts"]) == (None, [], [])
    assert absent["error"]["code"] == "NOT_FOUND"
    assert absent["error"]["path"] == ["runs", "1"]
    (held,) = await renew(client, other, executor="two")
    assert held["error"]["code"] == "CONFLICT"
    assert "the executor one holds the lease" in held["error"]["message"]


async def test_runs_show_their_executor_and_when_they_were_last_reported(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    (renewed,) = await renew(client, RUN)
    body = await client.execute(SHOWN, {"runs": {"executor": "one"}})
    (run,) = body["data"]["runs"]["nodes"]
    assert run["name"] == "nightly-1"
    assert run["leaseExpiresAt"] == renewed["expiresAt"]
    assert run["lastReportedAt"] is not None
    assert run["rootAction"] == {"isLost": False}
    for filter in ({"executor": "two"}, {"silentSince": "2026-01-01T00:00:00Z"}):
        assert (await client.execute(SHOWN, {"runs": filter}))["data"]["runs"]["nodes"] == []


async def test_an_invalid_renewal_names_what_is_wrong(client: GraphQLClient) -> None:
    for rest, text in (
        ({"ttl": 0}, "a lease lasts 1 to 86400 s, not 0"),
        ({"executor": ""}, "executor must not be empty"),
        ({"runs": [{"project": "p", "domain": "d", "name": ""}]}, "runs[0]: "),
    ):
        body = await client.execute(RENEW, {"runs": [identifier(RUN)], **rest})
        (error,) = body["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert text in error["message"]
