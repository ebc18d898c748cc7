import { useCallback, useEffect, useState } from "react";
import type { Problem } from "../live/errors";

interface Loaded<T> {
  of: string;
  value?: T;
  problem?: Problem;
}

/** Loads a file and reads it; the same function reads each time. */
export function useContent<T>(url: string, read: (response: Response) => Promise<T>) {
  const [loaded, setLoaded] = useState<Loaded<T> | null>(null);
  const [attempt, setAttempt] = useState(0);
  const key = `${attempt} ${url}`;
  useEffect(() => {
    const leaving = new AbortController();
    const load = async (): Promise<Loaded<T>> => {
      try {
        const response = await fetch(url, { signal: leaving.signal });
        if (!response.ok) return { of: key, problem: refused(response.status) };
        return { of: key, value: await read(response) };
      } catch (reason) {
        const message = reason instanceof Error ? reason.message : String(reason);
        return { of: key, problem: { code: "UNREADABLE", message } };
      }
    };
    void load().then((result) => {
      if (!leaving.signal.aborted) setLoaded(result);
    });
    return () => leaving.abort();
  }, [url, key, read]);
  const retry = useCallback(() => setAttempt((before) => before + 1), []);
  return { ...(loaded?.of === key ? loaded : null), retry };
}

function refused(status: number): Problem {
  const message =
    status === 403 || status === 410
      ? "The address of the file has expired. Open the action again."
      : status === 404
        ? "The file does not exist any more."
        : `The server answered ${status}.`;
  return { code: `HTTP ${status}`, message };
}

export const readText = (response: Response): Promise<string> => response.text();
