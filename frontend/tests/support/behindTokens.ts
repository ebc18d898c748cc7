import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type Opened, launch, open } from "./browser";
import { createRun, runId } from "./record";
import { TestServer } from "./server";
import { signIn } from "./signIn";

/** These tests are about rejected requests, which are not problems here. */
export const isRejection = (problem: string): boolean => /\b401\b/.test(problem);

export const etl = (name: string) => runId(name, "etl", "production");

export const account = (page: Page) => page.getByRole("button", { name: /^Signed in as/ });

/**
 * Shared by the tests of a file: a server below a base path that requires tokens, with a run in each of two
 * projects, and a browser. The pages of the tests may only report rejected requests.
 */
export class BehindTokens {
  server!: TestServer;
  /** The pages opened by the test. */
  opened!: Opened;
  /** The tokens of an operator and of a viewer in one project. */
  operator!: string;
  viewer!: string;
  private browser!: Browser;

  /** Called at the start of a test file; `settings` are environment variables of the server. */
  constructor(settings: Record<string, string> = {}) {
    const all = { RUNGRAPH_AUTH: "token", RUNGRAPH_BASE_PATH: "/team/rungraph", ...settings };
    beforeAll(async () => {
      [this.server, this.browser] = await Promise.all([TestServer.start(all), launch()]);
      const { server } = this;
      server.token = await server.createToken("executor", "writer");
      this.operator = await server.createToken(
        "operator",
        "operator",
        "--user",
        "user-1",
        "--project",
        "etl",
      );
      this.viewer = await server.createToken("viewer", "viewer", "--user", "user-2", "--project", "etl");
      await createRun(server, etl("nightly"));
      await createRun(server, runId("nightly-web", "web", "production"));
    });
    afterEach(async () => {
      expect(this.opened.problems.filter((problem) => !isRejection(problem))).toEqual([]);
      await this.opened.close();
    });
    afterAll(async () => {
      await this.browser.close();
      await this.server.stop();
    });
  }

  /** A page in a new window, signed out. */
  async open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    this.opened = await open(this.browser, `${this.server.url}${path}`, options);
    return this.opened.page;
  }

  /** A page in a new window, signed in with the token. */
  async show(path: string, token: string): Promise<Page> {
    const page = await this.open(path);
    await signIn(page, token);
    await page.waitForURL(`${this.server.url}${path}`);
    return page;
  }
}
