import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { type FragmentType, readFragment } from "../gql";
import type { ActionIdentifierInput, NoteViewFragment as Note } from "../gql/graphql";
import { may, useGrants } from "../live/access";
import { useApi } from "../live/api";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { announce } from "../ui/announce";
import { LinkedText } from "../ui/LinkedText";
import { Time } from "../ui/Time";
import { useValue } from "../ui/value";
import { AddNote, DeleteNote, NoteFragment, NotesOf, UpdateNote } from "./documents";
import { NoteEditor } from "./NoteEditor";
import classes from "./Notes.module.css";

export interface Noted {
  /** Increases with every change of the notes. */
  revision: number;
  noteCount: number;
  lastNote?: FragmentType<typeof NoteFragment> | null;
}

interface Props {
  /** The action; for a run, its root. */
  id: ActionIdentifierInput;
  of: Noted;
  isAdding: boolean;
  onAdded: () => void;
}

/** The last note, all of them on request, and a form for another one. */
export function Notes({ id, of, isAdding, onAdded }: Props) {
  const { revision, noteCount, lastNote } = of;
  const [isOpen, setOpen] = useState(false);
  const [, add] = useMutation(AddNote);
  const last = readFragment(NoteFragment, lastNote);
  // One for each time that the form is opened: what is sent again is stored once.
  const [key, setKey] = useState(newKey);
  return (
    <section className={classes.notes} aria-label="Notes">
      {isOpen && noteCount > 1 ? (
        <AllNotes id={id} revision={revision} />
      ) : last ? (
        <ul className={classes.list}>
          <NoteItem key={last.id} note={last} of={id} />
        </ul>
      ) : null}
      {noteCount > 1 ? (
        <button
          type="button"
          className="link-button small"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "Only the last note" : `All ${noteCount} notes`}
        </button>
      ) : null}
      {isAdding ? (
        <NoteEditor
          label="New note"
          save={(text) => add({ input: { action: id, text, key } })}
          onClose={() => {
            setKey(newKey);
            onAdded();
          }}
        />
      ) : null}
    </section>
  );
}

const newKey = (): string => Math.random().toString(36).slice(2) + Date.now().toString(36);

function AllNotes({ id, revision }: { id: ActionIdentifierInput; revision: number }) {
  const [query, reload] = useQuery({ query: NotesOf, variables: { id } });
  useRefetch(revision, query, reload);
  const { data, error } = query;
  if (error && !data) return <p role="alert">The notes could not be read: {problemOf(error).message}</p>;
  if (!data) return <p className="faint">Loading the notes…</p>;
  return (
    <ul className={classes.list}>
      {readFragment(NoteFragment, data.action?.notes ?? []).map((note) => (
        <NoteItem key={note.id} note={note} of={id} />
      ))}
    </ul>
  );
}

function NoteItem({ note, of }: { note: Note; of: ActionIdentifierInput }) {
  const mayChange = useMayChange(note, of);
  const [isEditing, setEditing] = useState(false);
  const [, update] = useMutation(UpdateNote);
  const [{ fetching }, remove] = useMutation(DeleteNote);
  if (isEditing) {
    return (
      <li>
        <NoteEditor
          label="Change the note"
          initial={note.text}
          save={(text) => update({ id: note.id, text })}
          onClose={() => setEditing(false)}
        />
      </li>
    );
  }
  const drop = async (): Promise<void> => {
    const { error } = await remove({ id: note.id });
    announce(error ? problemOf(error).message : "The note was deleted");
  };
  const who = note.author?.name ?? note.author?.subject;
  return (
    <li className={classes.note} data-testid="note">
      <p className={classes.head}>
        {who ? <strong>{who}</strong> : <span>Note</span>}
        <span className="faint small">
          <Time value={note.createdAt} />
          {note.editedAt ? (
            <>
              , edited <Time value={note.editedAt} />
            </>
          ) : null}
        </span>
        {mayChange ? (
          <>
            <button type="button" className="link-button small" onClick={() => setEditing(true)}>
              Edit
            </button>
            <button
              type="button"
              className="link-button small"
              disabled={fetching}
              onClick={() => void drop()}
            >
              Delete
            </button>
          </>
        ) : null}
      </p>
      <p className={classes.text}>
        <LinkedText text={note.text} />
      </p>
    </li>
  );
}

/** Whether the caller may change a note: its author, and who may change what others wrote. */
function useMayChange({ author }: Note, { project, domain }: ActionIdentifierInput): boolean {
  const grants = useGrants();
  const me = useValue(useApi().session.viewer)?.identity;
  const isMine = !!me && !!author && me.kind === author.kind && me.subject === author.subject;
  return may(grants, "MANAGE", project, domain) || (isMine && may(grants, "NOTE", project, domain));
}
