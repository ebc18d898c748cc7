/**
 * Measures the page in a browser for `make bench`. RUNGRAPH_BENCH is JSON with the URL, the paths of two
 * runs, the seconds, and the output file.
 */
import { writeFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { test } from "vitest";
import { launch, open } from "../support/browser";
import { firstRows } from "./firstRows";

/** Milliseconds between frames. */
interface Smoothness {
  p95: number;
  longest: number;
  frames: number;
}

/** Milliseconds until the selector matches, checked within the page at each frame. */
async function timeTo(browser: Browser, url: string, selector: string, then?: (page: Page) => Promise<void>) {
  const { page, close } = await open(browser, "about:blank");
  const began = Date.now();
  await page.goto(url, { waitUntil: "commit" });
  await page.locator(selector).first().waitFor({ timeout: 120_000 });
  const took = Date.now() - began;
  if (then) await then(page);
  const all = Date.now() - began;
  await close();
  return { took, all };
}

/** Measures the frames of this many seconds; `step` runs before each. */
async function smoothness(page: Page, seconds: number, scroller: string | null): Promise<Smoothness> {
  return page.evaluate(
    async ([seconds, scroller]) => {
      const element = scroller ? document.querySelector(scroller) : null;
      const gaps: number[] = [];
      const end = performance.now() + seconds * 1_000;
      let last = performance.now();
      await new Promise<void>((resolve) => {
        const draw = (now: number): void => {
          gaps.push(now - last);
          last = now;
          if (element) {
            const whole = element.scrollHeight - element.clientHeight;
            // Through the whole list and back, faster than a fling of the wheel.
            element.scrollTop = (element.scrollTop + 400) % whole;
          }
          if (now < end) requestAnimationFrame(draw);
          else resolve();
        };
        requestAnimationFrame(draw);
      });
      gaps.sort((a, b) => a - b);
      return {
        p95: gaps[Math.floor(gaps.length * 0.95)] ?? 0,
        longest: gaps.at(-1) ?? 0,
        frames: gaps.length,
      };
    },
    [seconds, scroller] as const,
  );
}

async function heap(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return usedSize;
}

interface Given {
  url: string;
  large: string;
  small: string;
  seconds: number;
  output: string;
}

test("the page", async () => {
  const { url, large, small, seconds, output } = JSON.parse(process.env.RUNGRAPH_BENCH ?? "") as Given;
  const browser = await launch();
  const action = "[data-action]";
  const synced = "[data-testid=tree][data-synced=true]";
  const warm = await timeTo(browser, `${url}${small}`, action);
  const few = await timeTo(browser, `${url}${small}`, action);
  const many = await timeTo(browser, `${url}${large}`, action, async (page) => {
    await page.locator(synced).waitFor({ timeout: 120_000 });
  });

  const still = await open(browser, `${url}${small}`);
  await still.page.locator(action).first().waitFor();
  const floor = await smoothness(still.page, seconds, null);
  await still.close();

  const tree = await open(browser, `${url}${large}`);
  await tree.page.locator(synced).waitFor({ timeout: 120_000 });
  const scroll = await smoothness(tree.page, seconds, "[data-testid=tree]");
  const used = await heap(tree.page);
  await tree.close();

  const runs = await timeTo(browser, `${url}/runs`, "[data-run]");
  const list = await open(browser, `${url}/runs`);
  await list.page.locator("[data-run]").first().waitFor();
  const live = await smoothness(list.page, seconds, null);
  const liveScroll = await smoothness(list.page, seconds, "[data-testid=runs]");
  await list.close();
  const port = Number(new URL(url).port);
  const slow = await firstRows(browser, port, "/runs", 5);
  const slowRun = await firstRows(browser, port, small, 5);
  await browser.close();
  writeFileSync(
    output,
    JSON.stringify({ slow, slowRun, warm, few, many, floor, scroll, used, runs, live, liveScroll }),
  );
});
