"""What scoring needs of a sample. Invariant: ``records.TestSample`` has it, and so has a plain file of references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class Target(Protocol):
    """What a text is scored against; ``image`` is a path below the folder of images, or None."""

    @property
    def id(self) -> str: ...

    @property
    def references(self) -> Sequence[str]: ...

    @property
    def image(self) -> str | None: ...

    @property
    def extra(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Reference:
    """A target of a file that holds no test samples."""

    id: str
    references: Sequence[str]
    image: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
