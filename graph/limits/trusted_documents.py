"""Trusted documents: the only operations of a restricted server, from its own web UI and from a list."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    Node,
    Visitor,
    VisitorAction,
    parse,
    print_ast,
    visit,
)
from graphql.language.visitor import REMOVE

from graph.errors import RequestRefused
from graph.limits.documents import MAX_QUERY_LENGTH

ONLY_UI = "page"
"""The value of the setting for the documents of the web UI alone."""

UI_DOCUMENTS = Path(__file__).parents[1] / "web" / "static" / "page" / "documents.json"
"""The documents of the web UI by hash, written by its build."""

MAX_KNOWN = 500
MAX_KNOWN_LENGTH = 16 * 1024
"""Up to how many texts one that was parsed is remembered, and its maximum length."""

_HASH = "sha256:"


def refuse_hashes(found: dict[str, Any]) -> None:
    """A `Resolve` for servers without trusted documents."""
    if not found.get("query") and hash_of_document(found) is not None:
        # Clients compare this very message, and send the text next; some read it only with status 200.
        raise RequestRefused(200, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
    check_hash(found)


def hash_of_document(found: dict[str, Any]) -> str | None:
    """The hash by which a client names a document: `documentId`, or that of a persisted query."""
    name = found.get("documentId")
    return name if isinstance(name, str) else _persisted_hash(found) if name is None else None


def check_hash(
    found: dict[str, Any], is_known: Callable[[str, str], bool] = lambda hash, query: False
) -> None:
    """Raise RequestRefused if the hash of a persisted query is not that of the text beside it. `is_known`
    returns whether a text is known by a hash other than its own."""
    query, hash = found.get("query"), _persisted_hash(found)
    if not isinstance(query, str) or not query or hash is None or len(query) > MAX_QUERY_LENGTH:
        return
    digest = hashlib.sha256(query.encode(errors="surrogatepass")).hexdigest()
    if digest != hash.lower() and not is_known(hash, query):
        text = "`extensions.persistedQuery.sha256Hash` is not the SHA-256 hash of `query`."
        raise RequestRefused(400, "BAD_REQUEST", text)


def _persisted_hash(found: dict[str, Any]) -> str | None:
    extensions = found.get("extensions")
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    hash = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    return hash if isinstance(hash, str) else None


class TrustedDocuments:
    """The documents that may be executed. Documents with the same canonical form are trusted too: clients add
    `__typename` to documents, and build tools reorder them."""

    def __init__(self, documents: Mapping[str, str], max_tokens: int | None = None) -> None:
        """`documents` are texts by hash; GraphQLError is raised for one that is invalid. Texts of more than
        `max_tokens` are not trusted."""
        self._by_hash = {hash.removeprefix(_HASH): text for hash, text in documents.items()}
        self._canonical = {canonical(parse(text)) for text in self._by_hash.values()}
        self._max_tokens = max_tokens
        self.known = dict.fromkeys(self._by_hash.values())
        """Texts that are trusted without being parsed: those given, and some that were parsed before."""

    def resolve(self, found: dict[str, Any]) -> None:
        """Set the text in the parameters of a request that has only a hash. Raises RequestRefused for a
        document that is not trusted."""
        query = found.get("query")
        if query is None or query == "":
            found["query"] = self._text_of(found)
            return
        if isinstance(query, str) and not self._is_trusted(query):
            text = "This server executes only trusted documents, and this is none of them."
            raise RequestRefused(403, "QUERY_NOT_IN_SAFELIST", text)
        # Clients add to the text that was hashed when they were built.
        check_hash(found, self._is_same_document)

    def _is_same_document(self, hash: str, query: str) -> bool:
        known = self._by_hash.get(hash.removeprefix(_HASH))
        return known is not None and canonical(parse(known)) == canonical(parse(query))

    def _text_of(self, found: dict[str, Any]) -> str:
        name = hash_of_document(found)
        if name is None:
            text = "Send the text of a document as `query`, or its hash as `documentId`."
            raise RequestRefused(400, "BAD_REQUEST", text)
        query = self._by_hash.get(name.removeprefix(_HASH))
        if query is None:
            raise RequestRefused(404, "PERSISTED_QUERY_NOT_FOUND", "No trusted document has this hash.")
        return query

    def _is_trusted(self, query: str) -> bool:
        if query in self.known:
            return True
        try:
            is_trusted = canonical(parse(query, max_tokens=self._max_tokens)) in self._canonical
        except (GraphQLError, RecursionError):
            return False
        if is_trusted and len(query) <= MAX_KNOWN_LENGTH and len(self.known) < MAX_KNOWN:
            self.known[query] = None
        return is_trusted


def read_documents(setting: str) -> dict[str, str]:
    """The documents of the web UI, and of the file that the setting may name. Raises ValueError with a
    message for the operator."""
    documents: dict[str, str] = {}
    for path in (UI_DOCUMENTS,) if setting == ONLY_UI else (UI_DOCUMENTS, Path(setting)):
        if path is UI_DOCUMENTS and setting != ONLY_UI and not path.exists():
            continue  # the web UI was not built, and is not needed
        try:
            documents |= _by_hash(json.loads(path.read_text()))
        except OSError:
            what = "the web UI was not built" if path is UI_DOCUMENTS else "there is no such file"
            raise ValueError(what) from None
        except ValueError:
            raise ValueError("must be a JSON file of documents, in a list or by their hashes") from None
    try:
        TrustedDocuments(documents)
    except GraphQLError as error:
        raise ValueError(f"one of the documents is invalid: {error.message}") from None
    return documents


def _by_hash(found: object) -> dict[str, str]:
    if isinstance(found, list):
        found = {hashlib.sha256(text.encode()).hexdigest(): text for text in found if isinstance(text, str)}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError
    return found


def canonical(document: DocumentNode) -> str:
    """The same text for all documents that request the same."""
    return print_ast(visit(document, _Canonical()))


class _Canonical(Visitor):
    """Removes the `__typename` that clients add, and sorts everything whose order has no meaning."""

    def enter_field(self, node: FieldNode, *_: Any) -> VisitorAction:
        is_added = node.name.value == "__typename" and node.alias is None and not node.directives
        return REMOVE if is_added else None

    def leave(self, node: Node, *_: Any) -> Node | None:
        sorted_parts = {
            name: tuple(sorted(parts, key=print_ast))
            for name in _UNORDERED
            if (parts := getattr(node, name, None))
        }
        kind: Any = type(node)
        unchanged = {key: getattr(node, key, None) for key in node.keys}
        return kind(**unchanged | sorted_parts) if sorted_parts else None


_UNORDERED = ("definitions", "selections", "arguments", "variable_definitions", "fields")
"""Parts of a node whose order has no meaning; that of selections only orders the response."""
