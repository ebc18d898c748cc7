import { retryAfter } from "./rateLimitPause";

/** An error with a readable message and the API's code. */
export interface Problem {
  message: string;
  /** `extensions.code`, or NETWORK if the server was not reached. */
  code: string;
  /** The id under which the server logged it. */
  id?: string | undefined;
  /** Seconds to wait before retrying, from the server. */
  retryAfter?: number | undefined;
}

/** A problem that is thrown. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message);
  }
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

/** Readable messages for the API's codes. */
const WORDS: Record<string, (message: string) => string> = {
  FORBIDDEN: (message) =>
    `This is not allowed: ${sentence(message)} The administrator of this server can give you a role for it.`,
  UNAUTHENTICATED: () => "You are signed out. Sign in and try again.",
  TIMEOUT: (message) => sentence(message.charAt(0).toUpperCase() + message.slice(1)),
};

const sentence = (text: string): string => (text.endsWith(".") ? text : `${text}.`);

/** Converts an error of urql or graphql-ws. */
export function problemOf(reason: unknown): Problem {
  if (reason instanceof ProblemError) return reason.problem;
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

/** Whether retrying may help. */
export function isTransient(problem: Problem): boolean {
  return [
    "NETWORK",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_SERVER_ERROR",
    "RATE_LIMITED",
    "TIMEOUT",
    // After signing in again.
    "UNAUTHENTICATED",
  ].includes(problem.code);
}
