import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { actionId, createActions, createRun, runId } from "../support/record";
import { TestServer } from "../support/server";
import { signIn } from "../support/signIn";

const PREFIX = "/team/rungraph";
const ABORT = `mutation ($id: RunIdentifierInput!) { abortRun(input: {id: $id}) { requested } }`;
const CLEAR = `mutation ($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { id } } }`;

const etl = (name: string) => runId(name, "etl", "production");

let server: TestServer;
let browser: Browser;
let opened: Opened;
let operator: string;
let viewer: string;

beforeAll(async () => {
  const settings = {
    RUNGRAPH_AUTH: "token",
    RUNGRAPH_BASE_PATH: PREFIX,
    RUNGRAPH_ABORT_ATTEMPTS: "1",
  };
  [server, browser] = await Promise.all([TestServer.start(settings), launch()]);
  server.token = await server.createToken("executor", "writer");
  operator = await server.createToken("operator", "operator", "--user", "user-1", "--project", "etl");
  viewer = await server.createToken("viewer", "viewer", "--user", "user-2", "--project", "etl");
  await createRun(server, etl("nightly"));
  await createRun(server, runId("nightly-web", "web", "production"));
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** That the server refuses whoever is signed out is what these tests are about. */
const isRefusal = (complaint: string): boolean => /\b401\b/.test(complaint);

afterEach(async () => {
  expect(opened.complaints.filter((complaint) => !isRefusal(complaint))).toEqual([]);
  await opened.close();
});

const show = async (path: string, token: string, options = {}): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, options);
  await signIn(opened.page, token);
  await opened.page.waitForURL(`${server.url}${path}`);
  return opened.page;
};

const account = (page: Page) => page.getByRole("button", { name: /^Signed in as/ });
const abort = (page: Page) => page.getByRole("button", { name: "Abort", exact: true });

test("a wrong token is refused, a right one leads to where they were going, and only to their own runs", async () => {
  opened = await open(browser, `${server.url}/runs?q=nightly`);
  const { page } = opened;
  expect(page.url()).toContain(`${PREFIX}/login?return_to=`);
  await signIn(page, `rg_${"x".repeat(43)}`);
  await page.getByText("This token is not known").waitFor();
  expect(opened.complaints.every(isRefusal)).toBe(true);
  await signIn(page, operator);
  await page.waitForURL(`${server.url}/runs?q=nightly`);
  await page.locator('[data-run="nightly"]').waitFor();
  expect(await page.locator("[data-run]").count()).toBe(1);
  expect(await page.getByLabel("Project").locator("option").allInnerTexts()).toEqual(["All projects", "etl"]);
});

test("who is signed in and what they may do is told in words", async () => {
  const page = await show("/runs", operator);
  await account(page).click();
  await page.getByRole("dialog").getByText("operator in etl").waitFor();
  expect(await account(page).innerText()).toContain("user-1");
});

test("who may only read is offered no abort: not of a run, an action or all, and not once more", async () => {
  await createActions(server, etl("given-up"), [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
  await createRun(server, etl("going"));
  // An executor that is told, and never confirms.
  const leave = await server.watch('subscription { abortRequests(project: "etl") { kind } }');
  await server.as(operator, () => server.execute(ABORT, { id: etl("given-up") }));
  const look = async (token: string): Promise<number[]> => {
    const page = await show("/runs/etl/production/going?action=root", token);
    await page.getByTestId("action").getByRole("tab", { name: "Attempts" }).waitFor();
    await account(page).waitFor();
    const counts = [await abort(page).count()];
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.locator('[data-run="going"]').waitFor();
    counts.push(await page.getByRole("button", { name: "More about these runs" }).count());
    await page.getByRole("link", { name: "given-up" }).click();
    await page.getByText("Abort given up after").waitFor();
    counts.push(await page.getByRole("button", { name: "Try again" }).count());
    return counts;
  };
  expect(await look(viewer)).toEqual([0, 0, 0]);
  await opened.close();
  expect(await look(operator)).toEqual([2, 1, 1]);
  leave();
});

test("an operator aborts in their project, and sees it end", async () => {
  await createRun(server, etl("to-stop"));
  const page = await show("/runs/etl/production/to-stop", operator);
  await abort(page).click();
  await page.getByRole("dialog").getByLabel("Why?").fill("wrong table");
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("Asked by user-1").waitFor();
  await server.execute(CLEAR, { id: actionId(etl("to-stop"), "root") });
  await page.getByText("the executor confirmed that it is gone").waitFor();
});

test("what the server forbids all the same is told so", async () => {
  await createRun(server, etl("protected"));
  opened = await open(browser, `${server.url}/runs/etl/production/protected`);
  const { page, complaints } = opened;
  // As if the role had been taken away since.
  await page.route("**/graphql", async (route) => {
    if (!route.request().postData()?.includes("ViewerOf")) return route.fallback();
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace('"VIEWER"', '"ADMIN"') });
  });
  await signIn(page, viewer);
  await abort(page).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("This is not allowed: you may not abort in etl/production.").waitFor();
  expect(complaints).toEqual([]);
});

test("who signs out is told so, and the way back shows nothing", async () => {
  const page = await show("/runs", operator);
  await page.locator("[data-run]").first().waitFor();
  await account(page).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  expect(page.url()).toBe(`${server.url}/logout`);
  await page.goto(`${server.url}/runs`);
  await page.getByLabel("API token").waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "Sign in again" }).click();
  await signIn(page, operator);
  await page.locator("[data-run]").first().waitFor();
});
