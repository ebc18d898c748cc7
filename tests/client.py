"""Owns how the tests speak to the application: GraphQL over HTTP, within the process."""

from typing import Any

import httpx2


class GraphQLClient(httpx2.AsyncClient):
    """An HTTP client that knows where GraphQL is."""

    async def execute(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The body of the response: `data`, `errors` or both."""
        response = await self.post("/graphql", json={"query": query, "variables": variables or {}})
        body: dict[str, Any] = response.json()
        return body
