import { plainText } from "./ansi";
import type { Log } from "./log";

/** The whole log as text without colours, with notes where lines are missing; null if it was interrupted. */
export async function textOf(
  log: Log,
  { most = Infinity, isWanted = () => true, onProgress }: Options = {},
): Promise<string[] | null> {
  const parts: string[] = [];
  let length = 0;
  let next = 1;
  const noted = new Set<number>();
  for await (const { lines, omitted } of log.all(isWanted)) {
    const text: string[] = [];
    for (const { number, text: raw } of lines) {
      for (const { first, last } of omitted) {
        if (first >= next && last < number && !noted.has(first)) {
          noted.add(first);
          text.push(`[${(last - first + 1).toLocaleString("en")} lines are missing here]\n`);
        }
      }
      text.push(plainText(raw), "\n");
      next = number + 1;
    }
    const part = text.join("");
    length += part.length;
    if (length > most) return null;
    parts.push(part);
    onProgress?.(next - 1);
  }
  return isWanted() ? parts : null;
}

interface Options {
  /** The largest length in characters. */
  most?: number;
  isWanted?: () => boolean;
  /** Called with the number of the last line so far. */
  onProgress?: (number: number) => void;
}

/** Offers a file to the browser. */
export function saveAs(name: string, parts: readonly BlobPart[], type: string): void {
  const url = URL.createObjectURL(new Blob([...parts], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
