import { type Client, type SubscribePayload, TerminatedCloseEvent, createClient } from "graphql-ws";
import { Value } from "../ui/value";
import { RateLimitPause } from "./rateLimitPause";

/** The state of the connection. */
export interface Connection {
  state: "connecting" | "live" | "lost";
  /** Since when, in milliseconds since 1970. */
  since: number;
}

interface Options {
  url: string;
  /** Ping interval in milliseconds. */
  pingInterval?: number;
  /** Pong timeout in milliseconds. */
  pongTimeout?: number;
  /** Resolves when another attempt to connect is allowed; may wait indefinitely. */
  mayConnect?: () => Promise<boolean>;
  /** Called when the server rejects the credentials. */
  onForbidden?: () => void;
  pause?: RateLimitPause;
  webSocketImpl?: unknown;
}

/** The close code for invalid credentials. */
const FORBIDDEN = 4403;

const MAX_BACKOFF = 8_000;

/** Exponential backoff with jitter, in milliseconds. */
export function backoff(retry: number): number {
  const longest = Math.min(MAX_BACKOFF, 250 * 2 ** Math.min(retry, 10));
  return longest / 2 + (Math.random() * longest) / 2;
}

/** The single websocket of the page. It reconnects when it is lost, and subscriptions resume. */
export class Socket {
  readonly connection = new Value<Connection>({ state: "connecting", since: Date.now() });
  /** The pause that the server requested. */
  readonly pause: RateLimitPause;
  private readonly client: Client;
  private answer: ReturnType<typeof setTimeout> | undefined;
  private wakers = new Set<() => void>();

  constructor(options: Options) {
    const { url, pingInterval = 10_000, pongTimeout = 5_000, webSocketImpl, onForbidden } = options;
    const mayConnect = options.mayConnect ?? (() => Promise.resolve(true));
    this.pause = options.pause ?? new RateLimitPause();
    this.client = createClient({
      url,
      webSocketImpl,
      // Connected even without subscriptions, so that the page notices a lost server.
      lazy: false,
      onNonLazyError: () => this.become("lost"),
      keepAlive: pingInterval,
      retryAttempts: Infinity,
      retryWait: async (retry) => {
        do await this.wait(Math.max(backoff(retry++), this.pause.remaining));
        while (!(await mayConnect()));
      },
      // A refused handshake may be a server that is starting: always retry.
      shouldRetry: () => true,
      on: {
        connected: () => this.become("live"),
        closed: (event) => {
          clearTimeout(this.answer);
          if ((event as { code?: number }).code === FORBIDDEN) onForbidden?.();
          if (this.connection.get().state === "live") this.become("lost");
          // graphql-ws treats some close codes as fatal, such as 1011. For a page none is.
          if (!(event instanceof TerminatedCloseEvent)) this.client.terminate();
        },
        error: () => this.become("lost"),
        // An unplugged cable closes nothing; only a missing pong reveals it.
        ping: (received) => {
          if (!received) this.answer = setTimeout(() => this.disconnect(), pongTimeout);
        },
        pong: (received) => {
          if (received) clearTimeout(this.answer);
        },
      },
    });
    if (typeof window !== "undefined") {
      window.addEventListener("offline", () => this.disconnect());
      window.addEventListener("online", () => this.retryNow());
    }
  }

  /** Results of one operation, across reconnections, until the returned function is called. */
  subscribe(
    payload: SubscribePayload,
    sink: { next: (result: unknown) => void; error: (reason: unknown) => void; complete: () => void },
  ): () => void {
    return this.client.subscribe(payload, sink);
  }

  /** Skips the remaining backoff. */
  retryNow(): void {
    for (const wake of [...this.wakers]) wake();
  }

  /** Closes the connection and reconnects when allowed. */
  disconnect(): void {
    this.become("lost");
    this.client.terminate();
  }

  /** Waits, unless the backoff is skipped. */
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
