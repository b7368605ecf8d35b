"""``trifacet generate``: texts for a whole test set. Invariant: the same command continues what was interrupted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from trifacet.cli.common import err, plain
from trifacet.cli.describe import (
    BatchOption,
    BeamsOption,
    DeviceOption,
    Dtype,
    DtypeOption,
    FilterOption,
    ModelOption,
    NewTokensOption,
    PromptOption,
    ReadOption,
    SeedOption,
    TemperatureOption,
    TopPOption,
    read_words,
)
from trifacet.cli.options import FormatOption
from trifacet.generation.opening import load_for_generation, way_of_asking
from trifacet.settings.section import MOST


def generate(
    data: Annotated[Path, typer.Argument(help="Test set in any data format.", show_default=False)],
    *,
    model: ModelOption,
    output: Annotated[Path, typer.Option(help="JSONL file to write or to continue.", show_default=False)],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; by default that of the data.", show_default=False)
    ] = None,
    format: FormatOption = "auto",
    beams: BeamsOption = 3,
    temperature: TemperatureOption = 0.0,
    top_p: TopPOption = 1.0,
    max_new_tokens: NewTokensOption = 256,
    batch_size: BatchOption = 8,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="The first N samples only.")] = None,
    prompt: PromptOption = None,
    read: ReadOption = None,
    seed: SeedOption = 17,
    filter: FilterOption = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever the output holds.")] = False,
) -> None:
    """Write a text for every post of a test set, batch by batch; run it again to continue after an interruption.

    Example: trifacet generate runs/demo/data/test.jsonl --model runs/demo/models/sft/model --max-new-tokens 48
    --output sft.jsonl
    """
    from trifacet.base.progress import Bar
    from trifacet.data.formats import read_samples, use_format
    from trifacet.data.records import TestSample
    from trifacet.generation.results import check_images, write_to_file
    from trifacet.generation.settings import Generation
    from trifacet.generation.writer import FamilyWriter

    use_format(format)
    settings = Generation(
        beams=beams,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        filter=filter.value if filter else None,
    )
    samples = [sample for sample in read_samples(data, "test", format) if isinstance(sample, TestSample)][:limit]
    root = images or data.parent
    check_images(samples, root, file=data, format=format)  # before minutes go into loading the model
    asked = way_of_asking(model, prompt=prompt, read=read)
    posts = read_words(samples, root, asked.quoting)
    loaded, encoder = load_for_generation(model, prompt=prompt, dtype=dtype, device=device, asked=asked)
    with Bar(plain(output.name)) as bar:
        writer = FamilyWriter(loaded.model, encoder, settings, seed)
        texts = write_to_file(writer, posts, output, images_root=root, overwrite=overwrite, on_progress=bar.update)
    cut = sum(text.cut_tokens > 0 for text in texts)
    note = f"; {cut} over-long posts were cut at their end" if cut else ""
    refused = [text.filtered for text in texts if text.filtered]
    if filter:
        rules = Counter(rule for broken in refused for rule in broken)
        named = f" ({', '.join(f'{rule} {count}' for rule, count in rules.most_common())})" if rules else ""
        note += f"; {len(refused)} posts without one: no text passed the filter{named}" if refused else "; all passed"
    err.print(f"{len(texts) - len(refused)} texts in {plain(str(output))}{note}", soft_wrap=True)
