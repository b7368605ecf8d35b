"""Where the rows of a written file find their pictures: paths from its folder, and files for those that came inside.

Invariant: a path that leads to a picture leads to the same one from the new file; where none can, nothing is written.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from trifacet.base.embedded import file_name, kept_picture, shortened
from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing
from trifacet.base.images import resolve_inside
from trifacet.base.opening import opened
from trifacet.data.records import Sample


class Placing:
    """The pictures of samples as a file that is written names them.

    Args:
        file: what is written.
        images: the folder that paths are relative to (None: they stay as they are).
    """

    def __init__(self, file: Path, images: Path | None) -> None:
        self.file, self.folder = file, file.parent.resolve()
        self.images = images and images.resolve()
        self.missing = 0  # paths that lead nowhere from ``images``, and stay as they are
        self._copies: dict[Path, Path] = {}

    def placed(self, sample: Sample) -> Sample:
        """The sample with its pictures as they are called from the file's folder.

        Raises:
            TrifacetError: a picture lies outside that folder.
        """
        changed: dict[str, Any] = {"image": sample.image and self._name(sample.image)}
        for field in ("more_images", "rejected_images"):
            if names := getattr(sample, field, ()):
                changed[field] = tuple(map(self._name, names))
        return sample.model_copy(update=changed)

    def write(self) -> None:
        """Write the pictures that came inside data files into the folder beside the file."""
        for target, source in self._copies.items():
            if not target.exists():
                with replacing(target, sync=False) as temporary:
                    shutil.copyfile(source, temporary)

    def _name(self, name: str) -> str:
        if kept_picture(name) is not None:
            source = resolve_inside(self.folder, name)
            with opened(source) as file:
                called = file_name(name, file.read(16))
            target = self.folder / f"{self.file.stem}_images" / called
            self._copies[target] = source
            return target.relative_to(self.folder).as_posix()
        if self.images in (None, self.folder):
            return name
        found = (self.images / name).resolve()
        if not found.is_file():
            self.missing += 1
            return name
        if not found.is_relative_to(self.folder):
            raise TrifacetError(
                f"image {shortened(name)} of {self.images} would not be found from {self.file.parent}; "
                f"write {self.file.name} into {found.parent} or a folder above it"
            )
        return found.relative_to(self.folder).as_posix()
