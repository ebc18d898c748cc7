// Opens GraphiQL in a real browser and prints its observations as JSON:
// node graphiql.js URL CHROMIUM [SCREENSHOT]
import { chromium } from "playwright-core";

const [url, executablePath, screenshot] = process.argv.slice(2);
const { origin } = new URL(url);
const seen = { requests: [], complaints: [] };

const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(20_000);
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("requestfailed", (request) => seen.complaints.push(`failed: ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) seen.complaints.push(`${response.status()}: ${response.url()}`);
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text());
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  // No request may leave the machine, even if the test is about to fail.
  await page.route(
    (address) => address.origin !== origin && address.protocol !== "data:",
    (route) => route.abort(),
  );

  await page.goto(url);
  await page.waitForSelector(".graphiql-execute-button");
  seen.title = await page.title();
  seen.tabs = await page.locator(".graphiql-tab-button").allTextContents();

  await page.click(".graphiql-execute-button");
  const result = page.locator(".result-window .CodeMirror");
  await result.getByText('"data"').waitFor();
  seen.result = await result.evaluate((element) => element.CodeMirror.getValue());

  await page.click('[aria-label="Show Documentation Explorer"]');
  await page.locator(".graphiql-doc-explorer").getByText("Root Types").waitFor();
  await page.locator(".graphiql-doc-explorer").getByText("Query", { exact: true }).click();
  await page.locator(".graphiql-doc-explorer-title", { hasText: "Query" }).waitFor();
  seen.documentation = await page.locator(".graphiql-doc-explorer").innerText();

  await page.click('[aria-label="Show GraphiQL Explorer"]');
  await page.locator(".graphiql-explorer-root").waitFor();
  seen.explorer = await page.locator(".graphiql-explorer-root").innerText();

  await page.click('[aria-label="Show History"]');
  await page.locator(".graphiql-history").waitFor();
  await page.locator(".graphiql-editor-tools").getByText("Headers").click();
  await page.click('[aria-label="Open short keys dialog"]');
  await page.getByRole("heading", { name: "Short Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.click('[aria-label="Open settings dialog"]');
  await page.getByText("Dark", { exact: true }).click();
  await page.keyboard.press("Escape");
  await page.locator(".graphiql-dialog").waitFor({ state: "detached" });
  seen.isDark = await page.locator("body.graphiql-dark").count();

  // Typed text survives a reload.
  await page.locator(".graphiql-query-editor .CodeMirror").evaluate((element) => {
    element.CodeMirror.setValue("query Mine { __typename }");
  });
  await page.locator(".graphiql-tab-button", { hasText: "Mine" }).waitFor();
  await page.waitForFunction(() => Object.values(localStorage).some((text) => text.includes("query Mine")));
  await page.reload();
  await page.locator(".graphiql-tab-button", { hasText: "Mine" }).waitFor();
  if (screenshot) await page.screenshot({ path: screenshot });
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
