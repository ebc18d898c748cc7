import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import {
  type Browser,
  type BrowserContextOptions,
  type BrowserServer,
  type LaunchOptions,
  type Page,
  chromium,
} from "playwright-core";
import { inject } from "vitest";

// The shell is Chromium without a user interface, and takes half of its CPU time.
const NAMES = [
  "chromium-headless-shell",
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
];

/** The path of Chromium; RUNGRAPH_TEST_CHROMIUM overrides it. */
function findChromium(): string {
  const given = process.env.RUNGRAPH_TEST_CHROMIUM;
  if (given) return given;
  for (const name of NAMES) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        continue;
      }
    }
  }
  throw new Error("Chromium is not installed: run `python tests/prepare.py`");
}

/** A name of this machine that is not a secure context, unlike localhost. */
export const INSECURE_HOST = "runs.example.test";

const options = (): LaunchOptions => ({
  executablePath: findChromium(),
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`,
  ],
});

/** A browser that accepts connections. */
export async function launchServer(): Promise<BrowserServer> {
  return chromium.launchServer(options());
}

/** The shared browser of all test files; a separate one if none is shared. */
export async function launch(): Promise<Browser> {
  const endpoint = inject("browserEndpoint") as string | undefined;
  return endpoint ? chromium.connect(endpoint) : chromium.launch(options());
}

export interface Opened {
  page: Page;
  /** The problems of a page: errors, warnings, rejected and failed requests. */
  problems: string[];
  close: () => Promise<void>;
}

/** A page of the server in a new window that may load nothing from other origins. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(40_000);
  const problems: string[] = [];
  const { origin } = new URL(url);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()}: ${response.url()}`);
  });
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (target.origin !== origin && !["data:", "blob:"].includes(target.protocol)) {
      problems.push(`request to another origin: ${request.url()}`);
    }
  });
  await page.goto(url);
  return { page, problems, close: () => context.close() };
}

/** Marks the page, to detect a reload. */
export async function mark(page: Page): Promise<void> {
  await page.evaluate(() => Object.assign(window, { isTheSamePage: true }));
}

export async function isSamePage(page: Page): Promise<boolean> {
  return page.evaluate(() => "isTheSamePage" in window);
}
