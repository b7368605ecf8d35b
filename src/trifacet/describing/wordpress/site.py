"""A WordPress site as its REST API tells it: where that is, kinds of posts, one post with its raw content.

Invariant: what is read is what is stored (``context=edit``), never what a theme makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from trifacet.base.errors import TrifacetError
from trifacet.describing.wordpress.answers import RefusedError
from trifacet.describing.wordpress.connection import Account, Connection, UnusableError

MEDIA = "attachment"
_LINK = re.compile(r"<([^<>]+)>\s*;\s*rel=\"?https://api\.w\.org/\"?")
_BASE = re.compile(r"[\w-]+(?:/[\w-]+)*")
_NAMES = {"content": "description", "excerpt": "caption", "title": "title", "alt_text": "alt_text"}  # of media
_OTHERS = ("type", "status", "slug", "date", "author", "featured_media", "parent", "menu_order", "comment_status",
           "ping_status", "sticky", "template", "format")  # fmt: skip
_TEXTS = ("alt_text", "title.raw", "content.raw", "excerpt.raw", "caption.raw", "description.raw")
_FIELDS = ",".join(("id", *_TEXTS, *_OTHERS, "_links"))
_UNFILTERED = "wp:action-unfiltered-html"
_A_PAGE = 50  # posts in an answer
_MOST_PAGES = 20_000


@dataclass(frozen=True)
class Item:
    """A post, a page or an attachment.

    Attributes:
        id, type: its number, and the name of its kind.
        texts: title, content, excerpt as they are stored; of attachments description and caption by the same names,
            and alt_text.
        others: all else that must not change.
        unfiltered: HTML that this account saves there is not filtered by WordPress itself.
    """

    id: int
    type: str
    texts: Mapping[str, str]
    others: Mapping[str, Any]
    unfiltered: bool


class Site:
    """One site, by one account. Use ``of``."""

    def __init__(self, connection: Connection, root: str) -> None:
        self.connection, self._root = connection, root
        self.address = connection.address
        self._types: dict[str, str] | None = None
        self._me: int | None = None

    @classmethod
    def of(cls, address: str, account: Account, tell: Callable[[str], None] = lambda line: None, **how: Any) -> Self:
        """Find the REST API of a site, and see that it knows the account.

        Args:
            address: as ``site_address`` gives it.
            account: who asks.
            tell: for what is odd and no error.
            how: further arguments of ``Connection``.

        Raises:
            TrifacetError: there is none, or it does not take the account.
        """
        connection = Connection(address, account, tell, **how)
        try:
            site = cls(connection, _root(connection))
            _ = site.me
        except BaseException:
            connection.close()
            raise
        return site

    def close(self) -> None:
        """Let go of the connections."""
        self.connection.close()

    def url(self, route: str, **query: str | int) -> str:
        """The address of a route such as ``/wp/v2/posts``, with pretty permalinks or without."""
        if "rest_route=" in self._root:
            return f"{self._root}{quote(route)}" + (f"&{urlencode(query)}" if query else "")
        return f"{self._root}{quote(route)}" + (f"?{urlencode(query)}" if query else "")

    def get(self, route: str, **query: str | int) -> Any:
        """What a route says; asked again while it fails and may pass. Raises TrifacetError."""
        return self.connection.patient(self.url(route, **query))[0]

    def pages(self, route: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """The members of a collection, page by page, by the number of pages where the site tells it."""
        for page in range(1, _MOST_PAGES):
            try:
                url = self.url(route, page=page, per_page=_A_PAGE, **query)
                rows, headers = self.connection.patient(url)
            except RefusedError as error:
                if page > 1 and error.code == "rest_post_invalid_page_number":
                    return
                raise
            if not isinstance(rows, list):
                raise TrifacetError(f"{self.address}: {route} is no list; see what stands before the REST API")
            yield from (row for row in rows if isinstance(row, dict))
            told = headers.get("X-WP-TotalPages", "")
            if page >= int(told) if told.isdecimal() else len(rows) < _A_PAGE:
                return

    @property
    def me(self) -> int:
        """The number of the account. Raises TrifacetError where the site does not take it."""
        if self._me is None:
            told = self.get("/wp/v2/users/me", context="edit", _fields="id")
            self._me = _number(told, f"{self.address}: the account")
        return self._me

    @property
    def types(self) -> dict[str, str]:
        """The route of each kind of post, by the kind's name."""
        if self._types is None:
            told = self.get("/wp/v2/types", context="edit")
            kinds = told.items() if isinstance(told, dict) else ()
            self._types = {}
            for name, kind in kinds:
                base = kind.get("rest_base") if isinstance(kind, dict) else None
                space = kind.get("rest_namespace", "wp/v2") if isinstance(kind, dict) else None
                if all(isinstance(part, str) and _BASE.fullmatch(part) for part in (base, space)):
                    self._types[name] = f"/{space}/{base}"
        return self._types

    def route(self, type: str, number: int | None = None) -> str:
        """Where posts of a kind are, or one of them. Raises TrifacetError for a kind that is not open to REST."""
        if type not in self.types:
            raise TrifacetError(f"posts of the kind {type!r} are not open to the site's REST API; change them by hand")
        return self.types[type] + ("" if number is None else f"/{number}")

    def read(self, type: str, number: int) -> Item:
        """A post as it is stored. Raises TrifacetError: it is not there, or the account may not edit it."""
        return self.item(type, number, self.get(self.route(type, number), context="edit", _fields=_FIELDS))

    def write(self, item: Item, texts: Mapping[str, str]) -> Item:
        """Give a post these texts, by the names of ``Item.texts``; what it is then. Sent once.

        Raises:
            PassingError: it failed, and nobody knows whether it was done.
            TrifacetError: the site refuses it.
        """
        body = {(_NAMES[name] if item.type == MEDIA else name): text for name, text in texts.items()}
        url = self.url(self.route(item.type, item.id), context="edit", _fields=_FIELDS)
        return self.item(item.type, item.id, self.connection.ask("POST", url, body)[0])

    def item(self, type: str, number: int, told: Any) -> Item:
        """A post of an answer. Raises TrifacetError where the answer is of something else."""
        place = f"{self.address}: {type} {number}"
        if _number(told, place) != number:
            raise TrifacetError(f"{place}: the site answers with {told['id']}; see what stands before the REST API")
        texts = {}
        for name, of_media in _NAMES.items():
            value = told.get(of_media if type == MEDIA else name)
            raw = value if name == "alt_text" else value.get("raw") if isinstance(value, dict) else None
            if isinstance(raw, str):
                texts[name] = raw
        needed = "alt_text" if type == MEDIA else "content"
        if needed not in texts:
            raise TrifacetError(f"{place} comes without its {needed} as it is stored; may the account edit it?")
        others = {name: told.get(name) for name in _OTHERS}
        if others["status"] not in ("publish", "future", "private", "inherit"):
            del others["date"]  # of a draft that is when it was saved last
        links = told.get("_links")
        return Item(number, type, texts, others, isinstance(links, dict) and _UNFILTERED in links)


def _number(told: Any, place: str) -> int:
    number = told.get("id") if isinstance(told, dict) else None
    if not isinstance(number, int):
        raise TrifacetError(f"{place}: the answer has no id; see what stands before the site's REST API")
    return number


def _root(connection: Connection) -> str:
    """Where the REST API is: behind /wp-json, behind ?rest_route=, or where the front page says."""
    failed: TrifacetError | None = None
    for root in (f"{connection.address}/wp-json", f"{connection.address}/?rest_route=", None):
        if root is None and (root := _linked(connection)) is None:
            break
        try:
            index, _ = connection.patient(root + "/")
        except RefusedError as error:
            if error.status not in (404, 405):
                raise
            failed = failed or error
            continue
        except UnusableError:
            raise
        except TrifacetError as error:
            failed = failed or error
            continue
        spaces = index.get("namespaces") if isinstance(index, dict) else None
        if not isinstance(spaces, list) or "wp/v2" not in spaces:
            failed = failed or TrifacetError(f"{connection.address} is no WordPress site, or keeps wp/v2 closed")
            continue
        if index.get("authentication") == []:  # PHP's empty object
            raise TrifacetError(
                f"{connection.address}: application passwords are off; switch them on (WordPress offers them over "
                "https, or where WP_ENVIRONMENT_TYPE is local)"
            )
        return root
    assert failed is not None
    raise TrifacetError(f"{failed}; no REST API was found there") from None


def _linked(connection: Connection) -> str | None:
    """What the front page names as the REST API; None where it names none on this site."""
    response, _ = connection.fetch("GET", connection.address + "/")
    found = _LINK.search(response.headers.get("Link", ""))
    if found is None:
        return None
    parts = urlsplit(found[1])
    if "rest_route" in parse_qs(parts.query):
        return found[1].split("rest_route=", 1)[0] + "rest_route="
    return found[1].rstrip("/")
