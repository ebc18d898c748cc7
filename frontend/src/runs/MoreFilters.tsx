import { Button, Checkbox, Group, NativeSelect, Popover, TagsInput, TextInput } from "@mantine/core";
import { Fragment, type ReactNode, useState } from "react";
import { useNow } from "../ui/clock";
import { parseDuration } from "../ui/durations";
import { words } from "../ui/phases";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { formatForInput } from "../ui/times";
import classes from "./RunsPage.module.css";
import { MORE, type RunSearch, toApiTime } from "./runSearch";

const SOURCES = ["WEB", "CLI", "SCHEDULE_TRIGGER", "TRACKED", "ARTIFACT_TRIGGER"];
const NAMES = Object.keys(MORE) as (keyof typeof MORE)[];

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
  const count = NAMES.filter((name) => search[name] !== undefined).length;
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
    name: keyof RunSearch & ("task" | "version" | "function" | "trigger" | "by" | "executor"),
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
    name: "from" | "to" | "longer" | "shorter" | "silent",
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
  const flag = (name: "paused" | "aborting", label: string) => (
    <Checkbox
      size="xs"
      label={label}
      checked={draft[name] ?? false}
      onChange={({ currentTarget: { checked } }) => set({ [name]: checked || undefined })}
    />
  );
  const inputs: Record<keyof typeof MORE, ReactNode> = {
    task: text("task", "Task"),
    version: text("version", "Task version"),
    function: text("function", "Function"),
    trigger: text("trigger", "Trigger"),
    label: (
      <TagsInput
        className={classes.full}
        size="xs"
        label="Labels: any of these"
        placeholder="key=value, or key alone"
        value={draft.label ?? []}
        onChange={(label) => set({ label: label.length ? label : undefined })}
      />
    ),
    by: text("by", "Created by (name or subject)"),
    source: (
      <NativeSelect
        size="xs"
        label="Source"
        value={draft.source?.[0] ?? ""}
        onChange={({ currentTarget: { value } }) => set({ source: value ? [value] : undefined })}
        data={[{ value: "", label: "Any" }, ...SOURCES.map((value) => ({ value, label: words(value) }))]}
      />
    ),
    from: checked("from", `Since (${zone})`, "24h or 2026-01-31", isTime),
    to: checked("to", `Until (${zone})`, "1h or 2026-01-31 12:00", isTime),
    longer: checked("longer", "Longer than", "5m", isDuration, "From creation to end, or to now"),
    shorter: checked("shorter", "Shorter than", "2h30m", isDuration, "From creation to end"),
    executor: text("executor", "Executor"),
    silent: checked("silent", "No report for", "1h", isDuration, "Unfinished runs, at least 1m"),
    paused: flag("paused", "Has paused actions"),
    aborting: flag("aborting", "Abort pending"),
    // Set by the links of the page of tasks.
    noTask: null,
    noFunction: null,
  };
  const valid =
    isTime(draft.from ?? "") &&
    isTime(draft.to ?? "") &&
    isDuration(draft.longer ?? "") &&
    isDuration(draft.shorter ?? "") &&
    isDuration(draft.silent ?? "");
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) onApply({ ...draft, from: fixed(draft.from), to: fixed(draft.to) });
      }}
    >
      {Object.entries(inputs).map(([name, input]) => (
        <Fragment key={name}>{input}</Fragment>
      ))}
      <Group className={classes.full} justify="flex-end" gap="xs">
        <Button
          size="xs"
          variant="default"
          onClick={() =>
            onApply({ ...search, ...Object.fromEntries(NAMES.map((name) => [name, undefined])) })
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
