"""The pictures of a request: from a data URL, or fetched where that is allowed, to decoded images.

Invariant: a picture is decoded in a process that the system ends where it costs too much, and fetched by the rules of a
build's downloads (public addresses alone, each redirect checked, bounded in bytes and time); nothing fetched is kept,
and a data URL waits for no download.
"""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import decode_image, within_bounds
from trifacet.base.opening import read_bytes
from trifacet.serving.limits import Limits
from trifacet.serving.refusals import Refusal, shown

_DATA = re.compile(r"data:image/[\w.+-]{1,40};base64,", re.IGNORECASE)
_SECONDS = 20.0  # of a download


def remote_pictures(shown_here: Sequence[tuple[str, str]], limits: Limits) -> dict[str, str]:
    """Which of the pictures, each by field and address, are to be fetched: fields by address.

    Raises Refusal for too many, for addresses of no picture, and where none is fetched.
    """
    if len(shown_here) > limits.max_pictures:
        at_most = f"at most {limits.max_pictures}"
        raise Refusal(400, f"messages: show {len(shown_here)} pictures; this server takes {at_most}", param="messages")
    remote: dict[str, str] = {}
    for place, url in shown_here:
        if _DATA.match(url):
            continue
        if not url.lower().startswith(("http://", "https://")):
            raise Refusal(
                400, f"{place}: is no address of a picture; write data:image/jpeg;base64,... (or png, webp, gif)",
                param=place, code="invalid_image_url",
            )  # fmt: skip
        if not limits.remote_pictures:
            raise Refusal(
                400, f"{place}: this server fetches no pictures; send it as data:image/...;base64,... "
                "(or start the server with --remote-pictures)", param=place, code="remote_pictures_off",
            )  # fmt: skip
        remote.setdefault(url, place)
    return remote


def picture_bytes(shown_here: Sequence[tuple[str, str]], fetched: Mapping[str, bytes]) -> list[bytes]:
    """The pictures, each by field and address, those that were fetched by their addresses. Raises Refusal."""
    found: dict[str, bytes] = dict(fetched)
    for place, url in shown_here:
        if url not in found and (begin := _DATA.match(url)):
            found[url] = _data(url[begin.end() :], place)
    return [found[url] for _, url in shown_here]


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


def fetched(places: Mapping[str, str], limits: Limits) -> dict[str, bytes]:
    """What lies at http addresses, each with its field, all together no longer than a body. Raises Refusal."""
    from trifacet.building.downloads import fetch
    from trifacet.building.image_files import Unusable
    from trifacet.building.settings import Network

    network = Network(
        max_bytes=limits.max_body, timeout=_SECONDS, tries=1, per_host=100.0,
        user_agent="trifacet (alt-text; pictures of a request)",
    )  # fmt: skip
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="trifacet-serve-") as folder:
        try:
            there = fetch(places, Path(folder), network, max_pixels=limits.max_pixels)
        except TrifacetError as error:
            raise Refusal(500, str(error), code="cannot_fetch") from None
        for url, place in places.items():
            one = there[url]
            if isinstance(one, Unusable):
                why = f" ({shown(str(one.detail['problem']))[1:-1]})" if one.detail.get("problem") else ""
                raise Refusal(400, f"{place}: {one.reason}{why}", param=place, code="invalid_image_url")
            found[url] = read_bytes(Path(folder) / one[0], limits.max_body)
            if sum(map(len, found.values())) > limits.max_body:
                told = f"{place}: with it the pictures that were fetched have more than {limits.max_body} bytes"
                raise Refusal(413, told, param=place, code="request_too_large")
    return found
