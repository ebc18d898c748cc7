import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { until } from "./server";

/** No first-run pages, and nothing loaded in the background. */
const PREFERENCES = {
  "app.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

interface Message {
  id?: number;
  type: string;
  method?: string;
  params?: { level?: string; text?: string | null };
  result?: unknown;
  message?: string;
}

/** The Firefox of the system, driven by WebDriver BiDi: Playwright only drives builds of its own. */
export class Firefox {
  /** Errors and warnings of the console. */
  readonly problems: string[] = [];
  private context = "";
  private count = 0;
  private readonly waiting = new Map<number, (answer: Message) => void>();

  private constructor(
    private readonly process: ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Message;
      if (message.id !== undefined) this.waiting.get(message.id)?.(message);
      else if (["error", "warn"].includes(message.params?.level ?? "")) {
        this.problems.push(message.params?.text ?? "");
      }
    });
  }

  /** `RUNGRAPH_TEST_FIREFOX` names another program than firefox-esr. */
  static async launch(): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), "rungraph-firefox-"));
    const lines = Object.entries(PREFERENCES).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
    );
    writeFileSync(join(profile, "user.js"), lines.join("\n"));
    const program = process.env.RUNGRAPH_TEST_FIREFOX ?? "firefox-esr";
    const arguments_ = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"];
    const firefox = spawn(program, arguments_, {
      env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const address = await new Promise<string>((resolve, reject) => {
      let text = "";
      firefox.on("error", reject);
      firefox.on("exit", (code) => reject(new Error(`Firefox ended with ${code}:\n${text}`)));
      firefox.stderr.on("data", (part: Buffer) => {
        text += part.toString();
        const found = /WebDriver BiDi listening on (ws:\S+)/.exec(text)?.[1];
        if (found) resolve(found);
      });
    });
    const socket = new WebSocket(`${address}/session`);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const browser = new Firefox(firefox, profile, socket);
    await browser.send("session.new", { capabilities: {} });
    await browser.send("session.subscribe", { events: ["log.entryAdded"] });
    const tree = (await browser.send("browsingContext.getTree", {})) as { contexts: { context: string }[] };
    browser.context = tree.contexts[0]?.context ?? "";
    await browser.send("browsingContext.setViewport", {
      context: browser.context,
      viewport: { width: 1440, height: 900 },
    });
    return browser;
  }

  async goto(url: string): Promise<void> {
    await this.send("browsingContext.navigate", { context: this.context, url, wait: "interactive" });
  }

  /** The value of an expression in the page, as JSON. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const answer = (await this.send("script.evaluate", {
      expression: `JSON.stringify(${expression}) ?? "null"`,
      target: { context: this.context },
      awaitPromise: true,
    })) as { result?: { value: string }; exceptionDetails?: { text: string } };
    if (!answer.result) throw new Error(answer.exceptionDetails?.text);
    return JSON.parse(answer.result.value) as Value;
  }

  /** Waits for an element that has the text. */
  async see(selector: string, text = ""): Promise<void> {
    const found = `[...document.querySelectorAll(${JSON.stringify(selector)})].some((element) =>
      element.checkVisibility() && element.textContent.includes(${JSON.stringify(text)}))`;
    await until(`${selector} with "${text}" in Firefox`, () => this.evaluate<boolean>(found), 40_000);
  }

  /** Clicks the first visible element that has the text, by the pointer. */
  async click(selector: string, text = ""): Promise<void> {
    await this.see(selector, text);
    const [x, y] = await this.evaluate<[number, number]>(`(() => {
      const element = [...document.querySelectorAll(${JSON.stringify(selector)})].find((element) =>
        element.checkVisibility() && element.textContent.includes(${JSON.stringify(text)}));
      const { left, top, width, height } = element.getBoundingClientRect();
      return [Math.round(left + width / 2), Math.round(top + height / 2)];
    })()`);
    const button = { button: 0 };
    await this.perform("pointer", [
      { type: "pointerMove", x, y },
      { type: "pointerDown", ...button },
      { type: "pointerUp", ...button },
    ]);
  }

  /** Presses keys, one after the other. */
  async press(...keys: string[]): Promise<void> {
    await this.perform(
      "key",
      keys.flatMap((value) => [
        { type: "keyDown", value },
        { type: "keyUp", value },
      ]),
    );
  }

  async close(): Promise<void> {
    this.process.removeAllListeners("exit");
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.socket.close();
    this.process.kill("SIGTERM");
    await gone;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  private async perform(type: "key" | "pointer", actions: object[]): Promise<void> {
    await this.send("input.performActions", {
      context: this.context,
      actions: [{ type, id: type, actions }],
    });
  }

  private async send(method: string, params: object): Promise<unknown> {
    const id = ++this.count;
    const answer = await new Promise<Message>((resolve) => {
      this.waiting.set(id, resolve);
      this.socket.send(JSON.stringify({ id, method, params }));
    });
    this.waiting.delete(id);
    if (answer.type === "error") throw new Error(`${method}: ${answer.message}`);
    return answer.result;
  }
}
