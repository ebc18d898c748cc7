// @vitest-environment happy-dom
import { createMemoryHistory } from "@tanstack/react-router";
import { expect, test } from "vitest";
import { printQuery } from "../../src/live/search";
import { createPageRouter } from "../../src/router";

test.each([
  ["/runs?until=60d", ""],
  ["/runs?until=60d&project=ml&phase=FAILED&x=1", "?project=ml&phase=FAILED"],
  ["/tasks?q=a&project=ml", "?project=ml"],
  ["/runs/a/b/c?view=timeline&zoom=3", "?view=timeline"],
  ["/runs/a/b/c?view=graph", "?view=graph"],
  ["/runs/a/b/c?view=tree", ""],
  ["/runs/a/b/c?view=circle", ""],
])("what is unknown in %s is ignored", async (address, known) => {
  const router = createPageRouter("http://localhost/");
  router.update({ ...router.options, history: createMemoryHistory({ initialEntries: [address] }) });
  await router.load();
  expect(printQuery({ ...router.state.matches.at(-1)?.search })).toBe(known);
});
