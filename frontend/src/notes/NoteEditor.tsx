import { Button, Group, Textarea } from "@mantine/core";
import { useState } from "react";
import { problemOf } from "../live/errors";

/** Characters of a note. */
const MOST = 2_000;

interface Props {
  label: string;
  initial?: string;
  /** Stores the text. */
  save: (text: string) => Promise<{ error?: Parameters<typeof problemOf>[0] }>;
  onClose: () => void;
}

/** Writes a note, or changes its text. Ctrl+Enter saves, Escape cancels. */
export function NoteEditor({ label, initial = "", save, onClose }: Props) {
  const [text, setText] = useState(initial);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const isEmpty = !text.trim();
  const submit = async (): Promise<void> => {
    if (isEmpty || busy) return;
    setBusy(true);
    const { error } = await save(text);
    setBusy(false);
    if (error) setProblem(problemOf(error).message);
    else onClose();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          onClose();
        } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          void submit();
        }
      }}
    >
      <Textarea
        label={label}
        value={text}
        onChange={({ currentTarget: { value } }) => setText(value)}
        placeholder="I’m on it…"
        maxLength={MOST}
        autosize
        minRows={2}
        maxRows={8}
        autoFocus
        error={problem}
      />
      <Group gap="xs" mt={6}>
        <Button type="submit" size="compact-sm" disabled={isEmpty} loading={busy}>
          Save note
        </Button>
        <Button size="compact-sm" variant="default" onClick={onClose}>
          Cancel
        </Button>
        {text.length > MOST - 200 ? (
          <span className="faint small">{MOST - text.length} characters left</span>
        ) : null}
      </Group>
    </form>
  );
}
