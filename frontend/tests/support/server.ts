import { randomInt } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { Program } from "./program";

/**
 * A free port, below those that the system gives to outgoing connections: one of these could otherwise take the
 * port of a server that restarts.
 */
async function freePort(): Promise<number> {
  const port = randomInt(20_000, 32_000);
  const isFree = await new Promise<boolean>((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
  return isFree ? port : freePort();
}

/** Polls a condition; after a timeout fails with its description. */
export async function until(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  ms = 20_000,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`timed out after ${ms} ms waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A database with the newest schema, of which each server gets a copy: to migrate takes its time. */
let migrated: Promise<string> | undefined;

async function migrate(folder: string): Promise<string> {
  const file = join(folder, `${process.pid}.db`);
  const environment = { PATH: process.env.PATH, RUNGRAPH_DATABASE_URL: `sqlite:///${file}` };
  const command = new Program(["migrate"], folder, environment);
  if ((await command.ended) !== 0) throw new Error(`rungraph migrate failed:\n${command.errors()}`);
  return file;
}

/** A real server on its own database, and commands that run beside it. */
export class TestServer {
  /** The API token of operations. */
  token: string | undefined;
  private readonly folder = mkdtempSync(join(tmpdir(), "rungraph-page-"));
  private process: Program | null = null;
  /** The ids of API tokens by name. */
  private readonly tokens = new Map<string, string>();
  private readonly beside = new Set<Program>();

  private constructor(
    readonly port: number,
    private readonly settings: Record<string, string>,
  ) {}

  /** `settings` are environment variables of the server. */
  static async start(
    settings: Record<string, string> | ((origin: string) => Record<string, string>) = {},
  ): Promise<TestServer> {
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const server = new TestServer(port, typeof settings === "function" ? settings(origin) : settings);
    const shared = inject("sharedFolder") as string | undefined;
    if (shared !== undefined) copyFileSync(await (migrated ??= migrate(shared)), server.database);
    await server.begin();
    return server;
  }

  /** The URL of the page, without a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.port}${this.settings.RUNGRAPH_BASE_PATH ?? ""}`;
  }

  private get database(): string {
    return join(this.folder, "runs.db");
  }

  get api(): string {
    return `${this.url}/graphql`;
  }

  async begin(): Promise<void> {
    const process = this.start(["serve"]);
    this.process = process;
    await until("the server to start", async () => {
      if (process.exitCode != null) throw new Error(`the server ended at its start:\n${process.errors()}`);
      return fetch(`http://127.0.0.1:${this.port}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  }

  /** Kills the server. */
  async kill(): Promise<void> {
    await this.process?.end("SIGKILL");
    this.process = null;
  }

  /** Runs a command until the server stops. */
  beginBeside(...args: string[]): void {
    this.beside.add(this.start(args));
  }

  /** Runs a command and returns its output; fails with its errors. */
  async run(...args: string[]): Promise<string> {
    return (await this.finished(args)).output();
  }

  /** Runs a function with another API token. */
  async as<T>(token: string, what: () => Promise<T>): Promise<T> {
    const before = this.token;
    this.token = token;
    try {
      return await what();
    } finally {
      this.token = before;
    }
  }

  /** Creates an API token with a unique name. */
  async createToken(name: string, role: string, ...options: string[]): Promise<string> {
    const command = await this.finished(["token", "create", "--name", name, "--role", role, ...options]);
    // On standard error; the token is on standard output.
    const id = new RegExp(`^token (\\S+): ${name},`, "m").exec(command.errors())?.[1];
    if (!id) throw new Error(`it is not said which token that is:\n${command.errors()}`);
    this.tokens.set(name, id);
    return command.output().trim();
  }

  /** Revokes the API token with this name. */
  async revokeToken(name: string): Promise<void> {
    await this.run("token", "revoke", this.tokens.get(name) ?? name);
  }

  async stop(): Promise<void> {
    for (const each of this.beside) await each.end("SIGKILL");
    await this.process?.end("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The data of an operation; fails with its errors. */
  async execute<Data = unknown>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const response = await this.post({ query, variables });
    const { data, errors } = (await response.json()) as { data: Data; errors?: unknown };
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }

  /**
   * Subscribes to the abort requests of a project without confirming any, until the returned function is
   * called.
   */
  async watchAborts(project: string): Promise<() => Promise<void>> {
    const leaving = new AbortController();
    const query = "subscription ($project: String!) { abortRequests(project: $project) { kind } }";
    const body = { query, variables: { project } };
    const response = await this.post(body, { Accept: "text/event-stream" }, leaving.signal);
    if (!response.ok || !response.body) throw new Error(`it cannot be watched: ${response.status}`);
    // Read to the end: an unreferenced response is aborted by garbage collection.
    response.body.pipeTo(new WritableStream()).catch(() => undefined);
    return async () => {
      leaving.abort();
      await until("the server to notice that no client watches aborts", async () => {
        const metrics = await fetch(`http://127.0.0.1:${this.port}/metrics`, { headers: this.identity });
        return /rungraph_subscriptions\{field="abortRequests"\} 0\.0/.test(await metrics.text());
      });
    };
  }

  private get identity(): Record<string, string> {
    return this.token === undefined ? {} : { Authorization: `Bearer ${this.token}` };
  }

  private post(
    body: Record<string, unknown>,
    headers: Record<string, string> = {},
    signal: AbortSignal | null = null,
  ): Promise<Response> {
    return fetch(this.api, {
      method: "POST",
      signal,
      headers: {
        "Content-Type": "application/json",
        ...this.identity,
        ...headers,
      },
      body: JSON.stringify(body),
    });
  }

  /** A command that has run to its successful end. */
  private async finished(args: string[]): Promise<Program> {
    const command = this.start(args);
    const code = await command.ended;
    if (code !== 0) throw new Error(`rungraph ${args.join(" ")} ended with ${code}:\n${command.errors()}`);
    return command;
  }

  private start(args: string[]): Program {
    return new Program(args, this.folder, {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      RUNGRAPH_DATABASE_URL: `sqlite:///${this.database}`,
      RUNGRAPH_PORT: String(this.port),
      ...this.settings,
    });
  }
}
