"""Generated texts on disk: JSON lines, written as they come, continued where a run stopped.

Invariant: every complete line of a results file was made by the settings in ``<file>.settings.json``. The settings
are on disk before the first line is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.base.files import append_durably, write_atomically
from trifacet.base.images import MAX_PIXELS, image_facts, resolve_inside
from trifacet.data.formats import iter_samples
from trifacet.data.records import TestSample
from trifacet.data.writing import Writer, Written
from trifacet.generation.settings import settings_path

Progress = Callable[[int, int], None]
KEPT = ("id", "text", "prompt_tokens", "new_tokens", "cut_tokens")  # of a text, in its line


def write_to_file(
    writer: Writer,
    samples: Sequence[TestSample],
    output: Path,
    *,
    images_root: str | Path,
    overwrite: bool = False,
    on_progress: Progress | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[Written]:
    """Write a text for every sample to ``output``; a file that is there already is continued.

    Lines {"id", "text", "prompt_tokens", "new_tokens", "cut_tokens"} are appended as the texts come and brought into
    the order of ``samples`` at the end: a run that was stopped and continued leaves the file that one without a stop
    leaves. Where no candidate passed the filter the text is empty, and "filtered" names the rules. Of a writer that
    keeps its texts itself the file is written once, {"id", "text"}.

    Args:
        writer: what writes.
        samples: the posts.
        output: the JSONL file.
        images_root: folder of the images.
        overwrite: begin anew, whatever is there.
        on_progress: called with (texts done, texts in all) at the start and after each batch.
        max_pixels: largest image.

    Returns:
        The texts of all samples, in their order.

    Raises:
        TrifacetError: the file was written by other settings, or is not such a file, or cannot be written.
    """
    settings = writer.made_with(samples)
    done = {} if settings is None else open_results(output, settings, overwrite=overwrite)
    check_images([sample for sample in samples if sample.id not in done], images_root, max_pixels=max_pixels)
    if on_progress:
        on_progress(len(done), len(samples))

    def append(batch: list[Written]) -> None:
        if settings is not None:
            append_durably(output, "".join(map(_line, batch)).encode("utf-8"))
        done.update((text.id, text) for text in batch)
        if on_progress:
            on_progress(len(done), len(samples))

    writer.write(samples, images_root, done=frozenset((name, 0) for name in done), on_written=append)
    ordered = [done[sample.id] for sample in samples]
    write_atomically(output, "".join(map(_line if settings is not None else _bare, ordered)))
    return ordered


def check_images(
    samples: Sequence[TestSample],
    images_root: str | Path,
    *,
    max_pixels: int = MAX_PIXELS,
    file: Path | None = None,
    format: str = "auto",
) -> None:
    """Read every image's header, so that a missing file is found now and not after hours.

    Args:
        samples: what shows them.
        images_root: the folder that their names are relative to.
        max_pixels: largest image.
        file: where the samples are from, for the message.
        format: of that file.

    Raises:
        DataError: naming the first sample, and its row, whose image is missing, unreadable or too large.
    """
    for sample in samples:
        try:
            for name in sample.pictures:
                image_facts(resolve_inside(images_root, name), max_pixels=max_pixels)
        except DataError as error:
            rows = iter_samples(file, "test", format) if file else ()
            row = next((number for number, one in rows if one.id == sample.id), None)
            raise of_sample(sample.id, error, "image" if row else None, file=file, row=row) from None


def open_results(output: Path, fingerprint: Mapping[str, Any], *, overwrite: bool = False) -> dict[str, Written]:
    """Make ``output`` ready to be appended to, and give the texts that are in it by id.

    The last line is dropped if a kill left it without its end.

    Raises:
        TrifacetError: other settings wrote the file, or its settings are missing or damaged.
        DataError: a complete line that is no result.
    """
    if output.is_dir():
        raise TrifacetError(f"{output} is a folder; give the name of a .jsonl file")
    claim = Claim(output.parent, settings_path(output).name)
    claim.clear([output], asked=overwrite)
    if not output.exists():
        claim.begin(fingerprint)
        return {}
    held = claim.held()
    if held is None:
        raise TrifacetError(
            f"{output} exists, but not the settings it was made with ({claim.path.name}); {claims.CURE}"
        )
    if changed := claims.differences(held, fingerprint):
        raise claims.refused(f"{output} was written with other settings ({claims.told(changed)})")
    return _read_and_mend(output, fingerprint["max_new_tokens"])


def _read_and_mend(output: Path, longest: int) -> dict[str, Written]:
    try:
        with output.open("r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
    except OSError as error:
        raise TrifacetError(f"cannot continue {output}: {error.strerror}; choose another output") from None
    texts: dict[str, Written] = {}
    for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
            text = Written(**{key: row[key] for key in KEPT}, filtered=tuple(map(str, row.get("filtered", ()))))
            text = replace(text, ended=text.new_tokens < longest)
            if not (isinstance(text.id, str) and isinstance(text.text, str)):
                raise TypeError("id and text are texts")
        except (ValueError, KeyError, TypeError):
            raise DataError(
                "is not a result of this program", fix="delete the line or --overwrite", file=output, row=number
            ) from None
        texts[text.id] = text
    return texts


def _line(text: Written) -> str:
    row = {key: getattr(text, key) for key in KEPT} | ({"filtered": text.filtered} if text.filtered else {})
    return json.dumps(row, ensure_ascii=False) + "\n"


def _bare(text: Written) -> str:
    return json.dumps({"id": text.id, "text": text.text}, ensure_ascii=False) + "\n"
