"""``trifacet describe``: alt-text for images, one line each. Invariant: no control character reaches the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.base.words import CONTROL, visible_line, without_sequences
from trifacet.cli.common import err, plain, write_json
from trifacet.cli.options import a_share, a_temperature, a_text
from trifacet.generation.opening import load_for_generation, way_of_asking
from trifacet.settings.section import LARGEST_SEED

if TYPE_CHECKING:
    from trifacet.data.records import TestSample
    from trifacet.lettering.request import Quoting

LONGEST_POST = 1_000_000  # bytes of a file with a post


class Dtype(StrEnum):
    """Type of the weights in memory."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class TextFilter(StrEnum):
    """Which findings of the alt-text checks a text may not have."""

    ERRORS = "errors"
    WARNINGS = "warnings"


ReadOption = Annotated[
    bool | None,
    typer.Option(
        "--read/--no-read",
        help="Put the words read in the picture into the request, or do not; by default as in the model's training.",
        show_default=False,
    ),
]
ModelOption = Annotated[str, typer.Option("--model", help="Folder or hub id of a checkpoint.", show_default=False)]
BeamsOption = Annotated[int, typer.Option(min=1, max=100, help="Beams; 1 is greedy.")]
TemperatureOption = Annotated[float, typer.Option(min=0, max=100, callback=a_temperature, help="0: no sampling.")]
TopPOption = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        callback=a_share,
        help="With a temperature: draw from the likeliest tokens with this share together.",
    ),
]
NewTokensOption = Annotated[int, typer.Option(min=1, max=100_000, help="Longest text in tokens.")]
BatchOption = Annotated[int, typer.Option(min=1, max=100_000, help="Posts per batch.")]
PromptOption = Annotated[
    str | None,
    typer.Option(
        callback=a_text, help="The request; by default the one the model was trained with here, else the paper's."
    ),
]
DtypeOption = Annotated[Dtype, typer.Option(help="Type of the weights in memory.")]
DeviceOption = Annotated[str, typer.Option(help="auto (an accelerator if there is one), cpu, cuda ...")]
SeedOption = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the sampling.")]
FilterOption = Annotated[
    TextFilter | None,
    typer.Option(
        "--filter",
        help="Give no text rather than one with an error of the alt-text checks, or (warnings) with any finding.",
    ),
]


def describe(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    *,
    model: ModelOption,
    more_image: Annotated[
        list[Path] | None,
        typer.Option(help="A further picture of the post, shown after each described one; give it again for more."),
    ] = None,
    context: Annotated[str | None, typer.Option(callback=a_text, help="Text of the post around the images.")] = None,
    context_file: Annotated[Path | None, typer.Option(help="File with the text of the post (UTF-8).")] = None,
    beams: BeamsOption = 3,
    temperature: TemperatureOption = 0.0,
    top_p: TopPOption = 1.0,
    max_new_tokens: NewTokensOption = 256,
    batch_size: BatchOption = 8,
    prompt: PromptOption = None,
    read: ReadOption = None,
    seed: SeedOption = 17,
    filter: FilterOption = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the texts as JSON; - for standard output.")
    ] = None,
) -> None:
    """Describe images: one line of alt-text each, after path and tab where there are several.

    Example: trifacet describe photo.jpg --context "Ada's first day at school" --model runs/demo/models/mcm-dpo/model
    --max-new-tokens 48

    Example: trifacet describe sign.jpg --read --model MODEL --json -

    Example: trifacet describe photo.jpg --more-image cake.jpg --more-image gate.jpg --model MODEL
    """
    from trifacet.base.errors import DataError
    from trifacet.data.records import TestSample
    from trifacet.generation.results import check_images
    from trifacet.generation.settings import Generation
    from trifacet.generation.writer import FamilyWriter

    post = read_context(context, context_file)
    # Files that the user names may lie anywhere; the root of the file system bounds nothing.
    for path in [*images, *(more_image or ())]:
        if not path.is_file():
            raise DataError("no such file", fix="correct the path of the image", file=path)
    paths = [path.resolve() for path in images]
    beside = tuple(str(path.resolve()) for path in more_image or ())
    samples = [
        TestSample(id=f"{number} ({path})", image=str(path), more_images=beside, context=post)
        for number, path in enumerate(paths, start=1)
    ]
    settings = Generation(
        beams=beams,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        filter=filter.value if filter else None,
    )
    check_images(samples, paths[0].anchor)
    asked = way_of_asking(model, prompt=prompt, read=read)
    posts = read_words(samples, paths[0].anchor, asked.quoting)  # before minutes go into loading the model
    loaded, encoder = load_for_generation(model, prompt=prompt, dtype=dtype, device=device, asked=asked)
    texts = FamilyWriter(loaded.model, encoder, settings, seed).write(posts, paths[0].anchor)
    rows: list[dict[str, Any]] = [
        {"image": str(path), "text": one_line(text.text), "prompt_tokens": text.prompt_tokens,
         "new_tokens": text.new_tokens, "cut_tokens": text.cut_tokens, **words_of(sample, asked.quoting),
         **({"filtered": list(text.filtered)} if text.filtered else {})}
        for path, text, sample in zip(images, texts, posts, strict=True)
    ]  # fmt: skip
    for row in rows:
        if broken := row.get("filtered"):
            err.print(f"{plain(row['image'])}: no text: what was written breaks {', '.join(broken)}", soft_wrap=True)
    if json_path:
        further = [str(path) for path in more_image or ()]
        write_json({"model": model, "more_images": further, "images": rows}, json_path)
    if json_path != "-":
        for row in rows:
            typer.echo(row["text"] if len(rows) == 1 else f"{visible_line(row['image'])}\t{row['text']}")


def read_words(samples: Sequence[TestSample], images: str | Path, quoting: Quoting | None) -> Sequence[TestSample]:
    """The samples with what stands in their pictures, where a model is asked with it; a line tells what came of it."""
    from trifacet.base.progress import Bar
    from trifacet.data.words_read import counted, is_unread, with_words

    if quoting is None:
        return samples
    own = sum(1 for one in samples if one.image and not is_unread(one))
    with Bar("words in pictures") as bar:
        found = with_words(samples, images, quoting, on_progress=bar.update)
    err.print(f"words: {counted(found, quoting.characters, own)}", soft_wrap=True)
    return found


def words_of(sample: TestSample, quoting: Quoting | None) -> dict[str, Any]:
    """What was read in the picture, as the request has it, for JSON; nothing of a model that is asked without."""
    from trifacet.lettering.request import quoted, stated
    from trifacet.lettering.settings import COLUMN

    if quoting is None:
        return {}
    lettering = stated(sample.extra[COLUMN])
    lines, cut = quoted(lettering, quoting.characters)
    return {"read": {"status": lettering.status, "words": list(lines), "cut": cut}}


def read_context(text: str | None, file: Path | None) -> str:
    """The post from one of the two options, or nothing. Raises TrifacetError for both or an unreadable file."""
    from trifacet.base.errors import TrifacetError
    from trifacet.base.opening import read_text

    if text is not None and file is not None:
        raise TrifacetError("--context and --context-file both give the post; keep one of them")
    if file is None:
        return text or ""
    return read_text(file, LONGEST_POST)


def one_line(text: str) -> str:
    """``text`` for a terminal: no ANSI sequences, no control characters, white space collapsed to single blanks."""
    return " ".join(CONTROL.sub("", without_sequences(text)).split())
