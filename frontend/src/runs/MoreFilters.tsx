import { Button, Checkbox, Group, NativeSelect, Popover, TagsInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { useNow } from "../ui/clock";
import { parseDuration } from "../ui/durations";
import { words } from "../ui/phases";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { formatForInput } from "../ui/times";
import classes from "./RunsPage.module.css";
import { type RunSearch, toApiTime } from "./runSearch";

const SOURCES = ["WEB", "CLI", "SCHEDULE_TRIGGER", "TRACKED", "ARTIFACT_TRIGGER"];
const OTHERS = [
  "task",
  "version",
  "function",
  "trigger",
  "label",
  "source",
  "by",
  "from",
  "to",
  "longer",
  "shorter",
  "paused",
  "aborting",
  "noTask",
  "noFunction",
] as const satisfies readonly (keyof RunSearch)[];

interface Props {
  search: RunSearch;
  onChange: (search: RunSearch) => void;
}

/** The less common filters of runs. */
export function MoreFilters({ search, onChange }: Props) {
  const [open, setOpen] = useState(false);
  /** The unapplied draft, kept until the filter changes. */
  const [draft, setDraft] = useState({ of: search, to: search });
  if (draft.of !== search) setDraft({ of: search, to: search });
  const count = OTHERS.filter((name) => search[name] !== undefined).length;
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-start" withinPortal trapFocus>
      <Popover.Target>
        <Button size="compact-sm" variant={count ? "light" : "default"} onClick={() => setOpen(!open)}>
          Filter{count ? ` · ${count}` : ""}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        {open ? (
          <FilterForm
            search={search}
            draft={draft.to}
            onDraft={(to) => setDraft({ of: search, to })}
            onApply={(next) => {
              onChange(next);
              setOpen(false);
            }}
          />
        ) : null}
      </Popover.Dropdown>
    </Popover>
  );
}

const isDuration = (text: string): boolean => !text || parseDuration(text) !== null;

interface FormProps {
  search: RunSearch;
  draft: RunSearch;
  onDraft: (draft: RunSearch) => void;
  onApply: (search: RunSearch) => void;
}

function FilterForm({ search, draft, onDraft, onApply }: FormProps) {
  const set = (change: Partial<RunSearch>): void => onDraft({ ...draft, ...change });
  const utc = usePreference(timeMode) === "utc";
  const now = useNow(false);
  const zone = utc ? "UTC" : "local time";
  const isTime = (text: string): boolean => !text || toApiTime(text, now, utc) !== undefined;
  // The URL may be opened in another time zone, so absolute times contain their offset.
  const fixed = (text: string | undefined): string | undefined =>
    text && parseDuration(text) === null ? toApiTime(text, now, utc) : text;
  const text = (
    name: keyof RunSearch & ("task" | "version" | "function" | "trigger" | "by"),
    label: string,
  ) => (
    <TextInput
      size="xs"
      label={label}
      value={draft[name] ?? ""}
      onChange={({ currentTarget: { value } }) => set({ [name]: value.trim() ? value : undefined })}
    />
  );
  // A time with an offset is shown in the page's time zone.
  const shown = (text = ""): string =>
    /T.*Z$/.test(text) && !Number.isNaN(Date.parse(text)) ? formatForInput(Date.parse(text), utc) : text;
  const checked = (
    name: "from" | "to" | "longer" | "shorter",
    label: string,
    hint: string,
    isValid: (text: string) => boolean,
    description?: string,
  ) => (
    <TextInput
      size="xs"
      label={label}
      description={description}
      inputWrapperOrder={["label", "input", "description", "error"]}
      placeholder={hint}
      value={shown(draft[name])}
      error={isValid(draft[name] ?? "") ? undefined : `Such as ${hint}`}
      onChange={({ currentTarget: { value } }) => set({ [name]: value.trim() ? value.trim() : undefined })}
    />
  );
  const valid =
    isTime(draft.from ?? "") &&
    isTime(draft.to ?? "") &&
    isDuration(draft.longer ?? "") &&
    isDuration(draft.shorter ?? "");
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) onApply({ ...draft, from: fixed(draft.from), to: fixed(draft.to) });
      }}
    >
      {text("task", "Task")}
      {text("version", "Task version")}
      {text("function", "Function")}
      {text("trigger", "Trigger")}
      <TagsInput
        className={classes.full}
        size="xs"
        label="Labels: any of these"
        placeholder="key=value, or key alone"
        value={draft.label ?? []}
        onChange={(label) => set({ label: label.length ? label : undefined })}
      />
      {text("by", "Created by (name or subject)")}
      <NativeSelect
        size="xs"
        label="Source"
        value={draft.source?.[0] ?? ""}
        onChange={({ currentTarget: { value } }) => set({ source: value ? [value] : undefined })}
        data={[{ value: "", label: "Any" }, ...SOURCES.map((value) => ({ value, label: words(value) }))]}
      />
      {checked("from", `Since (${zone})`, "24h or 2026-01-31", isTime)}
      {checked("to", `Until (${zone})`, "1h or 2026-01-31 12:00", isTime)}
      {checked("longer", "Longer than", "5m", isDuration, "From creation to end, or to now")}
      {checked("shorter", "Shorter than", "2h30m", isDuration, "From creation to end")}
      <Checkbox
        size="xs"
        label="Has paused actions"
        checked={draft.paused ?? false}
        onChange={({ currentTarget: { checked } }) => set({ paused: checked || undefined })}
      />
      <Checkbox
        size="xs"
        label="Abort unconfirmed"
        checked={draft.aborting ?? false}
        onChange={({ currentTarget: { checked } }) => set({ aborting: checked || undefined })}
      />
      <Group className={classes.full} justify="flex-end" gap="xs">
        <Button
          size="xs"
          variant="default"
          onClick={() =>
            onApply({ ...search, ...Object.fromEntries(OTHERS.map((name) => [name, undefined])) })
          }
        >
          Clear
        </Button>
        <Button size="xs" type="submit" disabled={!valid}>
          Apply
        </Button>
      </Group>
    </form>
  );
}
