"""What is to become of a site's posts: a file that people read and a machine applies.

Invariant: the plan holds digests of what stood in the export and of what is to stand there, and the texts; no content
of posts, and no account. It is read as untrusted.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field as Bound
from pydantic import TypeAdapter, ValidationError

from trifacet.base.digests import json_digest
from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.describing.wordpress.export import FieldName

_MOST = 100_000_000  # bytes of a plan
_LONGEST = 10_000  # characters of a text
_Digest = Annotated[str, Bound(pattern=r"^[0-9a-f]{64}$")]
_Kind = Annotated[str, Bound(pattern=r"^[\w-]{1,40}$")]
_Number = Annotated[int, Bound(gt=0, lt=10**19, strict=True)]
_Said = Annotated[str, Bound(max_length=_LONGEST)]


@dataclass(frozen=True)
class Text:
    """A picture's new text: the place's key, the picture, the old text (None: none), and the suggestion's id."""

    key: str
    picture: str
    before: str | None
    alt: _Said
    suggestion: str = ""


@dataclass(frozen=True)
class Update:
    """What becomes of a field of a post: digests of what stands there and of what is to, and the texts."""

    post: _Number
    type: _Kind
    title: str
    field: FieldName
    digest: _Digest
    after: _Digest
    texts: Annotated[tuple[Text, ...], Bound(min_length=1)]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.type} {self.post} ({self.title[:60]})" if self.title else f"{self.type} {self.post}"


@dataclass(frozen=True)
class Plan:
    """All updates of a site. ``run`` is the same for the same plan."""

    site: str
    updates: tuple[Update, ...]

    @property
    def run(self) -> str:
        """By which the journal knows what belongs together."""
        return json_digest(asdict(self))[:16]


# --- the file ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    kind: Literal["trifacet-wordpress-plan"]
    version: Literal[1]
    site: str
    updates: tuple[Update, ...]


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan, whole or not at all."""
    whole = _File("trifacet-wordpress-plan", 1, plan.site, plan.updates)
    write_atomically(path, json.dumps(asdict(whole), indent=1, ensure_ascii=True) + "\n")


def read_plan(path: Path) -> Plan:
    """A plan. Raises DataError for a file that is none, or a field that is wrong."""
    content: Any = read_json(path, _MOST, "make the plan anew: trifacet alt wordpress plan")
    try:
        read = TypeAdapter(_File).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        fix = "make the plan anew: trifacet alt wordpress plan"
        raise DataError(f"{where[:100]}: {first['msg']}", fix=fix, file=path) from None
    seen = [(one.post, one.field) for one in read.updates]
    if len(set(seen)) < len(seen):
        raise DataError("has two updates for one field of a post", fix="make the plan anew", file=path)
    return Plan(read.site, read.updates)
