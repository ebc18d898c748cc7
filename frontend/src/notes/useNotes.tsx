import { type ReactNode, useState } from "react";
import type { ActionIdentifierInput } from "../gql/graphql";
import { useMayNote } from "../live/access";
import { later } from "../ui/later";
import type { Noted } from "./Notes";

const Notes = later(async () => (await import("./Notes")).Notes);

/** The notes of an action, or of a run by its root, and the button that adds one; null where there is none. */
export function useNotes(id: ActionIdentifierInput, of: Noted): { button: ReactNode; notes: ReactNode } {
  const [isAdding, setAdding] = useState(false);
  const mayNote = useMayNote(id.project, id.domain);
  return {
    button:
      mayNote && !isAdding ? (
        <button type="button" className="link-button small nowrap" onClick={() => setAdding(true)}>
          Add note
        </button>
      ) : null,
    notes:
      of.noteCount || isAdding ? (
        <Notes id={id} of={of} isAdding={isAdding} onAdded={() => setAdding(false)} />
      ) : null,
  };
}
