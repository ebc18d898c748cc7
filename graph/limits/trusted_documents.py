"""Trusted documents: the only operations of a restricted server, from its own UI and from a list."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
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

PAGE = "page"
"""What the setting says where the page's own documents are all that there are."""

OF_THE_PAGE = Path(__file__).parents[1] / "web" / "static" / "page" / "documents.json"
"""Where the build puts the documents of the page, by their hashes."""

_MOST_KNOWN = 500
_LONGEST_KNOWN = 16 * 1024
"""How many texts are known to be fine, and how long they are at the most."""

_HASH = "sha256:"


def only_texts(found: dict[str, Any]) -> None:
    """A `Resolve` for a server that knows no documents by their hashes."""
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
    """Raises RequestRefused for a text that is not the one of the persisted query given with it. `is_known`
    says whether a text is known by a hash that is not its own."""
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
    """The documents that may be executed. The same document in other words is fine too: clients add
    `__typename` to what they were given, and build tools put things into another order."""

    def __init__(self, documents: Mapping[str, str], max_tokens: int | None = None) -> None:
        """`documents` are texts by their hashes. Raises GraphQLError for what is no document. A text of more
        than `max_tokens` is not looked at."""
        self._by_hash = {hash.removeprefix(_HASH): text for hash, text in documents.items()}
        self._canonical = {canonical(parse(text)) for text in self._by_hash.values()}
        self._max_tokens = max_tokens
        # Texts as clients send them, which need not be parsed again.
        self._known: dict[str, None] = dict.fromkeys(self._by_hash.values())

    def resolve(self, found: dict[str, Any]) -> None:
        """Set the text of a request that only names its document. Raises RequestRefused for what is not
        among them."""
        query = found.get("query")
        if query is None or query == "":
            found["query"] = self._named(found)
            return
        if isinstance(query, str) and not self._is_trusted(query):
            text = "This server executes only documents that it knows, and this is none of them."
            raise RequestRefused(403, "QUERY_NOT_IN_SAFELIST", text)
        # Clients add to the text that was hashed when they were built.
        check_hash(found, self._is_other_text_of)

    def _is_other_text_of(self, hash: str, query: str) -> bool:
        known = self._by_hash.get(hash.removeprefix(_HASH))
        return known is not None and canonical(parse(known)) == canonical(parse(query))

    def _named(self, found: dict[str, Any]) -> str:
        name = hash_of_document(found)
        if name is None:
            text = "Give the text of a document as `query`, or its hash as `documentId`."
            raise RequestRefused(400, "BAD_REQUEST", text)
        query = self._by_hash.get(name.removeprefix(_HASH))
        if query is None:
            raise RequestRefused(404, "PERSISTED_QUERY_NOT_FOUND", "This server knows no such document.")
        return query

    def _is_trusted(self, query: str) -> bool:
        if query in self._known:
            return True
        try:
            is_trusted = canonical(parse(query, max_tokens=self._max_tokens)) in self._canonical
        except (GraphQLError, RecursionError):
            return False
        if is_trusted and len(query) <= _LONGEST_KNOWN and len(self._known) < _MOST_KNOWN:
            self._known[query] = None
        return is_trusted


def read_documents(setting: str) -> dict[str, str]:
    """The documents that the setting names: those of the page, and of a file where it names one. Raises
    ValueError, which says what is wrong."""
    documents: dict[str, str] = {}
    for path in (OF_THE_PAGE,) if setting == PAGE else (OF_THE_PAGE, Path(setting)):
        if path is OF_THE_PAGE and setting != PAGE and not path.exists():
            continue  # there is no page, and it needs none
        try:
            documents |= _by_hash(json.loads(path.read_text()))
        except OSError:
            what = "the page was not built" if path is OF_THE_PAGE else "there is no such file"
            raise ValueError(what) from None
        except ValueError:
            raise ValueError("must be a JSON file of documents, in a list or by their hashes") from None
    try:
        TrustedDocuments(documents)
    except GraphQLError as error:
        raise ValueError(f"one of the documents is none: {error.message}") from None
    return documents


def _by_hash(found: object) -> dict[str, str]:
    if isinstance(found, list):
        found = {hashlib.sha256(text.encode()).hexdigest(): text for text in found if isinstance(text, str)}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError
    return found


def canonical(document: DocumentNode) -> str:
    """What two documents have in common that ask for the same in other words."""
    return print_ast(visit(document, _Canonical()))


class _Canonical(Visitor):
    """Leaves out what clients add, and puts the rest into an order that does not depend on how it was
    written."""

    def enter_field(self, node: FieldNode, *_: Any) -> VisitorAction:
        is_added = node.name.value == "__typename" and node.alias is None and not node.directives
        return REMOVE if is_added else None

    def leave(self, node: Node, *_: Any) -> Node | None:
        sorted_parts = {
            name: tuple(sorted(parts, key=print_ast))
            for name in _ANY_ORDER
            if (parts := getattr(node, name, None))
        }
        return None if not sorted_parts else _with(node, sorted_parts)


_ANY_ORDER = ("definitions", "selections", "arguments", "variable_definitions", "fields")
"""Parts of a node whose order means nothing; that of selections only where they stand in the answer."""


def _with(node: Node, parts: Mapping[str, Iterable[Node]]) -> Node:
    kind: Any = type(node)
    made: Node = kind(**{**{key: getattr(node, key, None) for key in node.keys}, **parts})
    return made
