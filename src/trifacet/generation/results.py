"""Generated texts on disk: JSON lines, written as they come, continued where a run stopped.

Invariant: every complete line of a results file was made by the settings in ``<file>.settings.json``. The settings
are on disk before the first line is. While texts come each line carries its own seal; a file that is finished is sealed
as a whole, beside the settings. A text that is not as it was written is written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.digests import text_digest
from trifacet.base.embedded import plain_name
from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.base.files import append_durably, replacing, write_atomically
from trifacet.base.images import MAX_PIXELS, image_facts, resolve_inside
from trifacet.base.progress import console
from trifacet.base.seals import sealed, unsealed
from trifacet.data.formats import iter_samples
from trifacet.data.records import TestSample
from trifacet.data.writing import Writer, Written
from trifacet.generation.settings import settings_path

Progress = Callable[[int, int], None]
KEPT = ("id", "text", "prompt_tokens", "new_tokens", "cut_tokens")  # of a text, in its line
WHOLE = "sha256"  # beside the settings: of the finished file, None while it grows


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
    claim, done = (None, {}) if settings is None else open_results(output, settings, overwrite=overwrite)
    check_images([sample for sample in samples if sample.id not in done], images_root, max_pixels=max_pixels)
    if on_progress:
        on_progress(len(done), len(samples))

    def append(batch: list[Written]) -> None:
        if settings is not None:
            append_durably(output, "".join(map(_sealed_line, batch)).encode("utf-8"))
        done.update((text.id, text) for text in batch)
        if on_progress:
            on_progress(len(done), len(samples))

    writer.write(samples, images_root, done=frozenset((name, 0) for name in done), on_written=append)
    ordered = [done[sample.id] for sample in samples]
    whole = "".join(map(_line if settings is not None else _bare, ordered))
    if claim is not None:  # before the file: a kill in between leaves lines with seals of their own
        claim.set(WHOLE, text_digest(whole))
    write_atomically(output, whole)
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
                image_facts(resolve_inside(images_root, name), plain_name(name), max_pixels=max_pixels)
        except DataError as error:
            rows = iter_samples(file, "test", format) if file else ()
            row = next((number for number, one in rows if one.id == sample.id), None)
            raise of_sample(sample.id, error, "image" if row else None, file=file, row=row) from None


def open_results(
    output: Path, fingerprint: Mapping[str, Any], *, overwrite: bool = False
) -> tuple[Claim, dict[str, Written]]:
    """Make ``output`` ready to be appended to, and give its settings and the texts that are in it by id.

    The last line is dropped if a kill left it without its end, and so are lines that are not as they were written.

    Raises:
        TrifacetError: other settings wrote the file, or its settings are missing or damaged.
        DataError: a complete line that is no result.
    """
    if output.is_dir():
        raise TrifacetError(f"{output} is a folder; give the name of a .jsonl file")
    claim = Claim(output.parent, settings_path(output).name)
    claim.clear([output], asked=overwrite)
    if not output.exists():
        claim.begin({**fingerprint, WHOLE: None})
        return claim, {}
    held = claim.held()
    if held is None:
        raise TrifacetError(
            f"{output} exists, but not the settings it was made with ({claim.path.name}); {claims.CURE}"
        )
    made_with = {key: value for key, value in held.items() if key != WHOLE}
    if changed := claims.differences(made_with, fingerprint):
        raise claims.refused(f"{output} was written with other settings ({claims.told(changed)})")
    if WHOLE in held:
        _drop_damaged(output, held[WHOLE])
    return claim, _read_and_mend(output, fingerprint["max_new_tokens"])


def sound_lines(content: bytes, whole: str | None) -> list[bool]:
    """Which lines of a results file are as they were written; ``whole`` is the digest of a finished one."""
    lines = content.split(b"\n")[:-1]
    if hashlib.sha256(content).hexdigest() == whole:
        return [True] * len(lines)
    return [_text_of(line) is not None for line in lines]


def _drop_damaged(output: Path, whole: str | None) -> None:
    """Take lines out that are not as they were written."""
    content = output.read_bytes()
    sound = sound_lines(content, whole)
    if not all(sound):
        kept = [line + b"\n" for line, fine in zip(content.split(b"\n"), sound, strict=False) if fine]
        gone = f"{len(sound) - len(kept)} of {len(sound)} texts are"
        console.print(f"{output}: {gone} not as they were written: written anew", soft_wrap=True)
        with replacing(output) as temporary:
            temporary.write_bytes(b"".join(kept))


def _text_of(line: bytes) -> dict[str, Any] | None:
    """The row of a line with its own seal; None where it has none, or is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return unsealed(row) if isinstance(row, dict) and "seal" in row else None


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
    return json.dumps(_row(text), ensure_ascii=False) + "\n"


def _sealed_line(text: Written) -> str:
    return json.dumps(sealed(_row(text)), ensure_ascii=False) + "\n"


def _row(text: Written) -> dict[str, Any]:
    return {key: getattr(text, key) for key in KEPT} | ({"filtered": text.filtered} if text.filtered else {})


def _bare(text: Written) -> str:
    return json.dumps({"id": text.id, "text": text.text}, ensure_ascii=False) + "\n"
