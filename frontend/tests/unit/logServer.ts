import { type Gap, type Line, type LogFilter, type Page, type Range, matches } from "../../src/logs/lines";

/** A log as a server keeps it, for tests. */
export class LogServer {
  lines: Line[] = [];
  omitted: Gap[] = [];
  readonly requests: string[] = [];
  failure: Error | null = null;

  constructor(count: number, omitted: Gap[] = []) {
    this.write(count);
    this.omitted = omitted;
  }

  /** Writes lines: each tenth is an error, each second of the stream stderr. */
  write(count: number): Line[] {
    const before = this.lines.length;
    const added = Array.from({ length: count }, (_, at) => lineOf(before + at + 1));
    this.lines.push(...added);
    return added;
  }

  read = (range: Range, filter: LogFilter): Promise<Page> => {
    this.requests.push(
      range.first === undefined
        ? `${range.last} before ${range.before ?? "end"}`
        : `${range.first} after ${range.after ?? 0}`,
    );
    if (this.failure) return Promise.reject(this.failure);
    const kept = this.lines.filter(
      (line) =>
        matches(line, filter) &&
        !this.omitted.some(({ first, last }) => line.number >= first && line.number <= last),
    );
    const { after = 0, before = Infinity } = range;
    const fits = kept.filter(({ number }) => number > after && number < before);
    const lines = range.first === undefined ? fits.slice(-range.last) : fits.slice(0, range.first);
    return Promise.resolve({
      lines,
      start: range.first === undefined ? (lines[0]?.number ?? 1) : after + 1,
      end:
        range.first === undefined
          ? Math.min(before - 1, this.lines.length)
          : lines.length < fits.length
            ? (lines.at(-1)?.number ?? 0)
            : this.lines.length,
      lineCount: this.lines.length,
      omitted: this.omitted,
      firstError: kept.find(({ level }) => level === "ERROR")?.number ?? null,
      hasMore: lines.length < fits.length,
    });
  };
}

export const lineOf = (number: number): Line => ({
  number,
  stream: number % 2 ? "stdout" : "stderr",
  at: "2026-01-01T00:00:00Z",
  level: number % 10 ? null : "ERROR",
  text: `line ${number}`,
});
