import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId } from "../support/record";
import { TestServer, until } from "../support/server";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

const line = (page: Page, name: string) => page.locator(`[data-action="${name}"]`);

test("a link to an action of a large run scrolls to it, even if lines above it arrive later", async () => {
  const run = runId("large");
  const at = (second: number) => `2026-01-01T12:00:0${second}Z`;
  const below = (parent: string, createdAt: string) =>
    Array.from({ length: 700 }, (_, n) => ({
      name: `${parent}-${n}`,
      parent,
      phase: "SUCCEEDED",
      createdAt,
    }));
  // They arrive in order of creation: children of the first one after those of the last one.
  await createActions(server, run, [
    { name: "root", phase: "RUNNING", createdAt: at(0) },
    { name: "first", parent: "root", createdAt: at(1) },
    { name: "last", parent: "root", createdAt: at(2) },
    ...below("last", at(3)),
    ...below("first", at(4)),
  ]);
  opened = await open(browser, `${server.url}/tasks`);
  const { page } = opened;
  // The later frames arrive after the first lines are rendered.
  const held: (() => void)[] = [];
  let isHolding = true;
  await page.routeWebSocket(/graphql/, (socket) => {
    const real = socket.connectToServer();
    let holds = false;
    real.onMessage((message) => {
      if (holds && isHolding) held.push(() => socket.send(message));
      else socket.send(message);
      // A frame of the tree: the panel's answer has the action alone.
      if (/"name":"last-650".*"name":"last-699"/s.test(String(message))) holds = true;
    });
  });
  await page.goto(`${server.url}/runs/tests/development/large?action=last-699`);
  await line(page, "last-699").waitFor();
  isHolding = false;
  for (const send of held) send();
  await page.locator("[data-testid=tree][data-synced=true]").waitFor();
  expect(held.length).toBeGreaterThan(0);
  await until("the line to be in sight", async () => {
    const [row, tree] = await Promise.all(
      [line(page, "last-699").first(), page.getByTestId("tree")].map((e) =>
        e.boundingBox({ timeout: 500 }).catch(() => null),
      ),
    );
    return !!row && !!tree && row.y > tree.y && row.y + row.height <= tree.y + tree.height + 1;
  });
});
