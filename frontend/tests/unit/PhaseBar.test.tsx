// @vitest-environment happy-dom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, test } from "vitest";
import { PhaseBar, describeCounts, inBarOrder } from "../../src/ui/PhaseBar";

afterEach(cleanup);

const COUNTS = [
  { phase: "QUEUED", count: 1_200 },
  { phase: "SOMETHING_NEW", count: 2 },
  { phase: "RUNNING", count: 3 },
  { phase: "PAUSED", count: 0 },
  { phase: "SUCCEEDED", count: 4 },
];

describe("the order of a bar", () => {
  test("what is over comes first, what is to come last, and what is not known at the very end", () => {
    expect(inBarOrder(COUNTS).map(({ phase }) => phase)).toEqual([
      "SUCCEEDED",
      "RUNNING",
      "QUEUED",
      "SOMETHING_NEW",
    ]);
  });

  test("what was given stays as it was", () => {
    const given = [...COUNTS];
    inBarOrder(given);
    expect(given).toEqual(COUNTS);
  });
});

test("counts are told in words, without zeros, thousands by a comma", () => {
  expect(describeCounts(COUNTS)).toBe("4 succeeded, 3 running, 1,200 queued, 2 something new");
  expect(describeCounts([])).toBe("");
});

describe("the bar", () => {
  test("it has a part for each phase, as wide as there are many, and says so to those who cannot see it", () => {
    render(<PhaseBar counts={COUNTS} label="12 actions" />);
    const bar = screen.getByRole("img", {
      name: "12 actions: 4 succeeded, 3 running, 1,200 queued, 2 something new",
    });
    expect([...bar.children].map((part) => (part as HTMLElement).style.flexGrow)).toEqual([
      "4",
      "3",
      "1200",
      "2",
    ]);
  });

  test("one without anything says that, too", () => {
    render(<PhaseBar counts={[{ phase: "RUNNING", count: 0 }]} />);
    expect(screen.getByRole("img", { name: "nothing yet" }).children).toHaveLength(0);
  });
});
