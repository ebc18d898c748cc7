/** What went wrong, in words for a person and with the API's code for it. */
export interface Problem {
  message: string;
  /** `extensions.code`, or NETWORK where the server was not reached. */
  code: string;
  /** Under which id the server's log has more. */
  id?: string | undefined;
}

interface GraphQLErrorLike {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

function fromGraphQL(error: GraphQLErrorLike): Problem {
  const { code, id } = error.extensions ?? {};
  return {
    message: error.message,
    code: typeof code === "string" ? code : "INTERNAL_SERVER_ERROR",
    id: typeof id === "string" ? id : undefined,
  };
}

/** The problem behind whatever urql or graphql-ws reported. */
export function problemOf(reason: unknown): Problem {
  if (Array.isArray(reason) && reason.length > 0) return fromGraphQL(reason[0] as GraphQLErrorLike);
  if (reason && typeof reason === "object") {
    const { networkError, graphQLErrors } = reason as {
      networkError?: Error;
      graphQLErrors?: GraphQLErrorLike[];
    };
    if (graphQLErrors?.[0]) return fromGraphQL(graphQLErrors[0]);
    if (networkError) return { message: "The server cannot be reached.", code: "NETWORK" };
    if ("extensions" in reason && "message" in reason) return fromGraphQL(reason as GraphQLErrorLike);
    if (reason instanceof Error) return { message: reason.message, code: "NETWORK" };
  }
  return { message: "The connection to the server was lost.", code: "NETWORK" };
}

/** Whether trying the same again may help. */
export function mayPass(problem: Problem): boolean {
  return ["NETWORK", "SERVICE_UNAVAILABLE", "INTERNAL_SERVER_ERROR", "RATE_LIMITED", "TIMEOUT"].includes(
    problem.code,
  );
}
