"""How many bytes change outside the alt-texts of real pages: ``python bench/alt_bytes.py FOLDER``.

Every picture of every HTML, Markdown and reStructuredText file below the folder gets a text that is hard to write:
alone (the first ``ALONE`` of a page) and all together. Alone: what differs from the old bytes must be the new text
in place of the old one, an attribute, or an option. Together: no line without a picture may differ. In pages each
picture gets a long description too: taken out again, the bytes must be those without. Nothing is written.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from html import unescape
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.describing.formats import format_called
from trifacet.describing.place import Edit, Format, Place
from trifacet.describing.settling import settled

TEXT = 'A "red" boat & <b>it\'s</b> | [y] *z* --> at `sea` \\'
LONG = 'Two bars: <2023> 4 & 2024 "7".'
TEMPLATE = " {{ x }}"  # reStructuredText has no way to write that so that no template acts on it
ALONE = 3
SUFFIXES = {
    suffix: format_called(name) for name in ("html", "markdown", "rst") for suffix in format_called(name).suffixes
}


def _text(format: Format) -> str:
    return TEXT + TEMPLATE * (format.name != "rst")


def outside(format: Format, data: bytes, path: str, place: Place) -> int:
    """Bytes outside the text that differ where one text is changed: of a piece that the old bytes had."""
    new = format.edited(data, path, {place.key: Edit(_text(format))})
    start = next((at for at, (a, b) in enumerate(zip(data, new, strict=False)) if a != b), min(len(data), len(new)))
    end = 0
    while end < min(len(data), len(new)) - start and data[-1 - end] == new[-1 - end]:
        end += 1
    old = data[start : len(data) - end].decode("utf-8", "replace")
    had = {" ".join(text.split()).strip("\"'") for text in (old, unescape(old))}
    alt = " ".join((place.alt or "").split())
    # what both texts begin and end with is no difference, and a mark of Markdown's may stand in the old one
    return (
        0
        if any(not text or text in alt or alt.endswith(text) or _bare(text) in _bare(alt) for text in had)
        else len(old)
    )


def described(format: Format, data: bytes, path: str, places: list[Place]) -> Counter[str]:
    """Long descriptions that were put into a page and that could not be, and pages of which other bytes changed."""
    put = settled(format, data, path, {place.key: Edit(TEXT, long=LONG) for place in places})
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    first, *rest = re.split(r'<div class="long-description".*?</div>', put.after.decode(encoding), flags=re.DOTALL)
    for part in rest:
        own = re.match(r"[ \t]*[\r\n]", part)
        first = (re.sub(r"(?:\r\n|\r|\n)[ \t]*\Z", "", first) if own else first) + part
    plain = re.sub(r' aria-describedby="description-[\w-]+"', "", first)
    alone = format.edited(data, path, {place.key: Edit(TEXT) for place in places})
    counts = Counter({"long descriptions put in": len(rest), "long descriptions refused": len(put.undescribed)})
    counts["pages changed beside long descriptions"] += plain != alone.decode(encoding)
    return counts


def _bare(text: str) -> str:
    return "".join(char for char in unescape(text) if char.isalnum())


def elsewhere(format: Format, data: bytes, path: str, places: list[Place]) -> int:
    """Lines without a picture that are not there any more when all texts are changed."""
    new = format.edited(data, path, {place.key: Edit(_text(format)) for place in places})
    left = Counter(new.splitlines())
    left.subtract(data.splitlines())
    gone = sum(-count for count in left.values() if count < 0)
    spans = sum(max((place.alt or "").count("\n") + 1, 2) for place in places)
    return max(gone - spans, 0)


def main(folder: Path) -> None:
    """Print the counts."""
    counts: Counter[str] = Counter()
    began, refused = time.process_time(), Counter[str]()
    for file in sorted(folder.rglob("*")):
        format = SUFFIXES.get(file.suffix.lower())
        if format is None or not file.is_file():
            continue
        data, path = file.read_bytes(), file.relative_to(folder).as_posix()
        try:
            places = list(format.places(data, path))
        except DataError as problem:
            counts["files that can't be read"] += 1
            refused[problem.problem[:60]] += 1
            continue
        counts[f"{format.name} files"] += 1
        counts["bytes"] += len(data)
        counts["places"] += len(places)
        counts["fixed"] += sum(bool(place.fixed) for place in places)
        counts["missing"] += sum(any(found.rule == "missing" for found in place.findings) for place in places)
        free = [place for place in places if not place.fixed]
        counts["files with places to change"] += bool(free)
        try:
            for place in free[:ALONE]:
                counts["texts changed alone"] += 1
                changed = outside(format, data, path, place)
                if changed:
                    print(path, place.key, changed)
                counts["bytes changed outside"] += changed
            lost = elsewhere(format, data, path, free) if free else 0
            if lost:
                print(path, "lines", lost)
            if format.name == "html" and free:
                counts.update(described(format, data, path, free))
            counts["lines changed elsewhere"] += lost
        except DataError as problem:
            counts["files in which nothing was changed"] += 1
            print(problem)
    print(f"{time.process_time() - began:.1f} s of CPU")
    for name, count in [*counts.items(), *refused.items()]:
        print(f"{count:>10} {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
