import type { Page } from "playwright-core";
import { NOTED } from "./noted";
import { GRAPH_STATES } from "./graphStates";

const TREE = "/runs/tests/development/everything";

/** A state of the page: its path and the steps to reach it. */
export interface State {
  name: string;
  path: string;
  /** A selector that matches once it is rendered. */
  there: string;
  act?: (page: Page) => Promise<void>;
}

const press = async (page: Page, ...keys: string[]): Promise<void> => {
  for (const key of keys) await page.keyboard.press(key);
};
const button = (page: Page, name: string | RegExp) =>
  page.getByRole("button", { name, exact: typeof name === "string" });
const menu = (name: string | RegExp) => async (page: Page) => {
  await button(page, name).first().click();
  await page.locator("[role=menu], [role=dialog]").first().waitFor();
};
const tab = (name: string, then?: (page: Page) => Promise<void>) => async (page: Page) => {
  await page.getByRole("tab", { name }).click();
  await page
    .locator("[role=tabpanel] :is(pre, li, [role=list], dl, section, p, [role=region])")
    .first()
    .waitFor();
  await then?.(page);
};
/** Replaces the response to an operation. */
const refused = (operation: string) => (page: Page) =>
  page.route("**/graphql", async (route) => {
    if (!route.request().postData()?.includes(operation)) return route.fallback();
    const error = {
      message: "The database is unavailable",
      extensions: { code: "SERVICE_UNAVAILABLE", id: "4711" },
    };
    return route.fulfill({ json: { data: null, errors: [error] } });
  });

const RUNS = { path: "/runs", there: "[data-run]" };
const RUN = { path: TREE, there: "[data-action=after]" };
const ACTION = { path: `${TREE}?action=step`, there: "[data-testid=action] h3" };

export const STATES: State[] = [
  { name: "runs", ...RUNS },
  { name: "a run under the keyboard", ...RUNS, act: (page) => press(page, "j", "j") },
  { name: "updates paused", ...RUNS, act: (page) => press(page, "h") },
  { name: "the filter by phase", ...RUNS, act: menu("Phase") },
  {
    name: "a filter with errors",
    ...RUNS,
    act: async (page) => {
      await menu("Filter")(page);
      for (const label of ["Since", "Until"]) await page.getByLabel(label).fill("not a time");
    },
  },
  { name: "columns", ...RUNS, act: menu("Columns") },
  {
    name: "the column of progress",
    ...RUNS,
    act: async (page) => {
      await menu("Columns")(page);
      await page.getByRole("checkbox", { name: "Progress" }).check();
      await page.locator("[data-last-metric=rows]").waitFor();
      await press(page, "Escape");
    },
  },
  { name: "views", ...RUNS, act: menu("Views") },
  {
    name: "a view to save",
    ...RUNS,
    act: async (page) => {
      await menu("Views")(page);
      await page.getByRole("menuitem", { name: /^Save/ }).click();
      await page.getByLabel("Name").waitFor();
    },
  },
  { name: "more about runs", ...RUNS, act: menu("More about these runs") },
  {
    name: "aborting all that match",
    ...RUNS,
    act: async (page) => {
      await menu("More about these runs")(page);
      await page.getByRole("menuitem", { name: /^Abort all/ }).click();
      await page.getByRole("button", { name: /^Abort \d+ runs/ }).waitFor();
    },
  },
  {
    name: "filters that are set",
    path: "/runs?phase=RUNNING&not=FAILED&label=team=data&from=24h&longer=1s",
    there: "[aria-label=Filter]",
  },
  { name: "no run matches", path: "/runs?q=nothing-like-it", there: "text=Clear the filter" },
  {
    name: "keys",
    ...RUNS,
    act: async (page) => (await press(page, "?"), page.getByRole("dialog").waitFor()),
  },
  {
    name: "the palette",
    ...RUNS,
    act: async (page) => (await press(page, "Control+k"), page.getByRole("dialog").waitFor()),
  },
  {
    name: "runs in the palette",
    ...RUNS,
    act: async (page) => {
      await press(page, "Control+k");
      await page.getByRole("dialog").getByRole("textbox").fill("is-");
      await page.locator("[role=dialog] [data-selected] [data-phase]").waitFor();
    },
  },
  {
    name: "nothing in the palette",
    ...RUNS,
    act: async (page) => {
      await press(page, "Control+k");
      await page.getByRole("dialog").getByRole("textbox").fill("nothing-like-it");
      await page.getByText("Nothing found").waitFor();
    },
  },
  {
    name: "without a connection",
    ...RUNS,
    act: async (page) => {
      await page.context().setOffline(true);
      await page.locator("[data-testid=connection][data-state=lost]").waitFor();
    },
  },
  { name: "the link over the bar", ...RUNS, act: (page) => press(page, "Tab") },
  { name: "a tree", ...RUN },
  { name: "an action under the keyboard", ...RUN, act: (page) => press(page, "j", "j", "j") },
  { name: "a tree that is searched", path: `${TREE}?q=of-`, there: "[data-action=of-queued]" },
  { name: "a tree of one phase", path: `${TREE}?phase=FAILED`, there: "[data-action=of-failed]" },
  { name: "a search without a result", path: `${TREE}?q=nothing`, there: "text=No action matches" },
  ...GRAPH_STATES,
  {
    name: "a timeline",
    path: `${TREE}?view=timeline`,
    there: "[data-bar]",
    act: async (page) => {
      await button(page, /^Critical path/).click();
      await button(page, /closer|Zoom in/).click();
    },
  },
  { name: "what can be copied", ...RUN, act: menu("Copy…") },
  {
    name: "an announcement",
    ...RUN,
    act: async (page) => {
      await button(page, "Copy run name").click();
      await page.getByText(/the run name$/).waitFor();
    },
  },
  {
    name: "aborting a run",
    ...RUN,
    act: async (page) => (await button(page, "Abort").click(), page.getByLabel("Reason").waitFor()),
  },
  ...NOTED,
  { name: "an action", ...ACTION },
  {
    name: "a whole message",
    ...ACTION,
    act: (page) =>
      page
        .getByText(/^Whole message/)
        .first()
        .click(),
  },
  { name: "events", ...ACTION, act: tab("Events", (page) => page.getByText("Info").first().click()) },
  { name: "details", ...ACTION, act: tab("Details") },
  {
    name: "a hit in a spec",
    ...ACTION,
    act: tab("Spec", async (page) => {
      await page.getByRole("searchbox", { name: /^Search in/ }).fill("o");
      await page.getByText(/\d found/).waitFor();
    }),
  },
  { name: "a raw spec", ...ACTION, act: tab("Spec", (page) => button(page, "Raw").click()) },
  { name: "logs", ...ACTION, act: tab("Logs", (page) => page.locator("[data-line]").first().waitFor()) },
  {
    name: "a search in a log",
    path: `${TREE}/logs?action=step&attempt=1&line=2`,
    there: "[data-line='8']",
    act: async (page) => {
      await button(page, "Times").click();
      await page.getByRole("searchbox").fill("needle");
      await press(page, "Enter");
      await page.locator("mark").first().waitFor();
    },
  },
  {
    name: "no line of a level",
    path: `${TREE}/logs?action=step&level=critical`,
    there: "text=No line matches",
  },
  { name: "no log", path: `${TREE}/logs?action=after`, there: "text=No log lines yet" },
  { name: "files", ...ACTION, act: tab("Files", (page) => page.getByText("quoted").waitFor()) },
  {
    name: "a table",
    ...ACTION,
    act: tab("Files", async (page) => {
      await button(page, "rows.csv").click();
      await page.getByRole("cell", { name: "one" }).waitFor();
    }),
  },
  { name: "no files", path: `${TREE}?action=after`, there: "[data-testid=action] h2", act: tab("Files") },
  {
    name: "metrics",
    path: `${TREE}?action=of-running`,
    there: "[data-testid=action] h2",
    act: async (page) => {
      await page.getByRole("tab", { name: "Metrics" }).click();
      await page.locator("[data-metric=loss]").waitFor();
    },
  },
  { name: "what was skipped", path: `${TREE}?action=of-skipped`, there: "[data-skipped]" },
  { name: "known by name only", path: `${TREE}?action=not-described`, there: "[data-placeholder]" },
  { name: "no state", ...ACTION, act: tab("State") },
  { name: "every phase", path: `${TREE}?action=of-timed_out`, there: "[data-testid=action] h2" },
  ...["requested", "retrying", "failed", "confirmed"].map((state) => ({
    name: `an abort that is ${state}`,
    path: `/runs/tests/development/abort-${state}`,
    there: "[data-state]:not([data-testid])",
  })),
  { name: "no such run", path: "/runs/tests/development/never", there: "text=There is no run never" },
  { name: "no such page", path: "/runs/one/two", there: "text=There is no such page" },
  { name: "tasks", path: "/tasks", there: "[data-task]" },
  { name: "the tasks of a project", path: "/tasks?project=tests&domain=development", there: "[data-task]" },
  { name: "a task", path: "/tasks/tests/development", there: "[data-step]" },
  { name: "no tasks", path: "/tasks?project=none", there: "main p" },
  {
    name: "an error",
    path: "/aborts",
    there: "h1",
    act: async (page) => {
      await refused("TaskSummaries")(page);
      await page.getByRole("link", { name: "Tasks" }).click();
      await button(page, "Try again").waitFor();
    },
  },
  { name: "aborts", path: "/aborts", there: "main li" },
];
