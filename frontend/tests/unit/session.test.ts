import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Answer, Session, type Viewer, readViewer, loginAddress } from "../../src/live/session";
import { RateLimitPause } from "../../src/live/rateLimitPause";

const somebody = (subject: string): Viewer => ({
  identity: { kind: "USER", subject, name: null, email: null },
  grants: [{ role: "VIEWER", project: "etl", domain: null }],
});
const ANYBODY: Viewer = { identity: null, grants: [{ role: "ADMIN", project: null, domain: null }] };

let answer: Answer;
let asked: number;
let begunAnew: number;
let session: Session;

beforeEach(() => {
  [answer, asked, begunAnew] = [somebody("user-1"), 0, 0];
  session = new Session(
    () => {
      asked += 1;
      return Promise.resolve(answer);
    },
    () => {
      begunAnew += 1;
    },
  );
});

/** Whether it is settled by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const pending = {};
  await new Promise((resolve) => setTimeout(resolve, 0));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

describe("who it is", () => {
  test("is asked once by all who want to know at the same time", async () => {
    expect(await Promise.all([session.check(), session.check()])).toEqual([true, true]);
    expect([asked, session.viewer.get()]).toEqual([1, somebody("user-1")]);
  });

  test("stays the same object while it is the same person, so that nothing is drawn again", async () => {
    await session.check();
    const before = session.viewer.get();
    answer = somebody("user-1");
    await session.check();
    expect(session.viewer.get()).toBe(before);
    expect(begunAnew).toBe(0);
  });

  test("a server that says nothing changes nothing", async () => {
    answer = "silent";
    expect(await session.check()).toBe(false);
    expect([session.viewer.get(), session.isOver.get()]).toEqual([null, false]);
  });
});

describe("whether to connect again", () => {
  test("where nobody is asked who they are it may be done at once, and nothing is asked", async () => {
    answer = ANYBODY;
    await session.check();
    expect(await session.mayConnect()).toBe(true);
    expect(asked).toBe(1);
  });

  test("it waits while nobody is signed in, asks nothing meanwhile, and goes on once somebody is", async () => {
    await session.check();
    session.end();
    answer = "unknown";
    const admitted = session.mayConnect();
    expect(await isDone(admitted)).toBe(false);
    expect(asked).toBe(2);
    answer = somebody("user-1");
    session.recheck();
    expect(await admitted).toBe(true);
    expect([session.isOver.get(), begunAnew]).toEqual([false, 0]);
  });

  test("a session that was only said to be over goes on where the server still knows it", async () => {
    await session.check();
    session.end();
    expect(await session.mayConnect()).toBe(true);
    expect(session.isOver.get()).toBe(false);
  });

  test("it may not while the server is away, and then may be tried again", async () => {
    await session.check();
    answer = "silent";
    expect(await session.mayConnect()).toBe(false);
    answer = somebody("user-1");
    expect(await session.mayConnect()).toBe(true);
  });

  test("for somebody else, or with other roles, it may not: the page begins anew", async () => {
    for (const other of [somebody("user-2"), { ...somebody("user-1"), grants: [] }, ANYBODY]) {
      session = new Session(
        () => Promise.resolve(answer),
        () => (begunAnew += 1),
      );
      [answer, begunAnew] = [somebody("user-1"), 0];
      await session.check();
      session.end();
      answer = other;
      expect(await isDone(session.mayConnect())).toBe(false);
      expect([begunAnew, session.isOver.get(), session.viewer.get()]).toEqual([1, true, somebody("user-1")]);
    }
  });
});

describe("who comes back to the page", () => {
  test("is asked for again, but not each time", async () => {
    vi.useFakeTimers();
    await session.check();
    session.recheck();
    expect(asked).toBe(1);
    vi.advanceTimersByTime(2_001);
    session.recheck();
    expect(asked).toBe(2);
    vi.useRealTimers();
  });

  test("is not asked for where the server asks nobody", async () => {
    vi.useFakeTimers();
    answer = ANYBODY;
    await session.check();
    vi.advanceTimersByTime(60_000);
    session.recheck();
    expect(asked).toBe(1);
    vi.useRealTimers();
  });
});

describe("what the server answers", () => {
  const pause = new RateLimitPause();
  const answered = (status: number, body: string): Promise<Answer> => {
    vi.stubGlobal("fetch", () =>
      Promise.resolve(new Response(body, { status, headers: { "Retry-After": "9" } })),
    );
    return readViewer("http://runs.example.com/graphql", pause).finally(() => vi.unstubAllGlobals());
  };

  test("a viewer, nobody that it knows, or nothing", async () => {
    expect(await answered(200, JSON.stringify({ data: { viewer: ANYBODY } }))).toEqual(ANYBODY);
    expect(await answered(401, "{}")).toBe("unknown");
    for (const body of ["", "{}", '{"data": null}', "<html>"])
      expect(await answered(503, body)).toBe("silent");
    expect(pause.remaining).toBe(0);
  });

  test("that it is asked too often: then it is left alone for as long as it says", async () => {
    expect(await answered(429, "{}")).toBe("silent");
    expect(pause.remaining).toBeGreaterThan(8_000);
  });
});

describe("the page to sign in with", () => {
  const base = "https://example.com/team/rungraph/";

  test.each([
    [
      "https://example.com/team/rungraph/runs/a~1b/d/n?view=timeline&q=%C3%A4",
      "runs/a~1b/d/n?view=timeline&q=%C3%A4",
    ],
    ["https://example.com/team/rungraph/", null],
    ["https://example.com/elsewhere/runs", null],
    ["https://example.org/team/rungraph/runs", null],
  ])("from %s leads back to %s", (address, back) => {
    const login = new URL(loginAddress(base, address));
    expect(login.pathname).toBe("/team/rungraph/login");
    expect(login.searchParams.get("return_to")).toBe(back);
  });
});
