"""The field of Mutation that renews leases of runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.item_errors import read_items
from graph.limits.cost import SHORT_LIST, batch
from graph.schema.fields import described
from graph.schema.inputs.records import RunIdentifierInput
from graph.schema.payloads import ItemError, item_error
from graph.schema.types import values
from graph.schema.types.records import Action


@dataclass(frozen=True, slots=True)
class RenewedLease:
    """The result of one renewal."""

    run: repo.RunIdentifier
    expires_at: datetime | None
    error: ItemError | None


@dataclass(frozen=True, slots=True)
class RenewedLeases:
    """The results of a call."""

    results: list[RenewedLease]


@strawberry.field(
    description="The actions of the run whose abort is not confirmed, the oldest request first: stop their "
    "work and call clearAbortRequest. Empty with an error.",
    graphql_type=list[Action],
    metadata=SHORT_LIST,
)
async def _aborts(root: strawberry.Parent[RenewedLease], info: Call) -> list[repo.Action]:
    if root.error is not None:
        return []
    return await info.context.loaders.aborts.load((root.run.key, (selected(info, "Action"),)))


@strawberry.type(description="The result of renewing the lease of one run.")
class LeaseResult:
    run: values.RunIdentifier = described("The run.")
    expires_at: datetime | None = described(
        "When the lease ends unless it is renewed before, by the clock of the database; null with an error."
    )
    error: ItemError | None = described(
        "Why the lease was not renewed: NOT_FOUND if there is no such run, FORBIDDEN if the caller may not "
        "write it, CONFLICT if another executor, which the message names, holds a lease that has not expired."
    )

    aborts = _aborts


@strawberry.type(description="The result of renewLease.")
class RenewLeasePayload:
    results: list[LeaseResult] = described("The result of each run, in the order of the input.")


@strawberry.type(description="The mutation of leases.")
class LeaseMutation:
    @strawberry.mutation(
        description="Takes or renews the leases of up to 1000 runs that exist. An executor that renews none "
        "for `ttlSeconds` counts as lost: what is open in the run becomes FAILED with error EXECUTOR_LOST, "
        "until the executor renews the lease or reports about the action again. Renew after a third of the "
        "time. Leases are optional. Subscribers get no change by a renewal.",
        graphql_type=RenewLeasePayload,
        metadata=batch("runs"),
    )
    async def renew_lease(
        self,
        info: Call,
        runs: Annotated[list[RunIdentifierInput], strawberry.argument("The runs.")],
        executor: Annotated[
            str,
            strawberry.argument(
                "The name of the executor, 1 to 255 printable characters, unique to its process: two with "
                "the same name share their leases."
            ),
        ],
        ttl_seconds: Annotated[
            int, strawberry.argument("How long the leases last, from 1 s to a day (86400).")
        ],
    ) -> RenewedLeases:
        ids = await read_items("runs", runs, lambda run: run.to_repo())
        ttl = timedelta(seconds=ttl_seconds)
        renewed = await info.context.repository.leases.renew(ids, executor, ttl)
        info.context.reset_loaders()
        return RenewedLeases(
            [
                RenewedLease(
                    each.run,
                    each.expires_at,
                    None if each.error is None else item_error(each.error, "runs", number),
                )
                for number, each in enumerate(renewed)
            ]
        )
