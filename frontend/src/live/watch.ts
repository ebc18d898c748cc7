import type { SubscribePayload } from "graphql-ws";
import { type Socket, waitBefore } from "./connection";
import { type Problem, mayPass, problemOf } from "./errors";

/** What `watch` reports. */
export interface Watcher<Data> {
  next(data: Data): void;
  /** It does not go on, and trying again would not help. */
  failed(problem: Problem): void;
  /** It came to an error that may pass, and is tried again by itself. */
  interrupted?(problem: Problem): void;
  ended?(): void;
}

/**
 * Watch a subscription until the function that comes back is called: over lost connections, restarts of
 * the server, and errors that pass.
 *
 * `payload` is read anew for each try, so that its variables can say behind which frame to go on.
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
    if (!mayPass(problem)) {
      over = true;
      watcher.failed(problem);
      return;
    }
    watcher.interrupted?.(problem);
    if (problem.retryAfter !== undefined) socket.patience.pause(problem.retryAfter);
    timer = setTimeout(begin, Math.max(waitBefore(failures++), socket.patience.left));
  };

  const begin = (): void => {
    let answered = false;
    // graphql-ws writes the payload out at each connection: what it reads then is the newest.
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
