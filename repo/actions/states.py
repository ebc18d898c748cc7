"""Stores the executors' own texts about actions, and notifies their watchers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from repo.domain.errors import ActionNotFound
from repo.domain.identifiers import ActionIdentifier
from repo.sql.batches import fetch_having, update_rows
from repo.sql.functions import this_transaction
from repo.sql.transactions import Transaction
from repo.tables import actions

StateUpdate = tuple[ActionIdentifier, dict[str, str]]
"""An action with its `state`, if it is to be stored."""

c = actions.c


async def set_states(transaction: Transaction, updates: Sequence[StateUpdate], now: datetime) -> list[None]:
    """Apply the updates in order; the last one of each action counts. Raises ActionNotFound before anything
    is written."""
    keys = [action_id.key for action_id, _ in updates]
    found = {key for (key,) in await fetch_having(transaction, "lock states", c.key, keys, _locked)}
    changed: dict[bytes, dict[str, str]] = {}
    for key, (action_id, values) in zip(keys, updates, strict=True):
        if key not in found:
            raise ActionNotFound(f"there is no action {action_id}")
        changed[key] = changed.get(key, {}) | values
    rows = [{"key": key, **values, "updated_at": now} for key, values in sorted(changed.items())]
    for same in ([row for row in rows if "state" in row], [row for row in rows if "state" not in row]):
        await update_rows(transaction, actions, same, state_transaction_id=this_transaction())
    return [None] * len(updates)


def _locked(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    # In the order of all writers, and without blocking the events that refer to them.
    return restricted(select(c.key)).order_by(c.key).with_for_update(key_share=True, of=actions)
