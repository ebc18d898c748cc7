"""Notes on actions, for one caller. Those of a run are those of its root.

A row of an action has the number of its notes and the last one, so that lists show them without another
statement, and watchers get them as any change of the action.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.lists import in_scopes
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import ActionNotFound, Forbidden, NotFound, QuotaExceeded, RunNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import Identity, Note, identity_from_json, identity_to_json, note_to_json
from repo.domain.notes import MAX_NOTES, is_same, note_id, note_text
from repo.domain.pages import PageRequest
from repo.sql.database import Database
from repo.sql.paging import Keyset, fetch_pages
from repo.sql.statements import ResultSet
from repo.tables import actions, is_root, notes

c = actions.c
n = notes.c

_COLUMNS = tuple(n[each.name] for each in fields(Note))
_OLDEST_FIRST = Keyset("CREATED", n.created_at, False, (n.id,))


class Notes:
    """The notes that a caller may read and write. Each write is one transaction."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def list_of(
        self, action_ids: Collection[ActionIdentifier], limit: int = MAX_NOTES
    ) -> dict[ActionIdentifier, list[Note]]:
        """The notes of each action, oldest first; of more than `limit` the last ones."""
        scopes = self._access.readable
        by_key = {each.key: each for each in action_ids if includes(scopes, each.project, each.domain)}
        found: dict[ActionIdentifier, list[Note]] = {each: [] for each in action_ids}
        if by_key and limit:
            pages = await fetch_pages(
                self._database,
                "notes",
                lambda: select(*_COLUMNS),
                n.action_key,
                by_key,
                _OLDEST_FIRST,
                PageRequest(last=limit),
                _read,
            )
            found |= {action_id: list(pages[key].items) for key, action_id in by_key.items()}
        return found

    async def add(
        self, of: RunIdentifier | ActionIdentifier, text: str, author: Identity | None, key: str | None = None
    ) -> Note:
        """Add a note to a run or an action and return it. The same author's note with the same key, or with
        the same text if it has no key, is stored once: a repeat returns the stored one. Raises RunNotFound,
        ActionNotFound, InvalidArgument, and QuotaExceeded."""
        self._access.check(Permission.NOTE, [of])
        text = note_text(text)
        note_id(b"", author, key, text)

        async def work(connection: AsyncConnection) -> Note:
            action_key = await _locked(connection, of)
            id = note_id(action_key, author, key, text)
            stored = (await connection.execute(select(*_COLUMNS).where(n.id == id))).first()
            if stored is not None:
                return _note(stored)
            count = await connection.scalar(select(func.count()).where(n.action_key == action_key)) or 0
            if count >= MAX_NOTES:
                raise QuotaExceeded(f"{of} has {count} notes; more are not allowed: delete one first")
            new = Note(id, text, author, datetime.now(UTC), None)
            row = {"id": id, "action_key": action_key, "text": text, "author": identity_to_json(author)}
            await connection.execute(notes.insert().values(**row, created_at=new.created_at))
            await _touch(connection, action_key)
            return new

        return await self._database.transact_on_connection(work)

    async def update(self, id: bytes, text: str, author: Identity | None) -> Note:
        """Replace the text of a note and return it; only its author may, and who may change what others
        wrote. Raises NotFound, Forbidden and InvalidArgument."""
        text = note_text(text)

        async def work(connection: AsyncConnection) -> Note:
            found = await self._changeable(connection, id, author)
            if found is None:
                raise NotFound("there is no such note")
            action_key, note = found
            if note.text == text:
                return note
            edited_at = datetime.now(UTC)
            changed = notes.update().where(n.id == id).values(text=text, edited_at=edited_at)
            await connection.execute(changed)
            await _touch(connection, action_key)
            return Note(note.id, text, note.author, note.created_at, edited_at)

        return await self._database.transact_on_connection(work)

    async def delete(self, id: bytes, author: Identity | None) -> bool:
        """Delete a note, as `update` changes it, and return whether there was one. Raises Forbidden."""

        async def work(connection: AsyncConnection) -> bool:
            found = await self._changeable(connection, id, author)
            if found is None:
                return False
            await connection.execute(notes.delete().where(n.id == id))
            await _touch(connection, found[0])
            return True

        return await self._database.transact_on_connection(work)

    async def _changeable(
        self, connection: AsyncConnection, id: bytes, author: Identity | None
    ) -> tuple[bytes, Note] | None:
        """The note and the key of its action, which is locked; None if the caller sees no such note. Raises
        Forbidden."""
        names = (c.project, c.domain, c.run_name, c.name)
        seen = select(*names).join(notes, n.action_key == c.key)
        named = (await connection.execute(seen.where(n.id == id, *in_scopes(self._access.readable)))).first()
        if named is None:
            return None
        action = ActionIdentifier(*named)
        self._access.check(Permission.NOTE, [action])
        action_key = await _locked(connection, action)
        row = (await connection.execute(select(*_COLUMNS).where(n.id == id))).first()
        if row is None:
            return None  # deleted meanwhile
        note = _note(row)
        if not is_same(note.author, author) and not includes(
            self._access.scopes(Permission.MANAGE), action.project, action.domain
        ):
            raise Forbidden("only its author and administrators may change a note")
        return action_key, note


async def _locked(connection: AsyncConnection, of: RunIdentifier | ActionIdentifier) -> bytes:
    """The key of an action or of a run's root. Until the transaction ends, nobody else changes its notes.
    Raises RunNotFound and ActionNotFound."""
    which: ColumnElement[bool] = c.key == of.key
    if isinstance(of, RunIdentifier):
        which = (c.run_key == of.key) & is_root
    key: bytes | None = await connection.scalar(select(c.key).where(which).with_for_update(key_share=True))
    if key is None:
        error = RunNotFound if isinstance(of, RunIdentifier) else ActionNotFound
        raise error(f"there is no {'run' if error is RunNotFound else 'action'} {of}")
    return bytes(key)


async def _touch(connection: AsyncConnection, action_key: bytes) -> None:
    """Set what the action's row has of its notes, by which its watchers are notified."""
    of_action: Select[Any] = select(*_COLUMNS).where(n.action_key == action_key)
    last = (await connection.execute(of_action.order_by(n.created_at.desc(), n.id.desc()).limit(1))).first()
    count = await connection.scalar(select(func.count()).where(n.action_key == action_key))
    summary = null() if last is None else {"count": count, "last": note_to_json(_note(last))}
    changed = actions.update().where(c.key == action_key)
    await connection.execute(changed.values(notes=summary, updated_at=datetime.now(UTC)))


def _note(row: Sequence[Any]) -> Note:
    id, text, author, created_at, edited_at = row[: len(_COLUMNS)]
    return Note(bytes(id), text, identity_from_json(author), created_at, edited_at)


def _read(found: ResultSet) -> list[Note]:
    return [_note(row) for row in found.decoded()]
