"""Owns how the tests speak to the application: GraphQL over HTTP, within the process."""

import json
from typing import Any

import httpx2


class GraphQLClient(httpx2.AsyncClient):
    """An HTTP client that knows where GraphQL is."""

    async def execute(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The body of the response: `data`, `errors` or both."""
        # Escaped, as JavaScript sends it: half of a surrogate pair is a legal escape in JSON.
        text = json.dumps({"query": query, "variables": variables or {}})
        headers = {"Content-Type": "application/json"}
        response = await self.post("/graphql", content=text, headers=headers)
        body: dict[str, Any] = response.json()
        return body
