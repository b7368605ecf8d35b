"""Checking a data file: everything that is wrong with it, not only the first thing, and what is in it.

Invariant: a check reads, and never writes or stops at what it finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from trifacet.base.embedded import plain_name
from trifacet.base.images import MAX_PIXELS
from trifacet.data.checking.findings import SEVERITIES, Finding
from trifacet.data.checking.images import ImageReport, inspect_images
from trifacet.data.checking.regions import region_findings
from trifacet.data.checking.texts import Duplicates, check_texts
from trifacet.data.formats import detect_format, format_called, iter_samples
from trifacet.data.formats.chat import LABEL
from trifacet.data.given_regions import COLUMN
from trifacet.data.records import Sample

_READ = ("system", COLUMN)  # what is used of ``extra``
__all__ = ["Finding", "Report", "Spread", "check_file"]


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    min: int
    median: float
    max: int


@dataclass
class Report:
    """What a check found, and what the file holds."""

    file: str
    kind: str
    format: str
    findings: list[Finding] = field(default_factory=list)
    samples: dict[int, Sample] = field(default_factory=dict)  # by row number
    lost: Counter[str] = field(default_factory=Counter)  # what rows say and no sample holds, with the number of rows
    images: list[ImageReport] = field(default_factory=list)

    def sort(self) -> None:
        """Errors first, then warnings and notes, each by row."""
        self.findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.row or 0))

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def words(self) -> dict[str, Spread]:
        """Words per post, per response or reference, per rejected response."""
        texts: dict[str, list[str]] = {"context": [], "response": [], "rejected_response": []}
        for sample in self.samples.values():
            texts["context"].append(sample.context)
            texts["response"] += getattr(sample, "references", ()) or [getattr(sample, "response", "")]
            texts["rejected_response"] += getattr(sample, "rejected_responses", ())
        return {name: _spread(len(text.split()) for text in found) for name, found in texts.items() if any(found)}

    def sizes(self) -> dict[str, Spread]:
        """Widths and heights of the images, in pixels."""
        facts = [image.facts for image in self.images if image.facts]
        if not facts:
            return {}
        return {"width": _spread(one.width for one in facts), "height": _spread(one.height for one in facts)}

    def count_images(self, attribute: str) -> dict[str, int]:
        """How many image files per ``format`` or ``mode``."""
        counts = Counter(getattr(image.facts, attribute) for image in self.images if image.facts)
        return dict(counts.most_common())

    def rows_showing(self, pictures: int) -> int:
        """How many rows show exactly so many pictures."""
        return sum(len(sample.pictures) == pictures for sample in self.samples.values())

    def as_dict(self) -> dict[str, Any]:
        """The report for ``--json``."""
        return {
            "file": self.file,
            "kind": self.kind,
            "format": self.format,
            "rows": len(self.samples),
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "images": {
                "files": len(self.images),
                "rows_without": self.rows_showing(0),
                "rows_with_several": len(self.samples) - self.rows_showing(0) - self.rows_showing(1),
                "by_format": self.count_images("format"),
                "by_mode": self.count_images("mode"),
                **{name: asdict(spread) for name, spread in self.sizes().items()},
            },
            "lost": dict(self.lost.most_common()),
            "words": {name: asdict(spread) for name, spread in self.words().items()},
            "findings": [finding.as_dict() for finding in self.findings],
        }


def check_file(
    path: str | Path,
    kind: str,
    format: str = "auto",
    *,
    images: str | Path | None = None,
    label: str = LABEL,
    max_pixels: int = MAX_PIXELS,
    workers: int = 1,
    track: Callable[[Iterable[ImageReport], int], Iterable[ImageReport]] = lambda reports, total: reports,
) -> Report:
    """Read every row and decode every image of ``path``.

    Args:
        path: the file.
        kind: "sft", "preference" or "test".
        format: a name of ``FORMATS``, or "auto".
        images: the folder that image paths are relative to; None is the file's own.
        label: the line between request and post.
        max_pixels: images with more are errors.
        workers: processes that decode images.
        track: wraps the reports on the images as they come, given how many will; for a progress bar.

    Raises:
        DataError: there is no such file, or its format is not recognised; all else is a finding.
    """
    path = Path(path)
    name = detect_format(path) if format == "auto" else format
    report = Report(str(path), kind, name)
    names = format_called(name).NAMES
    duplicates = Duplicates(report.file, names)
    problems = report.findings
    first_lost: dict[str, int] = {}

    def on_lost(number: int, what: str) -> None:
        report.lost[what] += 1
        first_lost.setdefault(what, number)

    reading = iter_samples(
        path,
        kind,
        name,
        label=label,
        on_problem=lambda e: problems.append(Finding.of(e, report.file)),
        on_lost=on_lost,
    )
    for number, sample in reading:
        report.samples[number] = sample
        problems.extend(check_texts(number, sample, report.file, names))
        problems.extend(duplicates.check(number, sample))
    if not report.samples and not problems:
        problems.append(
            Finding("error", report.file, None, None, "has no rows", "give a file with at least one sample")
        )
    if report.samples and report.rows_showing(0) == len(report.samples):
        cure = f"fine for posts without pictures; else name them in {names.get('image', 'image')!r}"
        problems.append(Finding("warning", report.file, None, None, "no row has an image", cure))
    for what, count in report.lost.items():
        rows = f"{count} rows, this one first" if count > 1 else "this row"
        cause, cure = f"lost: {what} ({rows})", "leave the rows out if it matters"
        problems.append(Finding("warning", report.file, first_lost[what], None, cause, cure))
    problems.extend(_unread(report))
    root = Path(images) if images is not None else path.parent
    used = list(dict.fromkeys(name for sample in report.samples.values() for name, _ in _image_names(sample)))
    report.images = list(track(inspect_images(used, root, max_pixels, workers), len(used)))
    problems.extend(_image_findings(report, names))
    sizes = {image.name: image.size for image in report.images if image.size}
    problems.extend(region_findings(report.file, report.samples, sizes, root, max_pixels))
    report.sort()
    return report


def _unread(report: Report) -> Iterable[Finding]:
    """The fields that formats of others have and nobody here reads, in one note; rows without a request in another."""
    if report.format == "trifacet":
        return
    if bare := sum(sample.prompt is None for sample in report.samples.values()):
        cause = (
            f"no request of its own in {bare} of {len(report.samples)} rows: that of the recipe is put (data.prompt)"
        )
        yield Finding("note", report.file, None, None, cause, "fine if it is meant so; else see --label")
    counts = Counter(name for sample in report.samples.values() for name in sample.extra if name not in _READ)
    if counts:
        columns = ", ".join(f"{name!r} ({count})" for name, count in counts.most_common(20))
        more = f" and {len(counts) - 20} more" if len(counts) > 20 else ""
        cause = f"fields that are kept and not used, with their rows: {columns}{more}"
        yield Finding("note", report.file, None, None, cause, "fine if the model is not to know them")


def _image_names(sample: Sample) -> list[tuple[str, str]]:
    """(path, field) of every image of a sample."""
    fields = ("image", "more_images", "rejected_images")
    shown = [(name, fields[min(place, 1)]) for place, name in enumerate(sample.pictures)]
    return shown + [(name, "rejected_images") for name in getattr(sample, "rejected_images", ())]


def _image_findings(report: Report, names: dict[str, str]) -> Iterable[Finding]:
    """Each row's image problems; files with the same content; a rejected image with the content of the chosen one."""
    found = {image.name: image for image in report.images}
    first_with: dict[str, str] = {}
    for number, sample in report.samples.items():
        for name, ours in _image_names(sample):
            image, where = found[name], (report.file, number, names.get(ours, ours))
            if image.problem:
                yield Finding("error", *where, *image.problem)
            elif image.doubt:
                yield Finding("warning", *where, f"{plain_name(name)!r}: {image.doubt[0]}", image.doubt[1])
            if image.digest is None:
                continue
            chosen = sample.image or ""  # not blank: what is rejected stands beside a chosen image
            if ours == "rejected_images" and name != chosen and image.digest == found[chosen].digest:
                cause = f"rejected image {plain_name(name)!r} has the content of the chosen one"
                yield Finding("error", *where, cause, "replace it or leave it out")
            elif (first := first_with.setdefault(image.digest, name)) != name:
                same = f"{plain_name(name)!r} has the same content as {plain_name(first)!r}"
                yield Finding("note", *where, same, "keep one of the files")


def _spread(numbers: Iterable[int]) -> Spread:
    ordered = sorted(numbers)
    return Spread(ordered[0], median(ordered), ordered[-1])
