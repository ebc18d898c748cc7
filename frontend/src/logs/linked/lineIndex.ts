import { plainText } from "../ansi";
import { guessLevel } from "../levels";

/** Every so many lines their place is noted. */
export const STEP = 100;
/** A longer line, in bytes, continues as the next one. */
export const MAX_LINE = 16_384;
/** Bytes of a line in which its level is looked for. */
const HEAD = 400;

const NEWLINE = 10;

/** The lines in some bytes: where each begins, where it ends, and where the next one begins. */
export function* linesIn(
  bytes: Uint8Array,
  isLast: boolean,
): Generator<readonly [from: number, to: number, next: number]> {
  for (let from = 0; from < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, from);
    const to = newline < 0 ? bytes.length : newline;
    let next = newline < 0 ? to : to + 1;
    if (to - from > MAX_LINE) {
      next = from + MAX_LINE;
      // Not within a character.
      while (((bytes[next] ?? 0) & 0xc0) === 0x80 && next > from + MAX_LINE - 4) next -= 1;
    } else if (newline < 0 && !isLast) return;
    yield [from, Math.min(to, next), next];
    from = next;
  }
}

const decoder = new TextDecoder();

/** The text of a line. */
export const decode = (bytes: Uint8Array): string => decoder.decode(bytes);

const ERRORS: readonly unknown[] = ["ERROR", "CRITICAL"];

/** Where the lines of a text are, as far as it has been read: a number for every hundred of them. */
export class LineIndex {
  /** The number of the last known line. */
  lineCount = 0;
  /** The number of the first line that looks like an error. */
  firstError: number | null = null;
  /** The place in bytes after the last known line. */
  end = 0;
  private readonly starts = [0];

  /** Adds the lines in the bytes that begin at `end`; one without an end only if the bytes are the last ones. */
  add(bytes: Uint8Array, isLast: boolean): void {
    const start = this.end;
    for (const [from, to, next] of linesIn(bytes, isLast)) {
      this.lineCount += 1;
      this.end = start + next;
      if (this.lineCount % STEP === 0) this.starts.push(this.end);
      if (this.firstError === null) {
        const head = decode(bytes.subarray(from, Math.min(to, from + HEAD)));
        if (ERRORS.includes(guessLevel(plainText(head)))) this.firstError = this.lineCount;
      }
    }
  }

  /**
   * The bytes of whole hundreds of lines with the lines from `first` to `last`, and the number of the first of them.
   * If they are more than `most`, they begin or end in time.
   */
  placeOf(
    first: number,
    last: number,
    most: number,
    keepsEnd: boolean,
  ): { from: number; to: number; number: number } {
    let [low, high] = [Math.floor((first - 1) / STEP), Math.ceil(last / STEP)];
    const at = (step: number): number => this.starts[step] ?? this.end;
    while (high - low > 1 && at(high) - at(low) > most) {
      if (keepsEnd) low += 1;
      else high -= 1;
    }
    return { from: at(low), to: at(high), number: low * STEP + 1 };
  }
}
