"""Searches of runs and actions by names, paths and error codes: as SQL, as terms of the index, as Python."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select

from repo.actions.criteria import Predicate
from repo.actions.rows import ActionRow, run_of
from repo.domain.identifiers import compositions, folded, stored_foldings
from repo.sql.functions import contains_text
from repo.sql.terms import AllOf, AnyOf, Terms
from repo.tables import MAX_CODE_PREFIX, error_code_prefix, runs

_MAX_SEARCHED = 100
"""Characters of a search term for which the index is read."""
_MAX_PARTS, _LONG_NAME = 8, 12
"""Pairs of characters by which a path is found, and characters that have enough of them."""

r = runs.c


def contains(column: ColumnElement[str], term: str) -> ColumnElement[bool]:
    """Whether a column of normalised text contains the term."""
    return or_(*(contains_text(column, each) for each in stored_foldings(term)))


def name_search(*paths: Callable[[ActionRow], str | None]) -> Callable[[str], Predicate]:
    """Matches rows of which one of the names contains the term."""

    def predicate(term: str) -> Predicate:
        value = folded(term)
        return lambda row: any(value in folded(name) for read in paths if (name := read(row)))

    return predicate


def _cases(term: str) -> list[str]:
    """The spellings of an error code that a search for the term finds."""
    return list(dict.fromkeys((term, term.upper(), term.lower())))


def run_search_conditions(term: str) -> list[ColumnElement[bool]]:
    """The condition for runs that have the term in a name, in their path, or in the code of their error."""
    found: list[ColumnElement[bool]] = [contains(r.search_text, term), _has_code(term)]
    if "/" in term:
        path = r.project + "/" + r.domain + "/" + r.run_name
        found += [contains_text(path, each) for each in compositions(term)]
    return [or_(*found)]


def _has_code(term: str) -> ColumnElement[bool]:
    return and_(r.error_code.is_not(None), or_(*(contains_text(r.error_code, each) for each in _cases(term))))


def run_search_terms(term: str) -> Terms | None:
    """The single characters and pairs of characters of the names, and of the path. Names that are too long
    to be taken apart have a term of their own."""
    found: list[Terms] = ["long", *(AllOf(_parts("n", each)) for each in stored_foldings(term))]
    if term == "/":
        return None
    if "/" in term:
        found += [AllOf(_parts_of_path(each)) for each in compositions(term)]
    return AnyOf(found)


def _parts(kind: str, text: str) -> list[str]:
    """Every second pair of characters in the text, or its only character; of a long text, those of its
    beginning."""
    text = text[:_MAX_SEARCHED]
    starts = {*range(0, len(text) - 1, 2), max(0, len(text) - 2)}
    return [kind + text[start : start + 2] for start in sorted(starts)]


def _parts_of_path(path: str) -> list[str]:
    """At most eight pairs of characters, of the name rather than of the project and domain, which many runs
    share: each is a list of runs to read."""
    name = path[path.rindex("/") :]
    parts = _parts("p", name if len(name) >= _LONG_NAME else path[-_LONG_NAME:])
    return parts[:: -(-len(parts) // _MAX_PARTS)]


def run_search(term: str) -> Predicate:
    """`run_search_conditions` in Python."""
    names = name_search(
        lambda row: run_of(row).name, lambda row: run_of(row).task_name, lambda row: run_of(row).function_name
    )
    by_name, paths, codes = names(term), compositions(term) if "/" in term else [], _cases(term)

    def matches(row: ActionRow) -> bool:
        if by_name(row):
            return True
        run = run_of(row)
        if paths and any(each in f"{run.project}/{run.domain}/{run.name}" for each in paths):
            return True
        code = run.error.code if run.error else None
        return code is not None and any(each in code for each in codes)

    return matches


def runs_with_code(term: str) -> Select[Any]:
    """The numbers of the runs whose error may have a code that contains the term. Each code is read once, by
    a lookup in the index, however many runs have it."""
    has_code = r.error_code.is_not(None)
    code = error_code_prefix.label("code")
    first = select(code).where(has_code).order_by(code).limit(literal_column("1"))
    # Not at the beginning of a statement: SQLite's driver would not count the rows of an update.
    codes = select(first.scalar_subquery().label("code")).cte("codes", recursive=True, nesting=True)
    following = first.where(error_code_prefix > codes.c.code).scalar_subquery()
    codes = codes.union_all(select(following).where(codes.c.code.is_not(None)))
    found = [contains_text(codes.c.code, each) for each in _cases(term)]
    matching = select(codes.c.code).where(or_(func.length(codes.c.code) == MAX_CODE_PREFIX, *found))
    return select(r.number).where(has_code, error_code_prefix.in_(matching))
