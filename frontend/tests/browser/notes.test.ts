import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId } from "../support/record";
import { TestServer } from "../support/server";
import { signIn } from "../support/signIn";

const NIGHTLY = runId("nightly");
const PATH = "/runs/tests/development/nightly";

const LINKS = [
  { name: "Grafana", url: "https://grafana.example.com/d/1?run={run}&to={endedAt.ms|now}" },
  { name: "Code", url: "https://example.com/tree/{labels.commit}" },
  { name: "Trigger", url: "https://example.com/{labels.dag}" },
  { name: "Step", url: "https://example.com/{run}/{action}", on: "action" },
];

let server: TestServer;
let browser: Browser;
let tokens: Record<"ada" | "bob" | "eve" | "admin", string>;
const windows: Opened[] = [];

beforeAll(async () => {
  [server, browser] = await Promise.all([
    TestServer.start({ RUNGRAPH_AUTH: "token", RUNGRAPH_LINKS: JSON.stringify(LINKS) }),
    launch(),
  ]);
  const token = (name: string, role: string) => server.createToken(name, role, "--user", name);
  server.token = await token("executor", "writer");
  tokens = {
    ada: await token("ada", "operator"),
    bob: await token("bob", "operator"),
    eve: await token("eve", "viewer"),
    admin: await token("admin", "admin"),
  };
  await createActions(server, NIGHTLY, [
    { name: "root", phase: "RUNNING", labels: [{ key: "commit", value: "9f3c/x" }] },
    { name: "step", parent: "root", phase: "FAILED" },
  ]);
});

afterEach(async () => {
  for (const { problems, close } of windows.splice(0)) {
    expect(problems.filter((problem) => !/\b401\b/.test(problem))).toEqual([]);
    await close();
  }
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** A page of a window of its own, signed in with the token. */
async function show(path: string, token: string): Promise<Page> {
  const opened = await open(browser, `${server.url}${path}`);
  windows.push(opened);
  await signIn(opened.page, token);
  await opened.page.waitForURL(`${server.url}${path}`);
  return opened.page;
}

const header = (page: Page) => page.locator("main > header");
const noteOf = (page: Page, text: string) => header(page).getByTestId("note").filter({ hasText: text });
const sign = (page: Page) => page.locator("[data-run=nightly] [data-testid=note-sign]");

test("a note is seen at once by all who watch, and changed by its author and administrators only", async () => {
  const [ada, bob, eve, list] = await Promise.all([
    show(PATH, tokens.ada),
    show(PATH, tokens.bob),
    show(PATH, tokens.eve),
    show("/runs", tokens.eve),
  ]);
  await list.locator("[data-run=nightly]").waitFor();
  expect(await sign(list).count()).toBe(0);
  await header(ada).getByRole("button", { name: "Add note" }).click();
  await header(ada).getByLabel("New note").fill("I’m on it: https://example.com/tickets/7.");
  await ada.keyboard.press("Control+Enter");
  for (const page of [ada, bob, eve]) {
    await noteOf(page, "I’m on it").getByText("ada").waitFor();
    const link = noteOf(page, "I’m on it").getByRole("link");
    expect(await link.getAttribute("href")).toBe("https://example.com/tickets/7");
    expect(await link.getAttribute("rel")).toContain("noopener");
  }
  await sign(list).waitFor();
  expect(await sign(list).getAttribute("title")).toMatch(/^ada: I’m on it/);

  expect(await noteOf(bob, "I’m on it").getByRole("button").count()).toBe(0);
  expect(await header(eve).getByRole("button", { name: /note/i }).count()).toBe(0);
  await header(bob).getByRole("button", { name: "Add note" }).click();
  await header(bob).getByLabel("New note").fill("The table is locked");
  await header(bob).getByRole("button", { name: "Save note" }).click();
  for (const page of [ada, eve]) {
    await header(page).getByRole("button", { name: "All 2 notes" }).click();
    await expect
      .poll(() => header(page).getByTestId("note").allTextContents())
      .toEqual([expect.stringContaining("I’m on it"), expect.stringContaining("The table is locked")]);
  }
  await noteOf(ada, "I’m on it").getByRole("button", { name: "Edit" }).click();
  await header(ada).getByLabel("Change the note").fill("Fixed");
  await header(ada).getByRole("button", { name: "Save note" }).click();
  // Not the last one: those who look at all notes see it too.
  await noteOf(eve, "Fixed").getByText("edited").waitFor();
  expect(await sign(list).getAttribute("title")).toBe("bob: The table is locked");
});

test("a note is kept with an action, and deleted", async () => {
  const page = await show(`${PATH}?action=step`, tokens.admin);
  const panel = page.getByTestId("action");
  await panel.getByRole("button", { name: "Add note" }).click();
  await panel.getByLabel("New note").fill("Only this step");
  await panel.getByRole("button", { name: "Cancel" }).click();
  await panel.getByRole("button", { name: "Add note" }).click();
  await panel.getByLabel("New note").fill("Only this step");
  await panel.getByRole("button", { name: "Save note" }).click();
  await panel.getByTestId("note").getByText("Only this step").waitFor();
  expect(await header(page).getByText("Only this step").count()).toBe(0);
  await panel.getByRole("button", { name: "Delete" }).click();
  await panel.getByTestId("note").waitFor({ state: "detached" });
});

test("runs and actions link to other systems", async () => {
  const page = await show(`${PATH}?action=step`, tokens.eve);
  const links = async (place: ReturnType<typeof header>) => {
    const nav = place.getByRole("navigation", { name: "Links to other systems" });
    await nav.waitFor();
    const all = await nav.getByRole("link").all();
    return Promise.all(
      all.map(async (link) => [
        await link.textContent(),
        await link.getAttribute("href"),
        await link.getAttribute("rel"),
      ]),
    );
  };
  const grafana = ["Grafana", "https://grafana.example.com/d/1?run=nightly&to=now", "noopener noreferrer"];
  const code = ["Code", "https://example.com/tree/9f3c%2Fx", "noopener noreferrer"];
  expect(await links(header(page))).toEqual([grafana, code]);
  const step = ["Step", "https://example.com/nightly/step", "noopener noreferrer"];
  const [first, ...others] = await links(page.getByTestId("action"));
  expect(first?.[1]).toMatch(/^https:\/\/grafana\.example\.com\/d\/1\?run=nightly&to=(\d{13}|now)$/);
  expect(others).toEqual([code, step]);
});
