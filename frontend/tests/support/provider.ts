import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const SCRIPT = `
import json, sys
from tests.support.provider import FakeProvider

with FakeProvider().serving() as provider:
    print(provider.url, flush=True)
    for line in sys.stdin:
        provider.user = json.loads(line)
        print("known", flush=True)
`;

/** The OpenID provider of the server's tests. It signs users in at once. */
export class Provider {
  private constructor(
    readonly url: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(): Promise<Provider> {
    const child = spawn(join(ROOT, ".venv", "bin", "python"), ["-c", SCRIPT], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "inherit"],
    });
    return new Provider(await line(child), child);
  }

  /** The settings of a server at this URL that uses this provider. */
  settings(server: string, grants: object[]): Record<string, string> {
    return {
      RUNGRAPH_AUTH: "oidc",
      RUNGRAPH_PUBLIC_URL: server,
      RUNGRAPH_OIDC_ISSUER: this.url,
      RUNGRAPH_OIDC_AUDIENCE: "rungraph-api",
      RUNGRAPH_OIDC_CLIENT_ID: "rungraph-page",
      RUNGRAPH_OIDC_CLIENT_SECRET: "s3cret-of-the-client",
      RUNGRAPH_OIDC_GRANTS: JSON.stringify(grants),
    };
  }

  /** Sets the claims of the next sign-ins. */
  async become(claims: Record<string, unknown>): Promise<void> {
    this.process.stdin?.write(`${JSON.stringify(claims)}\n`);
    await line(this.process);
  }

  stop(): void {
    this.process.kill("SIGKILL");
  }
}

/** The next line of its output. */
async function line(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (chunk: Buffer) => resolve(chunk.toString().trim()));
    child.once("exit", (code) => reject(new Error(`the provider ended with ${String(code)}`)));
  });
}
