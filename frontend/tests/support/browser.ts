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

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The browser of this machine; RUNGRAPH_TEST_CHROMIUM names another one. */
function findChromium(): string {
  const given = process.env.RUNGRAPH_TEST_CHROMIUM;
  if (given) return given;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of NAMES) {
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

const options = (...args: string[]): LaunchOptions => ({
  executablePath: findChromium(),
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    ...args,
  ],
});

/** A browser that others connect to. */
export async function launchServer(): Promise<BrowserServer> {
  return chromium.launchServer(options());
}

/** The browser that all test files share; one of its own with further arguments of its command line, or where
 * none is shared. */
export async function launch(...args: string[]): Promise<Browser> {
  const endpoint = inject("browserEndpoint") as string | undefined;
  return endpoint && args.length === 0 ? chromium.connect(endpoint) : chromium.launch(options(...args));
}

export interface Opened {
  page: Page;
  /** Everything that the page complained about: errors, warnings, refused or failed requests. */
  complaints: string[];
  close: () => Promise<void>;
}

/** A page of the server in a fresh window, that may load nothing from elsewhere. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(40_000);
  const complaints: string[] = [];
  const { origin } = new URL(url);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (target.origin !== origin && !["data:", "blob:"].includes(target.protocol)) {
      complaints.push(`asked elsewhere: ${request.url()}`);
    }
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Remember this page, so that it can be told whether it was loaded anew. */
export async function mark(page: Page): Promise<void> {
  await page.evaluate(() => Object.assign(window, { isTheSamePage: true }));
}

export async function isTheSame(page: Page): Promise<boolean> {
  return page.evaluate(() => "isTheSamePage" in window);
}
