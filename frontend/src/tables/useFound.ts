import { useEffect, useMemo } from "react";
import { useQuery } from "urql";
import type { RunName } from "../live/paths";
import { FoundColumns } from "./documents";
import type { Found } from "./found";

/** How often columns are searched in a run in progress, in milliseconds. */
const EVERY = 15_000;

const NONE: readonly Found[] = [];

/** The columns that some actions of a run have values in. */
export function useFound(run: RunName, of: string | undefined, isLive: boolean) {
  const variables = useMemo(() => {
    const filter = of?.startsWith("group:")
      ? { group: of.slice(6) }
      : of?.startsWith("parent:")
        ? { parentName: of.slice(7) }
        : null;
    return { run, filter };
  }, [run, of]);
  const [{ data, error }, reload] = useQuery({ query: FoundColumns, variables });
  useEffect(() => {
    if (!isLive) return;
    const timer = setInterval(() => reload({ requestPolicy: "network-only" }), EVERY);
    return () => clearInterval(timer);
  }, [isLive, reload]);
  return { found: data?.actionColumns.columns ?? NONE, error: data ? undefined : error };
}
