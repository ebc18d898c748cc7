import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "..", "..", "..");

/** What the launcher says of a program. */
interface Message {
  id: number;
  pid?: number;
  code?: number;
}

let launcher: ChildProcess | undefined;
const running = new Map<number, (message: Message) => void>();
let latest = 0;

/** The process that forks programs (tests/support/launcher.py); it ends with this one. */
function launch(request: Record<string, unknown>): void {
  if (!launcher) {
    launcher = spawn(join(ROOT, ".venv", "bin", "python"), ["-m", "tests.support.launcher"], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { stdout } = launcher;
    if (!stdout) throw new Error("the launcher has no output");
    createInterface({ input: stdout }).on("line", (line) => {
      const message = JSON.parse(line) as Message;
      running.get(message.id)?.(message);
    });
    // Tests may end without stopping it.
    launcher.unref();
  }
  launcher.stdin?.write(`${JSON.stringify(request)}\n`);
}

/** A running `rungraph`. */
export class Program {
  /** Its exit code, negative after a signal. */
  readonly ended: Promise<number>;
  exitCode: number | null = null;
  private readonly started: Promise<number>;
  private readonly files: { stdout: string; stderr: string };

  /** Its output goes to files in the folder. */
  constructor(args: string[], folder: string, environment: Record<string, string | undefined>) {
    latest += 1;
    const id = latest;
    this.files = { stdout: join(folder, `${id}.out`), stderr: join(folder, `${id}.err`) };
    let start: (pid: number) => void;
    let end: (code: number) => void;
    this.started = new Promise((resolve) => (start = resolve));
    this.ended = new Promise((resolve) => (end = resolve));
    running.set(id, ({ pid, code }) => {
      if (pid !== undefined) start(pid);
      if (code === undefined) return;
      this.exitCode = code;
      running.delete(id);
      end(code);
    });
    launch({ id, arguments: args, environment, folder, ...this.files });
  }

  /** What it has printed. */
  output(): string {
    return readFileSync(this.files.stdout, "utf8");
  }

  /** What it has printed to standard error. */
  errors(): string {
    return readFileSync(this.files.stderr, "utf8");
  }

  /** Stops it by a signal, by SIGKILL if it does not stop. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const pid = await this.started;
    if (this.exitCode != null) return;
    process.kill(pid, signal);
    const force = setTimeout(() => process.kill(pid, "SIGKILL"), 15_000);
    await this.ended;
    clearTimeout(force);
  }
}
