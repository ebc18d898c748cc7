import { expect, test } from "vitest";
import { addressOfLine, readLogSearch } from "../../src/logs/address";
import { parseQuery } from "../../src/live/search";

const ID = { project: "a/b", domain: "production", runName: "nightly 7", name: "step/1" };

test("the address of a line opens the same view", () => {
  const view = {
    attempt: 2,
    stream: "stderr",
    level: "ERROR" as const,
    term: "a b",
    line: 17,
    link: "stdout",
  };
  const url = new URL(addressOfLine("https://example.com/team/", ID, view));
  expect(url.pathname).toBe("/team/runs/a~1b/production/nightly%207/logs");
  expect(readLogSearch(parseQuery(url.search))).toEqual({ ...view, action: "step/1" });
});

test("what is not valid in an address is left out", () => {
  expect(readLogSearch(parseQuery("?line=0&attempt=x&level=loud&stream="))).toEqual({
    action: undefined,
    attempt: undefined,
    stream: undefined,
    level: undefined,
    term: undefined,
    line: undefined,
    link: undefined,
  });
});
