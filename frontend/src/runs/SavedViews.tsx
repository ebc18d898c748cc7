import { ActionIcon, Button, Group, Menu, Modal, TextInput } from "@mantine/core";
import { useState } from "react";
import { Preference, usePreference } from "../ui/preferences";
import { type RunSearch, readRunSearch } from "./runSearch";

interface SavedView {
  name: string;
  search: RunSearch;
}

const savedViews = new Preference<SavedView[]>(
  "rungraph.views",
  [],
  (value): value is SavedView[] =>
    Array.isArray(value) &&
    value.every((view) => {
      const { name, search } = (view ?? {}) as Partial<SavedView>;
      return typeof name === "string" && typeof search === "object";
    }),
);

/** Predefined views. */
const COMMON: SavedView[] = [
  {
    name: "In progress",
    search: { not: ["SUCCEEDED", "RECOVERED", "SKIPPED", "FAILED", "TIMED_OUT", "ABORTED"] },
  },
  { name: "Failed in the last day", search: { phase: ["FAILED", "TIMED_OUT"], from: "24h" } },
  { name: "Waiting for input", search: { paused: true } },
  // The code of the error with which the server ends them.
  { name: "Executor lost", search: { phase: ["FAILED"], q: "EXECUTOR_LOST" } },
  { name: "No report for 1 h", search: { silent: "1h" } },
];

interface Props {
  search: RunSearch;
  onChange: (search: RunSearch) => void;
}

/** Named filters, saved in this browser. */
export function SavedViews({ search, onChange }: Props) {
  const views = usePreference(savedViews);
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const save = (): void => {
    const view = { name: name.trim(), search };
    savedViews.set([...views.filter((other) => other.name !== view.name), view]);
    setNaming(false);
    setName("");
  };
  return (
    <>
      <Menu position="bottom-start" withinPortal width={250}>
        <Menu.Target>
          <Button size="compact-sm" variant="default">
            Views
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => onChange({})}>All runs</Menu.Item>
          {COMMON.map((view) => (
            <Menu.Item key={view.name} onClick={() => onChange(view.search)}>
              {view.name}
            </Menu.Item>
          ))}
          {views.length ? <Menu.Label>Saved in this browser</Menu.Label> : null}
          {views.map((view) => (
            <Group key={view.name} gap={0} wrap="nowrap">
              <Menu.Item
                style={{ flex: 1, minWidth: 0 }}
                onClick={() => onChange(readRunSearch({ ...view.search }))}
              >
                <span className="cut" style={{ display: "block" }}>
                  {view.name}
                </span>
              </Menu.Item>
              <ActionIcon
                variant="subtle"
                color="gray"
                size="sm"
                aria-label={`Delete view ${view.name}`}
                onClick={() => savedViews.set(views.filter((other) => other !== view))}
              >
                ×
              </ActionIcon>
            </Group>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={() => setNaming(true)}>Save this view…</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={naming} onClose={() => setNaming(false)} title="Save this view" centered size="sm">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (name.trim()) save();
          }}
        >
          <TextInput
            label="Name"
            value={name}
            onChange={({ currentTarget: { value } }) => setName(value)}
            data-autofocus
          />
          <Group justify="flex-end" mt="md">
            <Button variant="default" onClick={() => setNaming(false)}>
              Cancel
            </Button>
            <Button type="submit" disabled={!name.trim()}>
              Save
            </Button>
          </Group>
        </form>
      </Modal>
    </>
  );
}
