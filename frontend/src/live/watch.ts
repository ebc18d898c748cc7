import type { SubscribePayload } from "graphql-ws";
import { type Socket, backoff } from "./connection";
import { type Problem, isTransient, problemOf } from "./errors";

/** What `watch` reports. */
export interface Watcher<Data> {
  next(data: Data): void;
  /** The stream ended with a permanent error. */
  failed(problem: Problem): void;
  /** A transient error; it is retried automatically. */
  interrupted?(problem: Problem): void;
  ended?(): void;
}

/**
 * Subscribes until the returned function is called: across lost connections, restarts of the server and
 * transient errors. `payload` is evaluated for each attempt, so that its variables contain the newest cursor.
 */
export function watch<Data>(
  socket: Socket,
  payload: () => SubscribePayload,
  watcher: Watcher<Data>,
): () => void {
  let stop: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  let failures = 0;

  const again = (problem: Problem): void => {
    if (over) return;
    if (!isTransient(problem)) {
      over = true;
      watcher.failed(problem);
      return;
    }
    watcher.interrupted?.(problem);
    if (problem.retryAfter !== undefined) socket.pause.start(problem.retryAfter);
    timer = setTimeout(begin, Math.max(backoff(failures++), socket.pause.remaining));
  };

  const begin = (): void => {
    let answered = false;
    // graphql-ws serialises the payload at each connection, so it always reads the newest cursor.
    const live: SubscribePayload = {
      ...payload(),
      get variables() {
        return payload().variables;
      },
    };
    stop = socket.subscribe(live, {
      next(result) {
        if (over) return;
        const { data, errors } = result as { data?: Data | null; errors?: unknown[] };
        if (errors?.length || !data) {
          answered = true;
          stop?.();
          again(problemOf(errors ?? []));
          return;
        }
        failures = 0;
        watcher.next(data);
      },
      error(reason) {
        if (!answered) again(problemOf(reason));
      },
      complete() {
        if (over || answered) return;
        over = true;
        watcher.ended?.();
      },
    });
  };

  begin();
  return () => {
    over = true;
    clearTimeout(timer);
    stop?.();
  };
}
