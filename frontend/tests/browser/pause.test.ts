import { expect, test } from "vitest";
import { launch, open } from "../support/browser";
import { createRun, runId } from "../support/record";
import { TestServer } from "../support/server";
import { signIn } from "../support/signIn";

test("a rate-limited page says so, waits as long as the server requests, and continues", async () => {
  const settings = { RUNGRAPH_AUTH: "token", RUNGRAPH_RATE_LIMIT: "40/15seconds" };
  const [server, browser] = await Promise.all([TestServer.start(settings), launch()]);
  try {
    server.token = await server.createToken("executor", "writer");
    const token = await server.createToken("viewer", "viewer");
    await createRun(server, runId("first"));
    const opened = await open(browser, `${server.url}/runs`);
    const { page, problems } = opened;
    await signIn(page, token);
    await page.locator('[data-run="first"]').waitFor();
    // Another client with the same token that sends many requests.
    const hurry = server.as(token, async () => {
      for (;;) await server.execute("{ viewer { actsForOthers } }");
    });
    await expect(hurry).rejects.toThrow("RATE_LIMITED");
    let requests = 0;
    page.on("request", (request) => {
      if (request.url() === server.api) requests += 1;
    });
    let frames = 0;
    page.on("websocket", () => (frames += 1));
    await page.getByRole("link", { name: "Tasks" }).click();
    const pause = page.getByTestId("pause");
    await pause.getByText("Too many requests: the page continues in").waitFor();
    expect(await page.getByText("could not be read").count()).toBe(0);
    // One rejected request; the next ones wait.
    await page.getByRole("link", { name: "Aborts" }).click();
    await pause.waitFor({ state: "detached", timeout: 20_000 });
    // That page polls every two seconds while permitted.
    expect(requests).toBeLessThanOrEqual(3);
    await page.getByText("No pending aborts").waitFor();
    expect(frames).toBe(0);
    expect(problems.filter((problem) => !/\b429\b/.test(problem))).toEqual([]);
    await opened.close();
  } finally {
    await browser.close();
    await server.stop();
  }
});
