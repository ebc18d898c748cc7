import "@mantine/spotlight/styles.css";

import { Spotlight, createSpotlight } from "@mantine/spotlight";
import { useDebouncedValue } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { taskLink, taskOf, titleOf } from "../history/task";
import { runParams } from "../live/paths";
import { PhaseBadge } from "../ui/PhaseBadge";
import { timeMode } from "../ui/timeMode";
import { useValue } from "../ui/value";
import { isPaletteOpen, paletteQuery } from "./palette";
import { useColors } from "./useColors";

const FindRuns = graphql(`
  query FindRuns($search: String!) {
    runs(filter: { search: $search }, first: 8) {
      nodes {
        id
        project
        domain
        name
        phase
        functionName
        task {
          name
        }
      }
    }
  }
`);

const [store, spotlight] = createSpotlight();

/** The command palette: finds runs, their tasks, and commands by name. */
export function Palette({ onHelp }: { onHelp: () => void }) {
  const navigate = useNavigate();
  const colors = useColors();
  const typed = useValue(paletteQuery);
  const isOpen = useValue(isPaletteOpen);
  useEffect(() => {
    if (isOpen) spotlight.open();
  }, [isOpen]);
  const [search] = useDebouncedValue(typed.trim(), 150);
  const [{ data, fetching }] = useQuery({
    query: FindRuns,
    variables: { search },
    pause: !search,
  });
  const commands: [string, () => void][] = [
    ["Go to runs", () => void navigate({ to: "/runs" })],
    ["Go to tasks", () => void navigate({ to: "/tasks" })],
    ["Go to aborts", () => void navigate({ to: "/aborts" })],
    ["Compare two runs", () => void navigate({ to: "/compare" })],
    [
      "Runs that failed in the last day",
      () => void navigate({ to: "/runs", search: { phase: ["FAILED", "TIMED_OUT"], from: "24h" } }),
    ],
    ["Runs with paused actions", () => void navigate({ to: "/runs", search: { paused: true } })],
    ["Show relative times", () => timeMode.set("relative")],
    ["Show local times", () => timeMode.set("local")],
    ["Show UTC times", () => timeMode.set("utc")],
    [colors.isDark ? "Light theme" : "Dark theme", colors.toggle],
    ["Show all keys", onHelp],
  ];
  const answer = data?.runs.nodes;
  // Mantine selects the first entry on typing, before the runs arrive. Called before the paint, for each answer
  // and when the dialog appears after it: Enter opens what is seen.
  const selectFirst = useCallback(
    (first: HTMLButtonElement | null) => {
      if (!first || !answer) return;
      const list = first.closest("[role=dialog]");
      list?.querySelector("[data-selected]")?.removeAttribute("data-selected");
      first.setAttribute("data-selected", "true");
      store.updateState((state) => ({ ...state, selected: 0 }));
    },
    [answer],
  );
  const wanted = typed.trim().toLowerCase();
  const shown = commands.filter(([name]) => name.toLowerCase().includes(wanted));
  const runs = search && typed.trim() ? (answer ?? []) : [];
  // Runs are also found by their tasks.
  const tasks = new Map(
    runs.flatMap((run) => {
      const task = taskOf(run);
      return titleOf(task).toLowerCase().includes(wanted) ? [[JSON.stringify(task), task] as const] : [];
    }),
  );
  return (
    <Spotlight.Root
      store={store}
      query={typed}
      onQueryChange={(query) => paletteQuery.set(query)}
      onSpotlightClose={() => isPaletteOpen.set(false)}
      shortcut={null}
      scrollable
      maxHeight={420}
    >
      <Spotlight.Search placeholder="Find runs and commands" aria-label="Find runs and commands" />
      <Spotlight.ActionsList>
        {runs.length ? (
          <Spotlight.ActionsGroup label="Runs">
            {runs.map((run, index) => (
              <Spotlight.Action
                key={run.id}
                ref={index ? undefined : selectFirst}
                onClick={() =>
                  void navigate({ to: "/runs/$project/$domain/$name", params: runParams(run), search: {} })
                }
              >
                <span style={{ display: "flex", gap: 10, width: "100%", alignItems: "center" }}>
                  <PhaseBadge phase={run.phase} small />
                  <span className="cut" style={{ flex: 1 }}>
                    {run.name}
                  </span>
                  <span className="faint small">
                    {run.project} / {run.domain}
                  </span>
                </span>
              </Spotlight.Action>
            ))}
          </Spotlight.ActionsGroup>
        ) : null}
        {tasks.size ? (
          <Spotlight.ActionsGroup label="Tasks">
            {[...tasks].map(([key, task]) => (
              <Spotlight.Action key={key} onClick={() => void navigate(taskLink(task))}>
                <span style={{ display: "flex", gap: 10, width: "100%", alignItems: "center" }}>
                  <span className="cut" style={{ flex: 1 }}>
                    {titleOf(task)}
                  </span>
                  <span className="faint small">
                    {task.project} / {task.domain}
                  </span>
                </span>
              </Spotlight.Action>
            ))}
          </Spotlight.ActionsGroup>
        ) : null}
        {shown.length ? (
          <Spotlight.ActionsGroup label="Commands">
            {shown.map(([name, run]) => (
              <Spotlight.Action key={name} label={name} onClick={run} />
            ))}
          </Spotlight.ActionsGroup>
        ) : null}
        {!runs.length && !shown.length ? (
          <Spotlight.Empty>
            {fetching || search !== typed.trim() ? "Searching…" : "Nothing found"}
          </Spotlight.Empty>
        ) : null}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}
