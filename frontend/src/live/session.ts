import { stringifyDocument } from "urql";
import { graphql } from "../gql";
import type { ViewerOfQuery } from "../gql/graphql";
import { Value } from "../ui/value";
import { type RateLimitPause, retryAfter } from "./rateLimitPause";

const ViewerOf = graphql(`
  query ViewerOf {
    viewer {
      identity {
        kind
        subject
        name
        email
      }
      grants {
        role
        project
        domain
      }
    }
  }
`);

/** The signed-in caller and its roles. Without authentication there is no identity. */
export type Viewer = ViewerOfQuery["viewer"];
export type Identity = NonNullable<Viewer["identity"]>;

/** The display name of a caller. */
export const nameOf = ({ name, email, subject }: Identity): string => name ?? email ?? subject;

/** The server's answer: a caller, unauthenticated, or no answer. */
export type Answer = Viewer | "unknown" | "silent";

/** Minimum milliseconds between two session checks. */
const RECHECK_AFTER = 2_000;

/**
 * The session. After signing out, no request is sent until a caller signs in again; if it is a different one,
 * the page reloads.
 */
export class Session {
  readonly viewer = new Value<Viewer | null>(null);
  readonly isOver = new Value(false);
  private checking: Promise<boolean> | null = null;
  private checkedAt = 0;

  /** `readViewer` asks the server; `reload` reloads the page. */
  constructor(
    private readonly readViewer: () => Promise<Answer>,
    private readonly reload: () => void,
  ) {}

  /** The server rejected the credentials. */
  end(): void {
    this.isOver.set(true);
  }

  /** Checks the session. False if the server did not answer. */
  check(): Promise<boolean> {
    this.checking ??= this.ask().finally(() => {
      this.checking = null;
    });
    return this.checking;
  }

  /** The window became visible: the user may have signed in elsewhere, or as someone else. */
  recheck = (): void => {
    if (this.isOver.get() || (this.isKnown && Date.now() - this.checkedAt > RECHECK_AFTER)) void this.check();
  };

  /** Resolves when reconnecting is allowed; waits while signed out. */
  async mayConnect(): Promise<boolean> {
    if (!this.isOver.get() && !this.isKnown) return true;
    if (!(await this.check()) && !this.isOver.get()) return false;
    await this.whenSignedIn();
    return true;
  }

  /** Resolves when signed in. */
  whenSignedIn(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.isOver.get()) {
        resolve();
        return;
      }
      const stop = this.isOver.listen(() => {
        stop();
        resolve();
      });
    });
  }

  private get isKnown(): boolean {
    return !!this.viewer.get()?.identity;
  }

  private async ask(): Promise<boolean> {
    const answer = await this.readViewer();
    if (answer === "silent") return false;
    this.checkedAt = Date.now();
    if (answer === "unknown") {
      this.end();
      return true;
    }
    const before = this.viewer.get();
    if (before && JSON.stringify(before) !== JSON.stringify(answer)) {
      this.reload();
      // Stops here: the page shows another caller's data.
      return new Promise(() => undefined);
    }
    this.viewer.set(before ?? answer);
    this.isOver.set(false);
    return true;
  }
}

/** Reads the viewer from the API at this URL. */
export async function readViewer(url: string, pause: RateLimitPause): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ query: stringifyDocument(ViewerOf), operationName: "ViewerOf" }),
    });
    if (response.status === 401) return "unknown";
    if (response.status === 429) pause.start(retryAfter(response.headers));
    const { data } = (await response.json()) as { data?: ViewerOfQuery | null };
    return data?.viewer ?? "silent";
  } catch {
    return "silent";
  }
}

/** The sign-in page with this URL as return URL; both are below `base`. */
export function loginAddress(base: string, address: string): string {
  const { origin, pathname, search } = new URL(address);
  const login = new URL("login", base);
  const root = new URL(base);
  if (origin === root.origin && pathname.startsWith(root.pathname)) {
    const back = pathname.slice(root.pathname.length) + search;
    if (back) login.searchParams.set("return_to", back);
  }
  return login.href;
}
