import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type Opened, launch, open } from "./browser";
import { createRun, runId } from "./record";
import { TestServer } from "./server";
import { signIn } from "./signIn";

/** That the server refuses whoever is signed out is what these tests are about. */
export const isRefusal = (complaint: string): boolean => /\b401\b/.test(complaint);

export const etl = (name: string) => runId(name, "etl", "production");

export const account = (page: Page) => page.getByRole("button", { name: /^Signed in as/ });

/**
 * What the tests of a file share: a server below a path that asks for tokens, with a run in each of two
 * projects, and a browser. Each test opens a page, which complains about nothing but that it is refused.
 */
export class BehindTokens {
  server!: TestServer;
  /** What the test has opened. */
  opened!: Opened;
  /** The tokens of who may abort in the one project, and of who may only read there. */
  operator!: string;
  viewer!: string;
  private browser!: Browser;

  /** Call it where a file begins; `settings` are variables of the server's environment. */
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
      expect(this.opened.complaints.filter((complaint) => !isRefusal(complaint))).toEqual([]);
      await this.opened.close();
    });
    afterAll(async () => {
      await this.browser.close();
      await this.server.stop();
    });
  }

  /** A page in a fresh window, where nobody has signed in. */
  async open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    this.opened = await open(this.browser, `${this.server.url}${path}`, options);
    return this.opened.page;
  }

  /** The same, once its user has signed in with the token. */
  async show(path: string, token: string): Promise<Page> {
    const page = await this.open(path);
    await signIn(page, token);
    await page.waitForURL(`${this.server.url}${path}`);
    return page;
  }
}
