import type { Level } from "./levels";

/** A line of a log. */
export interface Line {
  /** 1, 2, … in an attempt, over its streams. */
  number: number;
  stream: string;
  at: string;
  level: Level | null;
  text: string;
}

/** Numbers of lines that the server did not keep, both included. */
export interface Gap {
  first: number;
  last: number;
}

/** Which lines are shown: of one stream, of these levels; empty means all. */
export interface LogFilter {
  stream: string | undefined;
  levels: readonly Level[];
}

export const isFiltered = ({ stream, levels }: LogFilter): boolean =>
  stream !== undefined || levels.length > 0;

/** Whether a line is shown. */
export function matches(line: Line, { stream, levels }: LogFilter): boolean {
  return (
    (stream === undefined || line.stream === stream) &&
    (!levels.length || (line.level !== null && levels.includes(line.level)))
  );
}

/** What of a log is read: `first` lines after a number, or `last` lines before one. */
export type Range =
  | { after?: number; first: number; before?: undefined; last?: undefined }
  | { before?: number; last: number; after?: undefined; first?: undefined };

export interface Page {
  lines: readonly Line[];
  /** The numbers that the page covers, both included. */
  start: number;
  end: number;
  /** The number of the attempt's last line, whatever the filter. */
  lineCount: number;
  /** The middle if it was too long, and other gaps within the page. */
  omitted: readonly Gap[];
  /** The number of the first line that is an error. */
  firstError: number | null;
  /** Whether there are further lines in the direction of reading. */
  hasMore: boolean;
}

/** Reads lines from the server. */
export type ReadLog = (range: Range, filter: LogFilter, search?: string) => Promise<Page>;

/** Lines that are rendered together. */
export interface Block {
  /** Stable while lines are added at its end. */
  key: string;
  first: number;
  last: number;
  /** How many lines it has. */
  count: number;
  kind: "lines" | "omitted";
}

/** What the list shows: blocks, whose lines may not be loaded yet. */
export interface LogLines {
  readonly blocks: readonly Block[];
  /** The lines of a block as far as they are loaded; null if none is. */
  linesOf(block: Block): readonly Line[] | null;
  /** These blocks, by index, are visible: loads what is missing. */
  show(from: number, to: number): void;
  /** Makes a line available; returns the block that has it, or -1. */
  reveal(number: number): Promise<number>;
  /** Makes the newest lines available. */
  revealEnd(): Promise<void>;
  /** New lines at the end. */
  append(lines: readonly Line[]): void;
  /** Whether earlier, or later, lines are not in `blocks` yet. */
  readonly hasBefore: boolean;
  readonly hasAfter: boolean;
  /** The number up to which lines need not be followed. */
  readonly end: number;
}

/** The index of the block with a number, by bisection; the next block if none has it, or -1. */
export function blockAt(blocks: readonly Block[], number: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((blocks[middle]?.last ?? Infinity) < number) low = middle + 1;
    else high = middle;
  }
  return low < blocks.length ? low : -1;
}

/** Gaps in order; those that touch are one. */
export function mergeGaps(gaps: readonly Gap[]): Gap[] {
  const merged: Gap[] = [];
  for (const { first, last } of [...gaps].sort((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (before && first <= before.last + 1) before.last = Math.max(before.last, last);
    else merged.push({ first, last });
  }
  return merged;
}
