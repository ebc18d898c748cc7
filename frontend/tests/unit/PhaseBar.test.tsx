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
  test("finished phases come first, pending ones later, unknown ones last", () => {
    expect(inBarOrder(COUNTS).map(({ phase }) => phase)).toEqual([
      "SUCCEEDED",
      "RUNNING",
      "QUEUED",
      "SOMETHING_NEW",
    ]);
  });

  test("the input is not modified", () => {
    const given = [...COUNTS];
    inBarOrder(given);
    expect(given).toEqual(COUNTS);
  });
});

test("counts as text have no zeros, and commas for thousands", () => {
  expect(describeCounts(COUNTS)).toBe("4 succeeded, 3 running, 1,200 queued, 2 something new");
  expect(describeCounts([])).toBe("");
});

describe("the bar", () => {
  test("it has a segment per phase with proportional width, and an accessible label", () => {
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

  test("an empty bar has a label too", () => {
    render(<PhaseBar counts={[{ phase: "RUNNING", count: 0 }]} />);
    expect(screen.getByRole("img", { name: "nothing yet" }).children).toHaveLength(0);
  });
});
