import type { Browser } from "playwright-core";
import { SLOW_4G, slowNetwork } from "../support/slowNetwork";

/** Milliseconds from the address until the outline and the first row are shown, and the kB received until then. */
export interface FirstRows {
  outline: number;
  row: number;
  kB: number;
}

/**
 * Opens a page for the first time, with nothing in the cache, on slow 4G and a CPU four times slower. Of some tries the
 * median.
 */
export async function firstRows(
  browser: Browser,
  port: number,
  path: string,
  tries: number,
): Promise<FirstRows> {
  const seen: FirstRows[] = [];
  for (let count = 0; count < tries; count++) {
    const network = await slowNetwork(port, SLOW_4G);
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    await page.addInitScript(() => {
      const look = (): void => {
        if (document.querySelector("[data-run], [data-action]")) performance.mark("row");
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(`${network.url}${path}`, { waitUntil: "commit" });
    const one = await page.waitForFunction(() => {
      const row = performance.getEntriesByName("row")[0]?.startTime;
      if (row === undefined) return null;
      const files = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
      return {
        outline: performance.getEntriesByName("first-paint")[0]?.startTime ?? row,
        row,
        kB: files.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1_000,
      };
    });
    seen.push((await one.jsonValue()) ?? { outline: NaN, row: NaN, kB: NaN });
    await context.close();
    network.close();
  }
  seen.sort((a, b) => a.row - b.row);
  return seen[Math.floor(seen.length / 2)] ?? { outline: NaN, row: NaN, kB: NaN };
}
