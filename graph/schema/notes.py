"""Notes: the GraphQL type, and the fields of Mutation that write them."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.schema.fields import described, optional
from graph.schema.inputs.records import ActionIdentifierInput, RunIdentifierInput
from graph.schema.types import values


@strawberry.type(description="What a person or a program wrote about a run or an action.")
class Note:
    @strawberry.field(description="Identifies it, for updateNote and deleteNote.")
    def id(root: strawberry.Parent[repo.Note]) -> strawberry.ID:
        return strawberry.ID(root.id.hex())

    text: str = described("Plain text, which may have several lines and URLs.")
    author: values.Identity | None = described("Who wrote it; null if the server required no authentication.")
    created_at: datetime = described("When it was written.")
    edited_at: datetime | None = described("When its text was last replaced; null if it never was.")


@strawberry.input(description="A note on a run or on an action: give one of `run` and `action`.")
class AddNoteInput:
    run: RunIdentifierInput | None = optional("The run. Its notes are those of its root action.")
    action: ActionIdentifierInput | None = optional("The action.")
    text: str = described(f"Plain text, 1 to {repo.MAX_NOTE} characters, also line breaks and tabs.")
    key: str | None = optional(
        "Identifies the note among those that the caller writes there, 1 to 255 printable characters; by "
        "default its text does. What is sent again with the same key is stored once."
    )

    def about(self) -> repo.RunIdentifier | repo.ActionIdentifier:
        """What the note is about. Raises InvalidArgument."""
        if (self.run is None) == (self.action is None):
            raise repo.InvalidArgument("give either run or action")
        of = self.action if self.run is None else self.run
        assert of is not None
        return of.to_repo()


Id = Annotated[strawberry.ID, strawberry.argument("The id of the note.")]


def _bytes_of(id: str) -> bytes:
    try:
        return bytes.fromhex(id)
    except ValueError:
        raise repo.InvalidArgument("the id is not one of a note") from None


@strawberry.type(description="The result of deleteNote.")
class DeleteNotePayload:
    deleted: bool = described("False if there was no such note, or no more.")


@strawberry.type(description="The mutations of notes.")
class NoteMutation:
    @strawberry.mutation(
        description="Adds a note to a run or an action and returns it; those who watch the run get it as any "
        "change. The caller is recorded as its author. Operators, writers and administrators may. Idempotent "
        "by `key`, or without one by the text: the stored note is returned. QUOTA_EXCEEDED with more than "
        f"{repo.MAX_NOTES} notes of an action.",
        graphql_type=Note,
    )
    async def add_note(
        self, info: Call, input: Annotated[AddNoteInput, strawberry.argument("The note.")]
    ) -> repo.Note:
        author = info.context.caller.creator(None)
        notes = info.context.repository.notes
        note = await notes.add(input.about(), input.text, author, input.key)
        info.context.reset_loaders()
        return note

    @strawberry.mutation(
        description="Replaces the text of a note and returns it. FORBIDDEN unless the caller wrote it or is "
        "an administrator there.",
        graphql_type=Note,
    )
    async def update_note(
        self,
        info: Call,
        id: Id,
        text: Annotated[str, strawberry.argument("The text, which replaces the one before.")],
    ) -> repo.Note:
        author = info.context.caller.creator(None)
        note = await info.context.repository.notes.update(_bytes_of(id), text, author)
        info.context.reset_loaders()
        return note

    @strawberry.mutation(
        description="Deletes a note. FORBIDDEN unless the caller wrote it or is an administrator there."
    )
    async def delete_note(self, info: Call, id: Id) -> DeleteNotePayload:
        author = info.context.caller.creator(None)
        deleted = await info.context.repository.notes.delete(_bytes_of(id), author)
        info.context.reset_loaders()
        return DeleteNotePayload(deleted=deleted)


def load_notes(info: Call, action: repo.ActionIdentifier, last: int | None) -> Awaitable[list[repo.Note]]:
    """The last notes of an action, oldest first."""
    return info.context.loaders.notes.load((action, (repo.MAX_NOTES if last is None else last,)))
