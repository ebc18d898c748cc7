import type { ActionIdentifierInput } from "../../gql/graphql";
import type { Api } from "../../live/api";
import { ProblemError, problemOf } from "../../live/errors";
import { retryAfter } from "../../live/rateLimitPause";
import { formatBytes } from "../../ui/bytes";
import type { ReadBytes } from "./linkedLog";

/** The largest log in bytes that is read whole, if its server gives no ranges. */
const MOST_WHOLE = 32 * 1024 * 1024;

/** Where the server reads a linked log. */
export function linkedAddress(
  base: string,
  { project, domain, runName, name }: ActionIdentifierInput,
  attempt: number,
  link: string,
): string {
  const query = new URLSearchParams({ project, domain, runName, name, attempt: String(attempt), link });
  return new URL(`log-links?${query.toString()}`, base).href;
}

/** Reads ranges of a linked log through the server. Rejects with a `ProblemError`. */
export function readLinked(api: Api, address: string, signal: AbortSignal): ReadBytes {
  let whole: Uint8Array | null = null;
  return async (from, to) => {
    if (whole) return { bytes: whole.subarray(from, to), total: whole.length };
    const response = await request(api, address, `bytes=${from}-${to - 1}`, signal);
    const total = Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? 0);
    // There is nothing from that place on.
    if (response.status === 416) return { bytes: new Uint8Array(), total };
    if (!response.ok) throw new ProblemError(await refusalIn(response));
    if (response.status === 206) return { bytes: await complete(response), total };
    whole = await reached(readWhole(response));
    return { bytes: whole.subarray(from, to), total: whole.length };
  };
}

async function request(api: Api, address: string, range: string, signal: AbortSignal): Promise<Response> {
  for (;;) {
    await api.session.whenSignedIn();
    await api.pause.wait();
    const response = await reached(fetch(address, { headers: { Range: range }, signal }));
    if (response.status === 429) api.pause.start(retryAfter(response.headers));
    else if (response.status === 401) api.session.end();
    else return response;
  }
}

/** The result, with an error that a person understands. */
async function reached<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (reason) {
    if (reason instanceof ProblemError) throw reason;
    throw new ProblemError({ code: "NETWORK", message: "The log could not be read to its end: try again." });
  }
}

const complete = async (response: Response): Promise<Uint8Array> =>
  new Uint8Array(await reached(response.arrayBuffer()));

/** The log of a server without ranges, unless it is too long to be kept. */
async function readWhole(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    parts.push(part.value);
    size += part.value.length;
    if (size <= MOST_WHOLE) continue;
    void reader?.cancel();
    throw new ProblemError(tooLong(`more than ${formatBytes(MOST_WHOLE)}`));
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const tooLong = (size: string) => ({
  code: "PAYLOAD_TOO_LARGE",
  message: `The log has ${size}, and its server gives no parts of it. Open the link itself.`,
});

async function refusalIn(response: Response) {
  const { errors } = (await response.json().catch(() => ({}))) as { errors?: unknown[] };
  if (!errors?.length) {
    return { code: `HTTP ${response.status}`, message: `The server answered ${response.status}.` };
  }
  const problem = problemOf(errors);
  return problem.code === "PAYLOAD_TOO_LARGE" ? tooLong("too many bytes") : problem;
}
