import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Finding {
  id: string;
  impact: string;
  nodes: { html: string; failureSummary: string; any: { data: { messageKey?: string } | null }[] }[];
}

interface Results {
  violations: Finding[];
  incomplete: Finding[];
}

/**
 * What axe finds on a page that is serious, and the texts whose contrast it could not decide: that a text has
 * the colour of its background is among these. Signs that are no text are not.
 *
 * `within` is a selector: below the overlay of a dialog, which nobody sees, axe decides nothing.
 */
export async function findings(page: Page, within = "body"): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations, incomplete } = await page.evaluate(
    (selector) => (window as unknown as { axe: { run: (on: string) => Promise<Results> } }).axe.run(selector),
    within,
  );
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const undecided = incomplete
    .filter(({ id }) => id === "color-contrast")
    .map((finding) => ({
      ...finding,
      nodes: finding.nodes.filter(({ any }) => any.some(({ data }) => data?.messageKey !== "nonBmp")),
    }));
  return [...serious, ...undecided].flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary, any }) =>
      [id, html, failureSummary, ...any.map(({ data }) => data?.messageKey ?? "")].join("\n"),
    ),
  );
}

/** What fades in is pale until it has; what never ends, such as a pulse, is not waited for. */
export async function faded(page: Page): Promise<void> {
  await page.waitForTimeout(400);
  await page.waitForFunction(() =>
    document
      .getAnimations()
      .every(
        ({ playState, effect }) =>
          playState !== "running" || effect?.getComputedTiming().endTime === Infinity,
      ),
  );
}
