import { type FragmentType, readFragment } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { type Api, readDocument, watchDocument } from "../live/api";
import { LogLineFragment, LogLinesOf, WatchLogLines } from "./documents";
import type { Line } from "./lines";
import type { LogSource } from "./log";

const linesOf = (lines: readonly FragmentType<typeof LogLineFragment>[]): readonly Line[] =>
  readFragment(LogLineFragment, lines);

/** The log that the server keeps of an attempt. Lines are too many for urql's cache, and bypass it. */
export function storedLog(api: Api, action: ActionIdentifierInput, attempt: number): LogSource {
  return {
    read: async ({ after, first, before, last }, { stream, levels }, search) => {
      const { logLines } = await readDocument(api, LogLinesOf, {
        action,
        attempt,
        stream,
        levels: levels.length ? [...levels] : undefined,
        search,
        after,
        first,
        before,
        last,
      });
      return { ...logLines, lines: linesOf(logLines.lines), firstError: logLines.firstError ?? null };
    },
    follow: (after, watcher) => {
      let newest = after;
      return watchDocument(api, WatchLogLines, () => ({ action, attempt, after: newest }), {
        next: ({ logLines: { lines, end, lineCount, firstError, omitted } }) => {
          newest = end;
          watcher.next({ lines: linesOf(lines), lineCount, firstError: firstError ?? null, omitted });
        },
        failed: watcher.failed,
      });
    },
  };
}
