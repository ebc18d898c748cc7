import { afterAll, expect, test } from "vitest";
import { LogHost, growingLog, longLog } from "../support/logHost";
import { Logged, PATH, line, untilInView } from "../support/logged";
import { until } from "../support/server";

const MIB = 1024 * 1024;
const LINES = 1_000_000;
const ESC = "\x1b";

let host: LogHost;

const growing = growingLog("first\nsecond\nnot comple");
const ACTIONS = ["short", "long", "end", "running", "both", "whole", "missing", "elsewhere"];
const logged = new Logged(
  ACTIONS,
  async (logged) => {
    host.logs.short = longLog(1_200, {
      1: `${ESC}[32mgreen${ESC}[0m <b>not bold</b>`,
      321: "ValueError: no such row",
      1_100: "a needle",
    });
    host.logs.long = longLog(LINES, { 60_000: "a needle", 70_000: "ERROR too late" });
    host.logs.end = longLog(150_000);
    host.logs.running = growing;
    host.logs.both = longLog(10);
    host.logs.whole = { ...longLog(300), hasRanges: false };
    const linked = (name: string, uri: string) => ({ logs: [{ name, uri }] });
    for (const name of ["short", "long", "end", "both", "whole", "missing"]) {
      await logged.report(name, "SUCCEEDED", 1, linked("stdout", host.urlOf(name)));
    }
    await logged.report("running", "RUNNING", 1, linked("stdout", host.urlOf("running")));
    await logged.append("both", [{ text: "reported" }]);
    const logs = [
      { name: "web", uri: "https://logs.example.com/1" },
      { name: "bucket", uri: "s3://bucket/key" },
    ];
    await logged.report("elsewhere", "SUCCEEDED", 1, { logs });
  },
  async () => {
    host = await LogHost.start();
    return { RUNGRAPH_LOG_LINK_HOSTS: host.address, RUNGRAPH_LOG_LINK_ALLOW_PRIVATE: "true" };
  },
);

afterAll(() => host.stop());

test("a linked log opens in the viewer, with its errors, a search and links to lines", async () => {
  const page = await logged.open(`${PATH}?action=short`);
  await page.getByTestId("action").getByRole("link", { name: "stdout", exact: true }).click();
  await line(page, 1).waitFor();
  const text = line(page, 1).locator("span").last();
  expect(await text.innerText()).toContain("green");
  expect(await line(page, 1).locator("b").count()).toBe(0);
  const original = page.getByRole("link", { name: "Original of stdout" });
  expect(await original.getAttribute("href")).toBe(host.urlOf("short"));
  // It has neither levels nor times of its own.
  expect(await page.getByLabel("Level").count()).toBe(0);
  expect(await page.getByRole("button", { name: "Times" }).count()).toBe(0);
  await page.getByRole("button", { name: "First error" }).click();
  await untilInView(page, 321);
  expect(await line(page, 321).getAttribute("data-level")).toBe("ERROR");
  await page.getByRole("searchbox", { name: "Search the log" }).fill("NEEDLE");
  await page.keyboard.press("Enter");
  await untilInView(page, 1_100);
  expect(await line(page, 1_100).locator("mark").innerText()).toBe("needle");
  const address = await line(page, 1_100).getByRole("link").getAttribute("href");
  expect(address).toContain("link=stdout");
  await page.goto(address ?? "");
  await untilInView(page, 1_100);
  expect(await line(page, 1_100).getAttribute("data-marked")).toBe("true");
});

test("of a log of 100 MB only a part is read, and more as one goes there", async () => {
  host.answers.length = 0;
  const page = await logged.show("action=long&link=stdout");
  await line(page, 1).waitFor();
  await page.getByText("256 KiB of 95 MiB read").waitFor();
  expect(host.answers).toEqual([256 * 1024]);
  // Scrolling to the end of what is known reads on.
  const log = page.getByTestId("log");
  const height = await log.evaluate((element) => element.scrollHeight);
  await log.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await until("more lines", async () => (await log.evaluate((element) => element.scrollHeight)) > 2 * height);
  await page.getByRole("searchbox", { name: "Search the log" }).fill("needle");
  await page.keyboard.press("Enter");
  await untilInView(page, 60_000);
  await page.getByRole("button", { name: "First error" }).click();
  await untilInView(page, 70_000);
  expect(await page.locator("[data-line]").count()).toBeLessThan(500);
  expect(Math.max(...host.answers)).toBeLessThanOrEqual(4 * MIB);
  expect(host.answers.reduce((sum, size) => sum + size, 0)).toBeLessThan(24 * MIB);
});

test("one goes to the last line of a log, and backwards from there", async () => {
  const page = await logged.show("action=end&link=stdout");
  await line(page, 1).waitFor();
  await page.getByRole("button", { name: "End" }).click();
  await untilInView(page, 150_000);
  await page.getByText("14 MiB", { exact: true }).waitFor();
  await page.getByRole("searchbox", { name: "Search the log" }).fill("row 99 of");
  await page.getByRole("button", { name: "Previous match" }).click();
  await untilInView(page, 99);
});

test("the lines of a running attempt arrive, each when it is complete", async () => {
  const page = await logged.show("action=running");
  await line(page, 2).getByText("second").waitFor();
  expect(await line(page, 3).count()).toBe(0);
  growing.append("te\nlast");
  await line(page, 3).getByText("not complete").waitFor();
  await logged.report("running", "SUCCEEDED", 2);
  await line(page, 4).getByText("last").waitFor();
});

test("lines that were reported and linked logs stand beside each other", async () => {
  const page = await logged.open(`${PATH}?action=both`);
  await page.getByRole("tab", { name: "Logs" }).click();
  await line(page, 1).getByText("reported").waitFor();
  await page.getByRole("button", { name: "stdout", exact: true }).click();
  await line(page, 10).getByText("row 10 of hay").waitFor();
  await page.getByRole("button", { name: "Reported lines" }).click();
  await line(page, 1).getByText("reported").waitFor();
});

test("a log whose server has no ranges is read whole", async () => {
  const page = await logged.show("action=whole&line=300");
  await untilInView(page, 300);
});

test("a log that cannot be read says why, and its link stays", async () => {
  const page = await logged.show("action=missing");
  await page.getByText("stdout could not be read").waitFor();
  await page.getByText(/answered 404/).waitFor();
  await page.getByRole("link", { name: "Original of stdout" }).waitFor();
  host.logs.missing = longLog(3);
  await page.getByRole("button", { name: "Try again" }).click();
  await line(page, 3).waitFor();
  expect(logged.opened.problems.every((problem) => problem.includes("502"))).toBe(true);
  logged.opened.problems.length = 0;
});

test("what the server may not read is a link that says so", async () => {
  const page = await logged.show("action=elsewhere");
  const web = page.locator("[data-log-link=web]");
  await web.waitFor();
  expect(await web.getAttribute("href")).toBe("https://logs.example.com/1");
  expect(await web.getAttribute("title")).toContain("does not read logs from logs.example.com");
  await page.locator("code[data-log-link=bucket]").getByText("s3://bucket/key").waitFor();
  await page.getByText("It linked to logs that are kept elsewhere").waitFor();
});
