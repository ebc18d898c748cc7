"""Places actions in the trees of their runs, whatever the order in which they are reported.

An action that others name before a report describes it is a placeholder, directly below the root. If no
report describes the root either, a placeholder takes its place until then.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Select, literal, select

from repo.actions.ancestors import PLACEHOLDER, AbortAbove, Ancestry, Node, lock_runs, read_ancestry
from repo.domain.errors import ActionNotFound, Conflict, InvalidArgument, RepoError, RunNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import NewAction
from repo.domain.slices import in_slices
from repo.sql.batches import fetch_having
from repo.sql.functions import looked_up
from repo.sql.transactions import Transaction
from repo.tables import actions

c = actions.c


@dataclass
class Placement:
    """Where some actions belong in the trees of their runs."""

    stored: Ancestry
    """Those that are stored, with all above them."""
    parents: dict[bytes, bytes | None]
    """The key of the parent of each, stored or new."""
    placeholders: set[bytes]
    """Those that no report has described."""
    runs: Mapping[bytes, RunIdentifier] = field(default_factory=dict)
    """The runs by key."""
    new: dict[bytes, ActionIdentifier] = field(default_factory=dict)
    """Those to insert."""
    described: set[bytes] = field(default_factory=set)
    """Stored placeholders that are described now."""
    details: dict[bytes, NewAction] = field(default_factory=dict)
    """What describes them: of several descriptions of an action the first that can be stored."""
    errors: dict[int, RepoError] = field(default_factory=dict)
    """Why some descriptions cannot be stored, by their number."""
    roots: dict[bytes, bytes] = field(default_factory=dict)
    """The root of each run, by the key of the run."""
    depths: dict[bytes, int] = field(default_factory=dict)
    aborts: dict[bytes, AbortAbove | None] = field(default_factory=dict)
    """The nearest abort request of each, itself included."""

    @property
    def moved(self) -> dict[bytes, bytes | None]:
        """The new parents of stored actions that get another one."""
        nodes, parents = self.stored.nodes, self.parents
        return {key: parents[key] for key in nodes if parents[key] != nodes[key].parent_key}

    def name(self, key: bytes) -> str:
        """The name of an action."""
        name = self.new[key].name if key in self.new else self.stored.nodes[key].name
        assert name is not None
        return name


class _Arrangement:
    """Finds the places of described actions, and of those that are only named."""

    def __init__(self, roots: Mapping[bytes, bytes], stored: Ancestry) -> None:
        nodes = stored.nodes
        placeholders = {node.key for node in nodes.values() if node.is_placeholder}
        parents = {node.key: node.parent_key for node in nodes.values()}
        self.result = Placement(stored, parents, placeholders, roots=dict(roots))
        self._hanging: dict[bytes, set[bytes]] = {}
        """The placeholders below the root of each run."""
        for key in placeholders:
            if parents[key] is not None:
                self._hanging.setdefault(key[:16], set()).add(key)

    def hang(self, id: ActionIdentifier) -> None:
        """Make a placeholder of an action that is only named, unless it is known."""
        key, result = id.key, self.result
        if key in result.parents:
            return
        root = result.roots.setdefault(key[:16], key)
        result.new[key] = id
        result.placeholders.add(key)
        result.parents[key] = None if root == key else root
        if root != key:
            self._hanging.setdefault(key[:16], set()).add(key)

    def describe(self, id: ActionIdentifier, parent: ActionIdentifier | None) -> None:
        """Place a described action. Raises Conflict for a second root and InvalidArgument for an action that
        is its own ancestor."""
        key, result = id.key, self.result
        is_known = key in result.parents
        if is_known and key not in result.placeholders:
            return
        if parent is not None and parent.key == key:
            raise _own_ancestor(id)
        root = result.roots.get(key[:16])
        if parent is None:
            if root is not None and root not in result.placeholders:
                raise second_root(id, result.name(root))
            self._make_root(key)
        else:
            self.hang(parent)
            self._attach(id, parent.key, is_known)
        result.placeholders.discard(key)
        self._hanging.get(key[:16], set()).discard(key)
        if key in result.stored.nodes:
            result.described.add(key)
        else:
            result.new.setdefault(key, id)

    def _attach(self, id: ActionIdentifier, parent: bytes, is_known: bool) -> None:
        key, result = id.key, self.result
        if is_known:  # only then may something be below it
            below, at = None, parent
            while at != key and (above := result.parents[at]) is not None:
                below, at = at, above
            if at == key:
                is_below_by_default = below is not None and below in self._hanging.get(key[:16], ())
                if not is_below_by_default or result.roots[key[:16]] != key:
                    raise _own_ancestor(id)
                assert below is not None
                self._make_root(below)
        result.parents[key] = parent

    def _make_root(self, key: bytes) -> None:
        """Let this action be the root instead of a placeholder, which then is below it with all others."""
        result, run = self.result, key[:16]
        former = result.roots.get(run)
        result.roots[run] = key
        result.parents[key] = None
        hanging = self._hanging.setdefault(run, set())
        hanging.discard(key)
        if former is not None and former != key:
            hanging.add(former)
            result.parents.update(dict.fromkeys(hanging, key))


async def place(
    transaction: Transaction, described: Sequence[NewAction], named: Collection[ActionIdentifier]
) -> Placement:
    """The places of described actions and of those that are only named. Errors are in the result."""
    runs = {action.id.run for action in described} | {id.run for id in named}
    parents: list[ActionIdentifier | None] = []
    async for action in in_slices(described):
        name = action.parent_name
        parents.append(None if name is None else replace(action.id, name=name))
    of_all = (*(action.id for action in described), *named, *parents)
    keys = {id.key for id in of_all if id is not None}
    is_locked = False
    while True:
        roots = {run.key: root for run, root in (await lock_runs(transaction, runs)).items()}
        stored = await read_ancestry(transaction, keys | set(roots.values()))
        placement = await _arrange(roots, stored, described, parents, named)
        touched = {key[:16] for key in _unsettled(placement)}
        if is_locked or not touched:
            break
        # Until this transaction ends, no other one changes the places of actions in these runs.
        await transaction.lock(touched)
        is_locked = True
    placement.runs = {run.key: run for run in runs}
    await _move_with_the_root(transaction, placement, roots)
    await _read_upwards(placement)
    return placement


def _unsettled(placement: Placement) -> set[bytes]:
    """The actions whose place others may change, since they or one above them are not described yet, and
    those whose place changes here."""
    return placement.placeholders | placement.described


async def _arrange(
    roots: Mapping[bytes, bytes],
    stored: Ancestry,
    described: Sequence[NewAction],
    parents: Sequence[ActionIdentifier | None],
    named: Collection[ActionIdentifier],
) -> Placement:
    arrangement = _Arrangement(roots, stored)
    async for number, action in in_slices(enumerate(described)):
        try:
            arrangement.describe(action.id, parents[number])
            arrangement.result.details.setdefault(action.id.key, action)
        except RepoError as error:
            arrangement.result.errors[number] = error
    async for id in in_slices(named):
        arrangement.hang(id)
    return arrangement.result


def second_root(action: ActionIdentifier, root: str) -> Conflict:
    """The error for a second root of a run."""
    text = f"run {action.run} has a root action already ({root}); {action.name} needs a parentName"
    return Conflict(text).of(action)


def _own_ancestor(action: ActionIdentifier) -> InvalidArgument:
    return InvalidArgument(f"action {action} is its own ancestor").of(action)


def check_parents(placement: Placement) -> None:
    """Raise the first error, or RunNotFound or ActionNotFound for the first action whose parent is neither
    stored nor among the others."""
    runs = {key[:16] for key in placement.stored.nodes}
    unknown = placement.placeholders & placement.new.keys()
    for error in placement.errors.values():
        raise error
    for key, action in placement.details.items():
        is_placed = key in placement.new or key in placement.described
        if is_placed and placement.parents[key] in unknown:
            if key[:16] not in runs:
                text = f"there is no run {action.id.run} to create {action.id.name} in"
                raise RunNotFound(text).of(action.id)
            text = f"there is no action {action.parent_name}, the parent of {action.id}"
            raise ActionNotFound(text).of(action.id)


async def _move_with_the_root(
    transaction: Transaction, placement: Placement, roots: Mapping[bytes, bytes]
) -> None:
    """Let all stored placeholders follow when another action becomes the root of their run."""
    replaced = {root: placement.roots[run] for run, root in roots.items() if placement.roots[run] != root}
    if not replaced:
        return
    stored = (await read_ancestry(transaction, replaced.values())).nodes
    nodes = {**placement.stored.nodes, **{key: stored[key] for key in replaced.values() if key in stored}}
    for row in await fetch_having(transaction, "placeholders below", c.parent_key, replaced, _placeholders):
        if row[0] not in nodes:
            node = Node(*row)
            nodes[node.key] = node
            placement.parents[node.key] = replaced[node.parent_key or b""]
            placement.placeholders.add(node.key)
    placement.stored = Ancestry(nodes, placement.stored.aborts)


def _placeholders(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    # Whether such a placeholder is aborted is read when it is named itself.
    columns = (c.key, c.parent_key, c.depth, literal(PLACEHOLDER), c.name, c.created_at, c.placeholder_since)
    return restricted(select(*columns)).where(c.placeholder_since.is_not(None))


async def _read_upwards(placement: Placement) -> None:
    """Set the depths and the nearest aborts."""
    parents, depths, aborts = placement.parents, placement.depths, placement.aborts
    async for key in in_slices(parents):
        chain: list[bytes] = []
        at: bytes | None = key
        while at is not None and at not in depths:
            chain.append(at)
            at = parents[at]
        depth, abort = (-1, None) if at is None else (depths[at], aborts[at])
        for member in reversed(chain):
            depth, abort = depth + 1, placement.stored.aborts.get(member, abort)
            depths[member], aborts[member] = depth, abort


async def read_below(transaction: Transaction, keys: Collection[bytes]) -> list[list[Any]]:
    """The actions below these, and these themselves, with the depths that follow from the stored ones of
    these, and their stored depths."""
    return await fetch_having(transaction, "actions below", c.key, keys, _below)


def _below(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    top = restricted(select(c.key, c.depth, c.depth.label("stored_depth"))).cte("tree", recursive=True)
    child = actions.alias("child")
    step = select(child.c.key, top.c.depth + literal(1), child.c.depth)
    tree = top.union(step.join_from(top, child, child.c.parent_key == looked_up(top.c.key)))
    return select(tree)
