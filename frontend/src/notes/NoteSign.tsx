import { graphql, readFragment, type FragmentType } from "../gql";
import classes from "./NoteSign.module.css";

const NoteSignFragment = graphql(`
  fragment NoteSign on Run {
    noteCount
    lastNote {
      id
      text
      author {
        subject
        name
      }
    }
  }
`);

/** In lists: that a run has notes, with the last one as tooltip. */
export function NoteSign({ run: masked }: { run: FragmentType<typeof NoteSignFragment> }) {
  const { noteCount, lastNote } = readFragment(NoteSignFragment, masked);
  if (!lastNote) return null;
  const who = lastNote.author?.name ?? lastNote.author?.subject;
  const text = who ? `${who}: ${lastNote.text}` : lastNote.text;
  return (
    <span className={classes.sign} title={text} data-testid="note-sign">
      <svg viewBox="0 0 12 12" width="11" height="11" aria-hidden>
        <path d="M1.5 1.5h9v6.5h-5l-2.5 2.5v-2.5h-1.5z" fill="none" stroke="currentColor" strokeWidth="1.2" />
      </svg>
      {noteCount > 1 ? noteCount : null}
      <span className="only-read"> Last note: {text}</span>
    </span>
  );
}
