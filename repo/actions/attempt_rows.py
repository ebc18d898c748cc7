"""The statement that reads the events of attempts, merged as far as a database can without sorting them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    values,
)

from repo.actions.event_rows import EVENT_COLUMNS
from repo.domain.pages import AttemptRange
from repo.domain.phases import FIRST_TERMINAL, ActionPhase
from repo.sql.filters import KeyFilter
from repo.sql.functions import constant, looked_up
from repo.sql.types import EnumNumber
from repo.tables import action_events, actions

e = action_events.c
a = actions.c
is_reported = e.version >= literal_column("0")
"""An executor reported the event; the others are losses of executors, and that these were taken back."""

VALUES = frozenset({"error", "logs", "outputs", "cluster", "cache_status", "cluster_events"})
"""Columns of events from which only the values of the same names in an attempt are merged."""
_ALWAYS = frozenset({"action_key", "attempt", "phase", "version", "occurred_at", "reported_at"})
_LIMIT = bindparam("limit", type_=Integer)
_PAUSING = ActionPhase.RUNNING, ActionPhase.PAUSED
"""Between these an attempt may alternate."""


def events_of_attempts(in_keys: KeyFilter, range: AttemptRange, merged: Collection[str]) -> Select[Any]:
    """Rows of EVENT_COLUMNS of each action's attempts in the range, whose merge is that of all their events;
    of VALUES, only those in `merged` are read.

    An event without any of them matters only as the first of its phase. So all such events of a phase become
    one row, except where more than the first time decides: events of attempts that were paused, and those
    after the first terminal event. `in_keys` restricts the keys of actions."""
    numbers = _numbers(in_keys, range)
    of = numbers.c
    same = and_(e.action_key == looked_up(of.action_key), e.attempt == looked_up(of.attempt))
    without = [e[name].is_(None) for name in sorted(merged)]
    is_simple = and_(
        e.phase < FIRST_TERMINAL,
        is_reported,
        not_(and_(of.was_paused, constant(e.phase, *_PAUSING))),
        or_(of.first_end.is_(None), e.occurred_at <= of.first_end),
        *without,
    )
    kept = _ALWAYS | set(merged)
    columns = [each if each.name in kept else null().label(each.name) for each in EVENT_COLUMNS]
    others = select(*columns).join_from(numbers, action_events, same).where(not_(is_simple))
    if not without:  # most attempts need no second look
        others = others.where(or_(of.was_paused, of.first_end.is_not(None)))
    return select(*others.union_all(_firsts(numbers, without)).subquery().c)


def _firsts(numbers: CTE, without: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """A row for each attempt and phase with an event that nothing but its time matters of: the first time."""
    of = numbers.c
    began = values(column("phase", EnumNumber(ActionPhase)), name="began", literal_binds=True)
    phases = began.data([(phase,) for phase in ActionPhase if not phase.is_terminal]).cte("began")
    phase = phases.c.phase
    first = (
        select(func.min(e.occurred_at))
        .where(e.action_key == of.action_key, e.attempt == of.attempt, e.phase == phase, is_reported)
        .where(or_(of.first_end.is_(None), e.occurred_at <= of.first_end), *without)
        .scalar_subquery()
    )
    unpaused = not_(and_(of.was_paused, constant(phase, *_PAUSING)))
    found = select(of.action_key, of.attempt, phase, first.label("occurred_at"))
    found_at = found.join_from(numbers, phases, unpaused).offset(literal_column("0")).subquery().c
    known = {"version": literal_column("0"), **found_at}
    columns = (known.get(each.name, null()).label(each.name) for each in EVENT_COLUMNS)
    return select(*columns).where(found_at.occurred_at.is_not(None))


def _numbers(in_keys: KeyFilter, range: AttemptRange) -> CTE:
    """The numbers of each action's attempts in the range, found one after the other from its start; and of
    each whether it was paused, and when its first terminal event occurred. One more is read, since its start
    may be the end of the one before."""
    x = action_events.alias("x").c
    is_forward = range.first is not None
    next_number = func.min(x.attempt) if is_forward else func.max(x.attempt)
    after, before = (bindparam(name, type_=Integer) for name in ("after", "before"))
    start = select(next_number).where(x.action_key == a.key)
    if is_forward and range.after is not None:
        start = start.where(x.attempt > after)
    first: Any = start.scalar_subquery()
    if not is_forward and range.before is not None:
        following = select(func.min(x.attempt)).where(x.action_key == a.key, x.attempt >= before)
        first = func.coalesce(following.scalar_subquery(), first)
    one = literal_column("1", BigInteger)
    roots = in_keys.apply(select(a.key.label("action_key"), first.label("attempt"), one.label("rank")))
    walk = roots.cte("walk", recursive=True)
    w = walk.c
    beyond = x.attempt > w.attempt if is_forward else x.attempt < w.attempt
    following = select(next_number).where(x.action_key == w.action_key, beyond)
    step = select(w.action_key, following.scalar_subquery(), w.rank + one)
    walk = walk.union_all(step.where(w.attempt.is_not(None), w.rank < _LIMIT))
    w = walk.c
    of_it = (x.action_key == w.action_key, x.attempt == w.attempt)
    end = select(func.min(x.occurred_at)).where(*of_it, x.phase >= FIRST_TERMINAL)
    pause = exists().where(*of_it, constant(x.phase, ActionPhase.PAUSED))
    found = select(
        w.action_key, w.attempt, pause.label("was_paused"), end.scalar_subquery().label("first_end")
    )
    return found.where(w.attempt.is_not(None)).cte("numbers")
