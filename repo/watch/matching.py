"""Whether a row that changed belongs to a watch: the Python form of the filters of `repo.actions.filters`."""

from collections.abc import Callable
from enum import Enum, auto

from repo.actions.criteria import predicates
from repo.actions.filters import PENDING_ABORTS, ActionFilter, RunFilter
from repo.actions.rows import ActionRow
from repo.domain.models import Action


class Match(Enum):
    """How a row that changed relates to a filter."""

    NOW = auto()
    """It matches."""
    NOT_NOW = auto()
    """It does not match, but may have matched before."""
    NEVER = auto()
    """It does not match and never did: what it lacks cannot change."""


Matcher = Callable[[ActionRow], Match]


def match_all(row: ActionRow) -> Match:
    """Every row matches."""
    return Match.NOW


def run_matcher(filter: RunFilter | None) -> Matcher:
    """Compares rows with a filter of runs; what is no run never matches."""
    of_any = _matcher(filter)
    return lambda row: Match.NEVER if row.run is None else of_any(row)


def action_matcher(filter: ActionFilter | None) -> Matcher:
    """Compares rows with a filter of actions."""
    return _matcher(filter)


def _matcher(filter: RunFilter | ActionFilter | None) -> Matcher:
    if filter is None:
        return match_all
    fixed, changing = predicates(filter, can_change=False), predicates(filter, can_change=True)

    def match(row: ActionRow) -> Match:
        for holds in fixed:
            if not holds(row):
                return Match.NEVER
        for holds in changing:
            if not holds(row):
                return Match.NOT_NOW
        return Match.NOW

    return match


def match_pending_abort(action: Action) -> Match:
    """Whether the abort of the action waits for its executor."""
    if action.abort_state is None:
        return Match.NEVER
    return Match.NOW if action.abort_state in PENDING_ABORTS else Match.NOT_NOW
