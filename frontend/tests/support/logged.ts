import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type Opened, launch, open } from "./browser";
import { type NewLine, appendLog, createActions, insertEvents, runId, setPhases } from "./record";
import { TestServer, until } from "./server";

const RUN = runId("logged");
export const PATH = "/runs/tests/development/logged";

/** Shared by the tests of a file: a server with a run whose actions have logs, and a browser. */
export class Logged {
  server!: TestServer;
  browser!: Browser;
  opened!: Opened;

  /** Called at the start of a test file; `settings` are further ones of the server. */
  constructor(
    actions: string[],
    prepare: (logged: Logged) => Promise<void>,
    settings: () => Promise<Record<string, string>> = () => Promise.resolve({}),
  ) {
    beforeAll(async () => {
      const all = { RUNGRAPH_LOG_QUOTA: "2000000", ...(await settings()) };
      [this.server, this.browser] = await Promise.all([TestServer.start(all), launch()]);
      await createActions(this.server, RUN, [
        { name: "root", phase: "RUNNING" },
        ...actions.map((name) => ({ name, parent: "root", phase: "RUNNING" })),
      ]);
      await prepare(this);
    });
    afterEach(async () => {
      expect(this.opened.problems).toEqual([]);
      await this.opened.close();
    });
    afterAll(async () => {
      await this.browser.close();
      await this.server.stop();
    });
  }

  append(action: string, lines: NewLine[], options = {}): Promise<void> {
    return appendLog(this.server, RUN, action, lines, options);
  }

  /** Reports the phase of an attempt. */
  async report(
    action: string,
    phase: string,
    second: number,
    rest: Record<string, unknown> = {},
  ): Promise<void> {
    const occurredAt = `2026-01-01T00:00:0${second}Z`;
    await insertEvents(this.server, RUN, [{ action, attempt: 1, phase, occurredAt, ...rest }]);
    await setPhases(this.server, RUN, { [action]: phase }, Number(rest.attempt ?? 1));
  }

  /** The page of an action's log. */
  async show(query: string, options: BrowserContextOptions = {}): Promise<Page> {
    return this.open(`${PATH}/logs?${query}`, options);
  }

  async open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    this.opened = await open(this.browser, `${this.server.url}${path}`, options);
    return this.opened.page;
  }
}

export const line = (page: Page, number: number): Locator => page.locator(`[data-line="${number}"]`);

/** Whether a line is within the visible part of the log. */
export const isInView = (page: Page, number: number): Promise<boolean> =>
  page.evaluate((number) => {
    const element = document.querySelector(`[data-line="${number}"]`)?.getBoundingClientRect();
    const frame = document.querySelector("[data-testid=log]")?.getBoundingClientRect();
    return !!element && !!frame && element.top >= frame.top - 1 && element.bottom <= frame.bottom + 1;
  }, number);

export const untilInView = (page: Page, number: number): Promise<void> =>
  until(`line ${number}`, () => isInView(page, number));
