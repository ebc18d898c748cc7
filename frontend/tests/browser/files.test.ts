import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, insertEvents, runId, storeArtifact } from "../support/record";
import { TestServer, until } from "../support/server";

const RUN = runId("with-files");
const PATH = "/runs/tests/development/with-files?action=step";
/** Two rows, compressed by snappy. */
const PARQUET = [
  "UEFSMRUAFSwVMCwVBBUAFQYVBhwAAAAWVAIAAAAEAQEAAAAAAAAAAgAAAAAAAAAVABUoFSwsFQQVABUGFQYcAAAAFEwCAAAA",
  "BAEDAAAAb25lAwAAAHR3bxUEGTw1ABgGc2NoZW1hFQQAFQQlAhgCaWQAFQwlAhgEbmFtZSUATBwAAAAWBBkcGSwmABwVBBkl",
  "BgAZGAJpZBUCFgQWUhZWJghJHBUAFQAVAgA8KQYZJgAEAAAAJgAcFQwZJQYAGRgEbmFtZRUCFgQWThZSJl5JHBUAFQAVAgA8",
  "FgwZBhkmAAQAAAAWoAEWBCYIFqgBACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZLBwAABwAAADBAAAAUEFS",
  "MQ==",
].join("");
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  await createActions(server, RUN, [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
    { name: "bare", parent: "root", phase: "RUNNING" },
  ]);
  await insertEvents(server, RUN, [
    { action: "step", attempt: 1, phase: "RUNNING", occurredAt: "2026-01-01T00:00:00Z" },
  ]);
  const store = storeArtifact.bind(null, server, RUN, "step");
  await store("INPUTS", "inputs.json", { json: { table: "orders" } });
  await store("OUTPUTS", "outputs.json", { json: { rows: 118 } });
  await store("REPORT", "report.md", {
    text: [
      "# Result of *training*",
      "",
      "| metric | value |",
      "|---|--:|",
      "| loss | 0.043 |",
      "",
      "<img src=x onerror=\"document.title='pwned'\"> <script>document.title='pwned'</script>",
      "",
      "[good](https://example.com) [bad](javascript:document.title='pwned')",
      "![tracker](https://example.com/pixel.png)",
    ].join("\n"),
  });
  await store("REPORT", "report.html", {
    text: `<h1>A page</h1><p id="p"></p><script>
      document.getElementById("p").textContent = "origin " + self.origin;
      try { parent.document.title = "pwned"; } catch (error) { document.body.append("refused"); }
    </script>`,
  });
  const rows = Array.from({ length: 5_000 }, (_, n) => `${n},"Item, ${n}",${(5_000 - n) / 4}`);
  await store("FILE", "rows.csv", { text: ["id,name,price", ...rows].join("\n") });
  await store("FILE", "dot.png", { base64: PIXEL });
  await store("FILE", "dot.svg", {
    text: `<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><script>alert(1)</script></svg>`,
  });
  await store("FILE", "rows.parquet", { base64: PARQUET });
  await store("FILE", "broken.parquet", { text: "PAR1 it is not PAR1" });
  await store("FILE", "notes.txt", { text: "first line\n<b>second</b> line" });
  await store("FILE", "weights.bin", { base64: "AAECAwQ=" });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

async function show(path = PATH): Promise<Page> {
  opened = await open(browser, `${server.url}${path}`);
  const { page } = opened;
  await page.getByRole("tab", { name: "Files" }).click();
  return page;
}

/** Opens a file; returns what shows it. */
async function unfold(page: Page, name: string) {
  const file = page.locator(`[data-artifact="${name}"]`);
  const button = file.getByRole("button", { name, exact: true });
  await button.waitFor();
  if ((await button.getAttribute("aria-expanded")) === "false") await button.click();
  return file;
}

test("files are listed by kind with size and download, and the first report is open", async () => {
  const page = await show();
  await page.locator("[data-artifact]").first().waitFor();
  const titles = await page.getByTestId("action").locator("section h4").allInnerTexts();
  expect(titles).toEqual(["Reports", "Outputs", "Inputs", "Files"]);
  const report = page.locator("[data-artifact='report.html']");
  expect(await report.getByRole("button").getAttribute("aria-expanded")).toBe("true");
  const weights = page.locator("[data-artifact='weights.bin']");
  expect(await weights.getByRole("button").count()).toBe(0);
  await weights.getByText("5 bytes").waitFor();
  const download = page.waitForEvent("download");
  await weights.getByRole("link", { name: "Download" }).click();
  expect((await download).suggestedFilename()).toBe("weights.bin");
});

test("reports, values and tables show themselves, with links to the web", async () => {
  const results = runId("results");
  await createActions(server, results, [{ name: "root", phase: "RUNNING" }]);
  const store = storeArtifact.bind(null, server, results, "root");
  await store("REPORT", "summary.md", { text: "# All is well" });
  await store("REPORT", "curve.png", { base64: PIXEL });
  await store("OUTPUTS", "scores.json", {
    json: { f1: 0.93, model: "https://models.example.com/7", ok: true },
  });
  await store("OUTPUTS", "classes.json", { json: [{ class: "cat", f1: 0.9 }, { class: "dog" }] });
  await store("FILE", "log.txt", { text: "not opened" });
  const page = await show("/runs/tests/development/results?action=root");
  const panel = page.getByTestId("action");
  await panel.getByRole("heading", { name: "All is well" }).waitFor();
  await panel.getByRole("img", { name: "curve.png" }).waitFor();
  const scores = panel.getByRole("region", { name: "scores.json" });
  expect(await scores.getByRole("term").allTextContents()).toEqual(["f1", "model", "ok"]);
  const model = scores.getByRole("link");
  expect(await model.getAttribute("href")).toBe("https://models.example.com/7");
  expect(await model.getAttribute("rel")).toBe("noopener noreferrer");
  await panel.getByRole("table", { name: "classes.json" }).getByRole("cell", { name: "dog" }).waitFor();
  const log = panel.locator("[data-artifact='log.txt']");
  expect(await log.getByRole("button").getAttribute("aria-expanded")).toBe("false");
  const json = panel.locator("[data-artifact='scores.json']");
  await json.getByRole("button", { name: "Show as JSON" }).click();
  await json.getByRole("searchbox", { name: "Search in scores.json" }).waitFor();
  expect(await json.getByRole("link", { name: "https://models" }).count()).toBe(1);
});

test("an HTML report runs without the page's origin", async () => {
  const page = await show();
  await unfold(page, "report.html");
  const report = page.frameLocator("iframe[title='report.html']");
  await report.getByRole("heading", { name: "A page" }).waitFor();
  await report.getByText("origin null").waitFor();
  await report.getByText("refused").waitFor();
  expect(await page.title()).not.toContain("pwned");
});

test("Markdown is formatted, and markup in it is text", async () => {
  const page = await show();
  const file = await unfold(page, "report.md");
  await file.getByRole("heading", { name: "Result of training" }).waitFor();
  const number = file.getByRole("cell", { name: "0.043" });
  await number.waitFor();
  expect(await number.evaluate((cell) => getComputedStyle(cell).textAlign)).toBe("right");
  await file.getByText("<img src=x onerror=").waitFor();
  expect(await file.locator("img, script").count()).toBe(0);
  expect(await file.getByRole("link", { name: "good" }).getAttribute("rel")).toContain("noreferrer");
  expect(await file.getByRole("link", { name: "bad" }).count()).toBe(0);
  expect(await file.getByRole("link", { name: "tracker" }).count()).toBe(1);
  expect(await page.title()).not.toContain("pwned");
});

test("a table of 5,000 rows is sorted by number, and only visible rows are rendered", async () => {
  const page = await show();
  const file = await unfold(page, "rows.csv");
  await file.getByRole("cell", { name: "Item, 0", exact: true }).waitFor();
  await file.getByText("5,000 rows, 3 columns").waitFor();
  expect(await file.getByRole("row").count()).toBeLessThan(80);
  await file.getByRole("button", { name: "price" }).click();
  await file.getByRole("cell", { name: "Item, 4999", exact: true }).waitFor();
  await file.locator("[aria-sort=ascending]").waitFor();
  const left = (role: "cell" | "columnheader", at: number): Promise<number> =>
    file
      .getByRole(role)
      .nth(at)
      .evaluate((cell) => cell.getBoundingClientRect().left);
  for (const at of [1, 2]) expect(await left("cell", at)).toBeCloseTo(await left("columnheader", at), 0);
});

test("a parquet file is a table", async () => {
  const page = await show();
  const file = await unfold(page, "rows.parquet");
  await file.getByRole("cell", { name: "two" }).waitFor();
  await file.getByText("2 rows, 2 columns").waitFor();
});

test("images, text and JSON are shown; what is broken says so", async () => {
  const page = await show();
  for (const name of ["dot.png", "dot.svg"]) {
    const image = (await unfold(page, name)).getByRole("img", { name });
    await until(`${name} to be loaded`, () => image.evaluate((i: HTMLImageElement) => i.naturalWidth > 0));
  }
  await (await unfold(page, "notes.txt")).getByText("<b>second</b> line").waitFor();
  await (await unfold(page, "outputs.json")).getByText("118").waitFor();
  await (await unfold(page, "broken.parquet")).getByText("cannot be shown here").waitFor();
});

test("files of another attempt can be chosen, and new ones appear", async () => {
  const page = await show();
  await page.locator("[data-artifact='notes.txt']").waitFor();
  await storeArtifact(server, RUN, "step", "OUTPUTS", "outputs.json", { json: { rows: 9 } }, 2);
  await insertEvents(server, RUN, [
    { action: "step", attempt: 2, phase: "RUNNING", occurredAt: "2026-01-01T00:00:09Z" },
  ]);
  const choice = page.getByRole("combobox", { name: /^Files of/ });
  await choice.selectOption("1");
  await page.locator("[data-artifact='notes.txt']").waitFor();
  await choice.selectOption("2");
  await page.locator("[data-artifact='notes.txt']").waitFor({ state: "detached" });
});

test("an action without files says so", async () => {
  const page = await show("/runs/tests/development/with-files?action=bare");
  await page.getByText("No files").waitFor();
});
