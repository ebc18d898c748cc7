import { retryAfter } from "./patience";

/** What went wrong, in words for a person and with the API's code for it. */
export interface Problem {
  message: string;
  /** `extensions.code`, or NETWORK where the server was not reached. */
  code: string;
  /** Under which id the server's log has more. */
  id?: string | undefined;
  /** Seconds that the server asks to wait before the next try. */
  retryAfter?: number | undefined;
}

interface GraphQLErrorLike {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

function fromGraphQL({ message, extensions = {} }: GraphQLErrorLike): Problem {
  const { id, retryAfter } = extensions;
  const code = typeof extensions.code === "string" ? extensions.code : "INTERNAL_SERVER_ERROR";
  return {
    message: WORDS[code]?.(message) ?? message,
    code,
    id: typeof id === "string" ? id : undefined,
    retryAfter: typeof retryAfter === "number" ? retryAfter : undefined,
  };
}

/** What the server says to programs, as a person is told it. */
const WORDS: Record<string, (message: string) => string> = {
  FORBIDDEN: (message) =>
    `This is not allowed: ${sentence(message)} Whoever runs this server can give you a role for it.`,
  UNAUTHENTICATED: () => "You are signed out. Sign in, and do it again.",
  TIMEOUT: (message) => sentence(message.charAt(0).toUpperCase() + message.slice(1)),
};

const sentence = (text: string): string => (text.endsWith(".") ? text : `${text}.`);

/** The problem behind whatever urql or graphql-ws reported. */
export function problemOf(reason: unknown): Problem {
  if (Array.isArray(reason) && reason.length > 0) return fromGraphQL(reason[0] as GraphQLErrorLike);
  if (reason && typeof reason === "object") {
    const { networkError, graphQLErrors, response } = reason as {
      networkError?: Error;
      graphQLErrors?: GraphQLErrorLike[];
      response?: Response;
    };
    if (graphQLErrors?.[0]) {
      const problem = fromGraphQL(graphQLErrors[0]);
      return response?.status === 429 ? { ...problem, retryAfter: retryAfter(response.headers) } : problem;
    }
    if (networkError) return { message: "The server cannot be reached.", code: "NETWORK" };
    if ("extensions" in reason && "message" in reason) return fromGraphQL(reason as GraphQLErrorLike);
    if (reason instanceof Error) return { message: reason.message, code: "NETWORK" };
  }
  return { message: "The connection to the server was lost.", code: "NETWORK" };
}

/** Whether trying the same again may help. */
export function mayPass(problem: Problem): boolean {
  return [
    "NETWORK",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_SERVER_ERROR",
    "RATE_LIMITED",
    "TIMEOUT",
    // Once they have signed in again.
    "UNAUTHENTICATED",
  ].includes(problem.code);
}
