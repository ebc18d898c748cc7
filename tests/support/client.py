"""A GraphQL client for an application in the same process."""

import json
from typing import Any

import httpx2


class GraphQLClient(httpx2.AsyncClient):
    """An HTTP client with a method for GraphQL operations."""

    async def execute(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The body of the response: `data`, `errors` or both."""
        # Escaped as JavaScript does: JSON allows an escape of half a surrogate pair.
        text = json.dumps({"query": query, "variables": variables or {}})
        headers = {"Content-Type": "application/json"}
        response = await self.post("/graphql", content=text, headers=headers)
        body: dict[str, Any] = response.json()
        return body
