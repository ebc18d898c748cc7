import { type Client, type SubscribePayload, TerminatedCloseEvent, createClient } from "graphql-ws";
import { Value } from "../ui/value";
import { Patience } from "./patience";

/** How the page stands with its server. */
export interface Connection {
  state: "connecting" | "live" | "lost";
  /** Since when, in milliseconds since 1970. */
  since: number;
}

interface Options {
  url: string;
  /** Milliseconds between two questions whether the server is still there. */
  beat?: number;
  /** Milliseconds that the server has to answer such a question. */
  answerWithin?: number;
  /** Whether there may be another try to connect; may take as long as it likes to say so. */
  admits?: () => Promise<boolean>;
  /** Hears that the server does not know who this is, or not any more. */
  onForbidden?: () => void;
  patience?: Patience;
  webSocketImpl?: unknown;
}

/** With this code the server closes on whoever shows nothing that is good. */
const FORBIDDEN = 4403;

const LONGEST_WAIT = 8_000;

/** How long to wait before trying again: longer each time, and by chance, so that not all come at once. */
export function waitBefore(retry: number): number {
  const longest = Math.min(LONGEST_WAIT, 250 * 2 ** Math.min(retry, 10));
  return longest / 2 + (Math.random() * longest) / 2;
}

/**
 * The one websocket of the page. It connects again whenever it is lost, and what is watched then goes on
 * by itself.
 */
export class Socket {
  readonly connection = new Value<Connection>({ state: "connecting", since: Date.now() });
  /** How long the server asked to wait. */
  readonly patience: Patience;
  private readonly client: Client;
  private answer: ReturnType<typeof setTimeout> | undefined;
  private wakers = new Set<() => void>();

  constructor(options: Options) {
    const { url, beat = 10_000, answerWithin = 5_000, webSocketImpl, onForbidden } = options;
    const admits = options.admits ?? (() => Promise.resolve(true));
    this.patience = options.patience ?? new Patience();
    this.client = createClient({
      url,
      webSocketImpl,
      // Always connected, also where nothing is watched: a page that lost its server says so.
      lazy: false,
      onNonLazyError: () => this.become("lost"),
      keepAlive: beat,
      retryAttempts: Infinity,
      retryWait: async (retry) => {
        do await this.wait(Math.max(waitBefore(retry++), this.patience.left));
        while (!(await admits()));
      },
      // A refused handshake may be a server that is just starting: always try again.
      shouldRetry: () => true,
      on: {
        connected: () => this.become("live"),
        closed: (event) => {
          clearTimeout(this.answer);
          if ((event as { code?: number }).code === FORBIDDEN) onForbidden?.();
          if (this.connection.get().state === "live") this.become("lost");
          // graphql-ws takes some codes for final, such as 1011 of a server that failed. None is, for a page.
          if (!(event instanceof TerminatedCloseEvent)) this.client.terminate();
        },
        error: () => this.become("lost"),
        // A cable that is pulled closes nothing: only silence tells.
        ping: (received) => {
          if (!received) this.answer = setTimeout(() => this.giveUp(), answerWithin);
        },
        pong: (received) => {
          if (received) clearTimeout(this.answer);
        },
      },
    });
    if (typeof window !== "undefined") {
      window.addEventListener("offline", () => this.giveUp());
      window.addEventListener("online", () => this.retryNow());
    }
  }

  /** Results of one operation, over reconnections, until the function that comes back is called. */
  subscribe(
    payload: SubscribePayload,
    sink: { next: (result: unknown) => void; error: (reason: unknown) => void; complete: () => void },
  ): () => void {
    return this.client.subscribe(payload, sink);
  }

  /** Do not wait any longer before the next try to connect. */
  retryNow(): void {
    for (const wake of [...this.wakers]) wake();
  }

  /** Let go of the connection, and come again when that is admitted. */
  giveUp(): void {
    this.become("lost");
    this.client.terminate();
  }

  /** Wait, unless somebody is in a hurry. */
  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.wakers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.wakers.add(wake);
    });
  }

  private become(state: Connection["state"]): void {
    if (this.connection.get().state !== state) this.connection.set({ state, since: Date.now() });
  }
}
