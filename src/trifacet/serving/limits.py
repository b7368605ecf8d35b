"""How much is taken on: of one request, and of all.

Invariant: every one of them is a number with both bounds; ``max_pixels`` is that of ``base.images``, which is not
imported for it, since ``--help`` reads this.
"""

from __future__ import annotations

from pydantic import Field

from trifacet.settings.section import Section


class Limits(Section):
    """What is refused beyond."""

    at_a_time: int = Field(16, ge=1, le=1024, description="sets of pictures that are written about at a time")
    queue: int = Field(64, ge=0, le=10_000, description="requests that wait; one more is answered 429")
    timeout: float = Field(300.0, gt=0, le=86_400, description="seconds from a request's arrival to its whole answer")
    max_tokens: int = Field(1024, ge=1, le=100_000, description="longest text that may be asked for")
    max_body: int = Field(32_000_000, ge=1_000, le=1_000_000_000, description="bytes of a request")
    max_pictures: int = Field(8, ge=0, le=64, description="pictures of a request")
    max_pixels: int = Field(50_000_000, ge=1, le=1_000_000_000, description="pixels of a picture")
    remote_pictures: bool = Field(False, description="fetch pictures from http and https addresses")
