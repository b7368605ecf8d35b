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
    from trifacet.data.writing import Written
    from trifacet.lettering.request import Quoting

LONGEST_POST = 1_000_000  # bytes of a file with a post
VARYING = 0.7  # temperature of several texts, where none is given


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
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or hub id of a checkpoint. \\[default: TRIFACET_MODEL, or the configuration]",
            show_default=False,
        ),
    ] = None,
    more_image: Annotated[
        list[Path] | None,
        typer.Option(help="A further picture of the post, shown after each described one; give it again for more."),
    ] = None,
    context: Annotated[str | None, typer.Option(callback=a_text, help="Text of the post around the images.")] = None,
    context_file: Annotated[Path | None, typer.Option(help="File with the text of the post (UTF-8).")] = None,
    context_from: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Page or document that shows the images: the words around each.")
    ] = None,
    vary: Annotated[
        int | None, typer.Option(min=2, max=64, help="Draw so many texts, and mark what they disagree on.")
    ] = None,
    lang: Annotated[
        str | None, typer.Option(metavar="CODE", callback=a_text, help="Ask for a text in this language, such as de.")
    ] = None,
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

    Example: trifacet describe images/photo.jpg --context-from index.html --vary 5
    """
    from trifacet.base.errors import DataError, TrifacetError
    from trifacet.cli.default_model import chosen_model
    from trifacet.data.records import TestSample
    from trifacet.generation.results import check_images
    from trifacet.generation.settings import Generation
    from trifacet.generation.writer import FamilyWriter

    post = read_context(context, context_file)
    if context_from is not None and post:
        raise TrifacetError("--context-from gives the words around the images; leave --context and --context-file out")
    # Files that the user names may lie anywhere; the root of the file system bounds nothing.
    for path in [*images, *(more_image or ())]:
        if not path.is_file():
            raise DataError("no such file", fix="correct the path of the image", file=path)
    paths = [path.resolve() for path in images]
    posts_of = words_around(context_from, paths) if context_from is not None else [post] * len(paths)
    beside = tuple(str(path.resolve()) for path in more_image or ())
    samples = [
        TestSample(id=f"{number} ({path})", image=str(path), more_images=beside, context=around)
        for number, (path, around) in enumerate(zip(paths, posts_of, strict=True), start=1)
    ]
    settings = Generation(
        beams=beams,
        temperature=temperature or (VARYING if vary else 0.0),
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        filter=filter.value if filter else None,
    )
    check_images(samples, paths[0].anchor)
    model = chosen_model(model)
    asked = way_of_asking(model, prompt=prompt, read=read)
    if lang:
        asked = asked.model_copy(update={"prompt": f"{asked.prompt} {in_language(lang)}"})
    posts = read_words(samples, paths[0].anchor, asked.quoting)  # before minutes go into loading the model
    loaded, encoder = load_for_generation(model, prompt=prompt, dtype=dtype, device=device, asked=asked)
    drawn = FamilyWriter(loaded.model, encoder, settings, seed).write(posts, paths[0].anchor, draws=vary or 1)
    groups = [drawn[at : at + (vary or 1)] for at in range(0, len(drawn), vary or 1)]
    varied = [varying(group) if vary else {} for group in groups]
    texts = [group[found["sample"] if vary else 0] for group, found in zip(groups, varied, strict=True)]
    rows: list[dict[str, Any]] = [
        {"image": str(path), "text": one_line(text.text), "prompt_tokens": text.prompt_tokens,
         "new_tokens": text.new_tokens, "cut_tokens": text.cut_tokens, **words_of(sample, asked.quoting),
         **({"filtered": list(text.filtered)} if text.filtered else {}), **found}
        for path, text, sample, found in zip(images, texts, posts, varied, strict=True)
    ]  # fmt: skip
    for row in rows:
        if broken := row.get("filtered"):
            err.print(f"{plain(row['image'])}: no text: what was written breaks {', '.join(broken)}", soft_wrap=True)
    if json_path:
        further = [str(path) for path in more_image or ()]
        write_json({"model": model, "more_images": further, "images": rows}, json_path)
    if json_path != "-":
        for row in rows:
            told = row.get("marked", row["text"])
            typer.echo(told if len(rows) == 1 else f"{visible_line(row['image'])}\t{told}")


def varying(texts: Sequence[Written]) -> dict[str, Any]:
    """What several texts of one image agree on, for JSON: which sample is shown, and its parts that others lack."""
    from trifacet.describing.confidence import DEMO
    from trifacet.generation.variation import marked, vary

    samples = [one_line(text.text) for text in texts]
    found = vary(samples)
    text = samples[found.place]
    parts = [{"text": text[span.start : span.end], "start": span.start, "end": span.end, "said": span.said}
             for span in found.spans]  # fmt: skip
    return {
        "sample": found.place, "samples": samples, "varies": parts, "confidence": round(DEMO.of(found), 3),
        "marked": marked(text, found.spans, len(samples)),
    }  # fmt: skip


def words_around(page: Path, images: Sequence[Path]) -> list[str]:
    """The words around each image on a page, as a post. Raises TrifacetError for an image that it does not show."""
    from trifacet.base.errors import DataError
    from trifacet.describing.requests import Asking, request
    from trifacet.describing.scanning import root_of, scan

    root = root_of([page])
    places = [place for document in scan([page], root) for place in document.places]
    shown = {(root / place.picture.file).resolve(): place for place in reversed(places) if place.picture.file}
    for image in images:
        if image not in shown:
            raise DataError(f"shows no {image.name} of that folder", fix="name the page that shows it", file=page)
    return [request(shown[image], Asking("trained")).post for image in images]


def in_language(code: str) -> str:
    """The sentence of a request that asks for a language."""
    from trifacet.describing.requests import LANGUAGES

    return f"Write in {LANGUAGES.get(code.lower().split('-')[0], code)}."


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
