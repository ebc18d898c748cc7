import { stringifyDocument } from "urql";
import { graphql } from "../gql";
import type { ViewerOfQuery } from "../gql/graphql";
import { Value } from "../ui/value";
import { type Patience, retryAfter } from "./patience";

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

/** Who looks at the page, and what they may do. Where the server asks nobody, they have no identity. */
export type Viewer = ViewerOfQuery["viewer"];

/** What the server said of who it is: somebody, nobody that it knows, or nothing. */
export type Answer = Viewer | "unknown" | "silent";

/** Milliseconds between two looks whether it is still the same person. */
const LOOK_AGAIN = 2_000;

/**
 * Who is signed in, and whether they still are. Once they are not, nothing is asked of the server until
 * somebody is; and where that is somebody else, the page begins anew.
 */
export class Session {
  readonly viewer = new Value<Viewer | null>(null);
  readonly isOver = new Value(false);
  private checking: Promise<boolean> | null = null;
  private checkedAt = 0;

  /** `ask` finds who it is; `beginAnew` lets go of everything that the page holds. */
  constructor(
    private readonly ask: () => Promise<Answer>,
    private readonly beginAnew: () => void,
  ) {}

  /** The server does not know whoever this is, or not any more. */
  end(): void {
    this.isOver.set(true);
  }

  /** Ask who it is. False where the server said nothing of it. */
  check(): Promise<boolean> {
    this.checking ??= this.look().finally(() => {
      this.checking = null;
    });
    return this.checking;
  }

  /** Somebody came back to the page: they may have signed in elsewhere, or as somebody else. */
  lookAgain = (): void => {
    if (this.isOver.get() || (this.isKnown && Date.now() - this.checkedAt > LOOK_AGAIN)) void this.check();
  };

  /** Whether the server may be connected to again. Waits for as long as nobody is signed in. */
  async admits(): Promise<boolean> {
    if (!this.isOver.get() && !this.isKnown) return true;
    if (!(await this.check()) && !this.isOver.get()) return false;
    await this.whenIn();
    return true;
  }

  /** Comes back once somebody is signed in. */
  whenIn(): Promise<void> {
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

  private async look(): Promise<boolean> {
    const answer = await this.ask();
    if (answer === "silent") return false;
    this.checkedAt = Date.now();
    if (answer === "unknown") {
      this.end();
      return true;
    }
    const before = this.viewer.get();
    if (before && JSON.stringify(before) !== JSON.stringify(answer)) {
      this.beginAnew();
      // Nothing goes on here: what is on the page is another one's.
      return new Promise(() => undefined);
    }
    this.viewer.set(before ?? answer);
    this.isOver.set(false);
    return true;
  }
}

/** Ask the API at this address who it is. */
export async function askWho(url: string, patience: Patience): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ query: stringifyDocument(ViewerOf), operationName: "ViewerOf" }),
    });
    if (response.status === 401) return "unknown";
    if (response.status === 429) patience.pause(retryAfter(response.headers));
    const { data } = (await response.json()) as { data?: ViewerOfQuery | null };
    return data?.viewer ?? "silent";
  } catch {
    return "silent";
  }
}

/** The page to sign in with that leads back to this address; both are below `base`. */
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
