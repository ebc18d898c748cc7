import type { State } from "./states";
import { A_TABLE } from "./tableState";

/** The states of the graph and of the table of a run, and of comparisons. */
export const GRAPH_STATES: State[] = [
  {
    name: "a graph",
    path: "/runs/tests/development/everything?view=graph&action=step",
    there: "[data-testid=graph][data-synced=true] [data-node]",
  },
  {
    name: "a graph with a filter and the critical path",
    path: "/runs/tests/development/everything?view=graph&q=after",
    there: "[data-testid=graph][data-synced=true] [data-dimmed]",
    act: async (page) => {
      await page.getByRole("button", { name: "Critical path" }).click();
      await page.locator("[data-critical]").first().waitFor();
    },
  },
  A_TABLE,
  {
    name: "a comparison",
    path: "/compare?a=tests/development/everything&b=tests/development/is-failed",
    there: "[data-pair] >> nth=1",
  },
  {
    name: "a comparison to choose",
    path: "/compare",
    there: "form",
    act: async (page) => {
      await page.getByRole("button", { name: "Compare", exact: true }).click();
      await page.getByText("Paste the address").first().waitFor();
    },
  },
];
