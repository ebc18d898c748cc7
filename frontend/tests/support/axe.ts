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

type Run = (on: string, options: object) => Promise<Results>;

/** The rules that look at colours. */
const OF_COLOURS = ["color-contrast", "link-in-text-block"];

/**
 * The serious findings of axe, and the texts whose contrast it cannot determine, including text in the colour
 * of its background; not symbols. `within` is a selector: axe cannot determine what is below the overlay of a
 * dialog. `rules` are all by default.
 */
export async function findings(page: Page, within = "body", rules?: string[]): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const { violations, incomplete } = await page.evaluate(
    ({ within, rules }) =>
      (window as unknown as { axe: { run: Run } }).axe.run(within, {
        // Describing all that passes takes longer than finding what does not.
        resultTypes: ["violations", "incomplete"],
        ...(rules && { runOnly: rules }),
      }),
    { within, rules },
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

/** The findings in light and, as far as they depend on colours, in dark colours. */
export async function findingsInBothSchemes(page: Page, within?: string): Promise<string[]> {
  const all: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await faded(page);
    const rules = colorScheme === "dark" ? OF_COLOURS : undefined;
    for (const finding of await findings(page, within, rules)) all.push(`${colorScheme}: ${finding}`);
  }
  return all;
}

/** Waits for fade-ins, which have low contrast, but not for endless animations such as a pulse. */
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
