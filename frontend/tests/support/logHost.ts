import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Bytes of each line of a long log. */
const WIDTH = 100;

/** A log at an address. */
export interface HostedLog {
  size: () => number;
  /** Its bytes from a place to another one. */
  bytes: (from: number, to: number) => Buffer;
  hasRanges?: boolean;
}

/** A log that grows. */
export function growingLog(text: string): HostedLog & { append: (text: string) => void } {
  let content = Buffer.from(text);
  return {
    size: () => content.length,
    bytes: (from, to) => content.subarray(from, to),
    append: (text) => (content = Buffer.concat([content, Buffer.from(text)])),
  };
}

/** A log of so many lines, each made when it is read; `special` has those that are not like the others. */
export function longLog(lines: number, special: Record<number, string> = {}): HostedLog {
  const lineOf = (number: number): string =>
    (special[number] ?? `row ${number} of hay`).padEnd(WIDTH - 1, " ") + "\n";
  return {
    size: () => lines * WIDTH,
    bytes: (from, to) => {
      const first = Math.floor(from / WIDTH);
      const count = Math.ceil(to / WIDTH) - first;
      const text = Array.from({ length: count }, (_, at) => lineOf(first + at + 1)).join("");
      return Buffer.from(text).subarray(from - first * WIDTH, to - first * WIDTH);
    },
  };
}

/** A real HTTP server of logs, with ranges as S3 and servers of files have them. */
export class LogHost {
  readonly logs: Record<string, HostedLog> = {};
  /** The number of bytes of each answer. */
  readonly answers: number[] = [];
  private readonly server: Server = createServer((request, response) => this.answer(request, response));

  static async start(): Promise<LogHost> {
    const host = new LogHost();
    await new Promise<void>((resolve) => host.server.listen(0, "127.0.0.1", resolve));
    return host;
  }

  /** Its host name and port. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  urlOf(name: string): string {
    return `http://${this.address}/${name}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer({ url = "", headers }: IncomingMessage, response: ServerResponse): void {
    const log = this.logs[url.slice(1)];
    if (!log) {
      response.writeHead(404).end();
      return;
    }
    const size = log.size();
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    const [from, to] = [Number(first), last ? Math.min(size, Number(last) + 1) : size];
    if (headers.range === undefined || log.hasRanges === false) {
      response.writeHead(200, { "Content-Type": "text/html" }).end(log.bytes(0, size));
    } else if (from >= size) {
      response.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
    } else {
      this.answers.push(to - from);
      const range = { "Content-Range": `bytes ${from}-${to - 1}/${size}`, "Content-Length": to - from };
      response.writeHead(206, range).end(log.bytes(from, to));
    }
  }
}
