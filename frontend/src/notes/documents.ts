import { graphql } from "../gql";

export const NoteFragment = graphql(`
  fragment NoteView on Note {
    id
    text
    author {
      kind
      subject
      name
    }
    createdAt
    editedAt
  }
`);

export const NotesOf = graphql(`
  query NotesOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      notes {
        ...NoteView
      }
    }
  }
`);

export const AddNote = graphql(`
  mutation AddNote($input: AddNoteInput!) {
    addNote(input: $input) {
      ...NoteView
    }
  }
`);

export const UpdateNote = graphql(`
  mutation UpdateNote($id: ID!, $text: String!) {
    updateNote(id: $id, text: $text) {
      ...NoteView
    }
  }
`);

export const DeleteNote = graphql(`
  mutation DeleteNote($id: ID!) {
    deleteNote(id: $id) {
      deleted
    }
  }
`);

export const RunNotesFragment = graphql(`
  fragment RunNotes on Run {
    revision
    noteCount
    lastNote {
      ...NoteView
    }
  }
`);

export const ActionNotesFragment = graphql(`
  fragment ActionNotes on Action {
    revision
    noteCount
    lastNote {
      ...NoteView
    }
  }
`);
