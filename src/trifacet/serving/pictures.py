"""The pictures of a request: from a data URL, or fetched where that is allowed, to decoded images.

Invariant: a picture is decoded in a process that the system ends where it costs too much, and fetched by the rules of a
build's downloads (public addresses alone, each redirect checked, bounded in bytes and time); nothing fetched is kept.
"""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import decode_image, within_bounds
from trifacet.base.opening import read_bytes
from trifacet.serving.limits import Limits
from trifacet.serving.refusals import Refusal

_DATA = re.compile(r"data:image/[\w.+-]{1,40};base64,", re.IGNORECASE)
_SECONDS = 20.0  # of a download


def picture_bytes(urls: Sequence[str], places: Sequence[str], limits: Limits) -> list[bytes]:
    """What lies at addresses; ``places`` are their fields, for messages. Raises Refusal."""
    if len(urls) > limits.max_pictures:
        at_most = f"at most {limits.max_pictures}"
        raise Refusal(400, f"messages: show {len(urls)} pictures; this server takes {at_most}", param="messages")
    found: dict[str, bytes] = {}
    remote: dict[str, str] = {}
    for url, place in zip(urls, places, strict=True):
        if url in found or url in remote:
            continue
        if begin := _DATA.match(url):
            found[url] = _data(url[begin.end() :], place)
        elif not url.lower().startswith(("http://", "https://")):
            raise Refusal(
                400, f"{place}: is no address of a picture; write data:image/jpeg;base64,... (or png, webp, gif)",
                param=place, code="invalid_image_url",
            )  # fmt: skip
        elif not limits.remote_pictures:
            raise Refusal(
                400, f"{place}: this server fetches no pictures; send it as data:image/...;base64,... "
                "(or start the server with --remote-pictures)", param=place, code="remote_pictures_off",
            )  # fmt: skip
        else:
            remote[url] = place
    if remote:
        found |= _fetched(remote, limits)
    return [found[url] for url in urls]


def decoded(data: bytes, place: str, limits: Limits) -> Image.Image:
    """The picture that bytes hold, upright and RGB. Raises Refusal."""
    try:
        return within_bounds(_decode, place, data, place, limits.max_pixels, max_pixels=limits.max_pixels)
    except DataError as error:
        told = error.problem if place in error.problem else f"{place}: {error.problem}"
        raise Refusal(400, told, param=place, code="invalid_image") from None


def _decode(data: bytes, name: str, max_pixels: int) -> Image.Image:
    return decode_image(data, name, max_pixels=max_pixels)


def _data(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, f"{place}: is no base64", param=place, code="invalid_image_url") from None


def _fetched(places: dict[str, str], limits: Limits) -> dict[str, bytes]:
    """What lies at http addresses, each with its field."""
    from trifacet.building.downloads import fetch
    from trifacet.building.image_files import Unusable
    from trifacet.building.settings import Network

    network = Network(
        max_bytes=limits.max_body, timeout=_SECONDS, tries=1, per_host=100.0,
        user_agent="trifacet (alt-text; pictures of a request)",
    )  # fmt: skip
    found = {}
    with tempfile.TemporaryDirectory(prefix="trifacet-serve-") as folder:
        try:
            fetched = fetch(places, Path(folder), network, max_pixels=limits.max_pixels)
        except TrifacetError as error:
            raise Refusal(500, str(error), code="cannot_fetch") from None
        for url, place in places.items():
            one = fetched[url]
            if isinstance(one, Unusable):
                why = f" ({one.detail['problem']})" if one.detail.get("problem") else ""
                raise Refusal(400, f"{place}: {one.reason}{why}", param=place, code="invalid_image_url")
            found[url] = read_bytes(Path(folder) / one[0], limits.max_body)
    return found
