"""A site's posts with pictures, and its media library, as an export (WXR) made through the REST API.

Invariant: what is written holds the raw content of posts byte for byte, so that a plan made from it fits the site. Only
what the account may edit is in it; it is read like WordPress's own export.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.describing.formats.markup import MAX_XML
from trifacet.describing.formats.wordpress import ALT_FIELD, EXPORT
from trifacet.describing.wordpress.answers import RefusedError
from trifacet.describing.wordpress.site import MEDIA, Site

# Kinds that hold no pictures of people's writing, but parts of themes.
LEFT_OUT = frozenset((
    "nav_menu_item", "wp_template", "wp_template_part", "wp_navigation", "wp_global_styles", "wp_font_family",
    "wp_font_face",
))  # fmt: skip
_SHOWS = re.compile(r"<(?:ima?ge?|input|area|object|embed|svg)\b|\brole\s*=|url\(", re.IGNORECASE)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FIELDS = (
    "id,type,status,link,parent,post,title.raw,content.raw,excerpt.raw,caption.raw,description.raw,alt_text,source_url"
)
_HEAD = f"""<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:excerpt="{EXPORT}1.2/excerpt/" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="{EXPORT}1.2/">
<channel>
"""  # noqa: E501


def fetch(
    site: Site, types: Sequence[str] = (), tell: Callable[[str], None] = lambda line: None
) -> tuple[bytes, dict[str, int]]:
    """The export, and how many posts of each kind it holds.

    Args:
        site: where, and by whom.
        types: kinds of posts; () for all that are open to the REST API and hold people's writing.
        tell: is called with a line about each post or kind that is left out.

    Raises:
        TrifacetError: a kind is not known, the site can't be asked, or the export would be too large.
    """
    for name in types:
        site.route(name)  # says that it is unknown
    chosen = types or [name for name in site.types if name not in LEFT_OUT]
    parts, size, counts = [_head(site)], 0, dict[str, int]()
    for name in chosen:
        how = {"media_type": "image"} if name == MEDIA else {"status": "any"}
        try:
            for row in site.pages(site.route(name), context="edit", orderby="id", order="asc", _fields=_FIELDS, **how):
                item = _item(row, name, tell)
                size += len(item)
                if size > MAX_XML - 10_000:
                    raise TrifacetError(f"the export is larger than {MAX_XML // 1_000_000} MB; fetch by --type")
                if item:
                    counts[name] = counts.get(name, 0) + 1
                    parts.append(item)
        except RefusedError as error:
            if types:
                raise
            tell(f"{name}: left out: {error}")
    return b"".join([*parts, b"</channel>\n</rss>\n"]), counts


def _head(site: Site) -> bytes:
    language = ""
    with suppress(RefusedError):  # administrators may know
        told = site.get("/wp/v2/settings", _fields="language")
        said = told.get("language") if isinstance(told, dict) else None
        language = said.replace("_", "-") if isinstance(said, str) else ""
    address = escape(site.address)
    shown = f"<language>{escape(language)}</language>\n" if language else ""
    made = f"<wp:wxr_version>1.2</wp:wxr_version>\n<wp:base_site_url>{address}</wp:base_site_url>\n"
    return f"{_HEAD}<link>{address}</link>\n{shown}{made}<wp:base_blog_url>{address}</wp:base_blog_url>\n".encode()


def _item(row: dict[str, Any], kind: str, tell: Callable[[str], None]) -> bytes:
    """A post; b"" for one without pictures, and for one that XML can't hold."""
    media = kind == MEDIA
    title, content, excerpt = (
        _raw(row.get(name)) for name in ("title", *(("description", "caption") if media else ("content", "excerpt")))
    )
    if not media and not (_SHOWS.search(content) or _SHOWS.search(excerpt)):
        return b""
    number = row.get("id")
    alt, url = (row.get(name) if isinstance(row.get(name), str) else "" for name in ("alt_text", "source_url"))
    if not isinstance(number, int):
        return b""
    if (found := _FORBIDDEN.search("".join((title, content, excerpt, alt or "", url or "")))) is not None:
        tell(f"{kind} {number}: left out: it holds U+{ord(found[0]):04X}, which no export can hold")
        return b""
    parent = row.get("post") if media else row.get("parent")
    lines = [
        "<item>",
        f"<title>{_cdata(title)}</title>",
        f"<link>{escape(_raw({'raw': row.get('link')}))}</link>",
        f"<content:encoded>{_cdata(content)}</content:encoded>",
        f"<excerpt:encoded>{_cdata(excerpt)}</excerpt:encoded>",
        f"<wp:post_id>{number}</wp:post_id>",
        f"<wp:status>{_cdata(_raw({'raw': row.get('status')}))}</wp:status>",
        f"<wp:post_parent>{parent if isinstance(parent, int) else 0}</wp:post_parent>",
        f"<wp:post_type>{_cdata(kind)}</wp:post_type>",
    ]
    if media:
        lines.append(f"<wp:attachment_url>{_cdata(url or '')}</wp:attachment_url>")
        key, value = _cdata(ALT_FIELD), _cdata(alt or "")
        lines.append(
            f"<wp:postmeta><wp:meta_key>{key}</wp:meta_key><wp:meta_value>{value}</wp:meta_value></wp:postmeta>"
        )
    return "\n".join([*lines, "</item>", ""]).encode()


def _raw(value: Any) -> str:
    raw = value.get("raw") if isinstance(value, dict) else None
    return raw if isinstance(raw, str) else ""


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"
