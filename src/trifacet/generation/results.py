"""Generated texts on disk: JSON lines, written as they come, continued where a run stopped.

Invariant: every complete line of a results file was made by the settings in ``<file>.settings.json``. The settings
are on disk before the first line is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import append_durably, write_atomically
from trifacet.base.images import MAX_PIXELS, image_facts, resolve_inside
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.settings import Generation, data_digest, settings_path
from trifacet.generation.texts import Generated, generate_texts

Progress = Callable[[int, int], None]


def generate_to_file(
    model: Any,
    encoder: SampleEncoder,
    samples: Sequence[TestSample],
    output: Path,
    *,
    images_root: str | Path,
    settings: Generation,
    weights: str,
    seed: int = 17,
    overwrite: bool = False,
    on_progress: Progress | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[Generated]:
    """Write a text for every sample to ``output``; a file that is there already is continued.

    Lines {"id", "text", "prompt_tokens", "new_tokens", "cut_tokens"} are appended batch by batch and brought into the
    order of ``samples`` at the end: a run that was stopped and continued leaves the file that one without a stop
    leaves. Where no candidate passed the filter the text is empty, and "filtered" names the rules.

    Args:
        model: as in ``generate_texts``, as are ``encoder``, ``images_root``, ``settings``, ``seed``, ``max_pixels``.
        encoder: see ``model``.
        samples: the posts; the first ``settings.limit`` of them are described.
        output: the JSONL file.
        images_root: folder of the images.
        settings: how the texts are written.
        weights: what identifies the model's weights (``models.loading.weights_fingerprint``).
        seed: seed of the sampling.
        overwrite: begin anew, whatever is there.
        on_progress: called with (texts done, texts in all) at the start and after each batch.
        max_pixels: largest image.

    Returns:
        The texts of all samples, in their order.

    Raises:
        TrifacetError: the file was written by other settings, or is not such a file, or cannot be written.
    """
    samples = samples[: settings.limit]
    fingerprint = fingerprint_of(encoder, samples, settings, weights=weights, seed=seed, dtype=str(model.dtype))
    done = open_results(output, fingerprint, overwrite=overwrite)
    check_images([sample for sample in samples if sample.id not in done], images_root, max_pixels=max_pixels)
    if on_progress:
        on_progress(len(done), len(samples))

    def append(batch: list[Generated]) -> None:
        append_durably(output, "".join(map(_line, batch)).encode("utf-8"))
        done.update((text.id, text) for text in batch)
        if on_progress:
            on_progress(len(done), len(samples))

    generate_texts(
        model,
        encoder,
        samples,
        images_root=images_root,
        settings=settings,
        seed=seed,
        done=frozenset(done),
        on_batch=append,
        max_pixels=max_pixels,
    )
    ordered = [done[sample.id] for sample in samples]
    write_atomically(output, "".join(map(_line, ordered)))
    return ordered


def check_images(samples: Sequence[TestSample], images_root: str | Path, *, max_pixels: int = MAX_PIXELS) -> None:
    """Read every image's header, so that a missing file is found now and not after hours.

    Raises:
        DataError: naming the first sample whose image is missing, unreadable or too large.
    """
    for sample in samples:
        try:
            for name in sample.pictures:
                image_facts(resolve_inside(images_root, name), max_pixels=max_pixels)
        except DataError as error:
            raise DataError(f"sample {sample.id!r}: {error.problem}", fix=error.fix) from None


def fingerprint_of(
    encoder: SampleEncoder,
    samples: Sequence[TestSample],
    settings: Generation,
    *,
    weights: str,
    seed: int,
    dtype: str,
) -> dict[str, Any]:
    """What the texts depend on. The posts per batch are so only where texts are drawn, a batch at a time."""
    sampling = {"seed": seed, "batch_size": settings.batch_size} if settings.temperature > 0 else {}
    chosen = {"filter": settings.filter} if settings.filter else {}
    return {
        "weights": weights,
        "dtype": dtype,
        "data": data_digest(samples),
        "samples": len(samples),
        "prompt": encoder.prompt,
        "context_label": encoder.context_label,
        "max_length": encoder.max_length,
        "beams": settings.beams,
        "temperature": settings.temperature,
        "max_new_tokens": settings.max_new_tokens,
        **sampling,
        **chosen,
    }


def open_results(output: Path, fingerprint: Mapping[str, Any], *, overwrite: bool = False) -> dict[str, Generated]:
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
    return _read_and_mend(output)


def _read_and_mend(output: Path) -> dict[str, Generated]:
    try:
        with output.open("r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
    except OSError as error:
        raise TrifacetError(f"cannot continue {output}: {error.strerror}; choose another output") from None
    texts: dict[str, Generated] = {}
    for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
            passed = {key: row[key] for key in Generated.__dataclass_fields__ if key != "filtered"}
            text = Generated(**passed, filtered=tuple(map(str, row.get("filtered", ()))))
            if not (isinstance(text.id, str) and isinstance(text.text, str)):
                raise TypeError("id and text are texts")
        except (ValueError, KeyError, TypeError):
            raise DataError(
                "is not a result of this program", fix="delete the line or --overwrite", file=output, row=number
            ) from None
        texts[text.id] = text
    return texts


def _line(text: Generated) -> str:
    row = {key: value for key, value in vars(text).items() if key != "filtered" or value}
    return json.dumps(row, ensure_ascii=False) + "\n"
