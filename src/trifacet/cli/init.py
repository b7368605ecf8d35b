"""``trifacet init``: a short recipe that runs, from a few answers.

Invariant: what is written loads, and its data were read; what the recipe does not say is a default that fits.
"""

from __future__ import annotations

import difflib
import itertools
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from trifacet.base.errors import DataError, TrifacetError
from trifacet.cli.common import err, out, plain
from trifacet.preferences.objectives import OBJECTIVES

_GIB = 2**30
_BATCH, _SMALL_BATCH = 64, 8  # samples of an optimiser step: MCM-DPO's, and of few rows
_FULL, _FROZEN, _FOUR_BIT = 16, 2, 0.6  # bytes a weight: with gradient and AdamW's state; frozen; in four bits
_ROOM = 6  # GiB beside the weights, at least: activations of one sample, adapters and their optimiser
_LOOKED_AT = 500  # rows that are read before anything is written
_GROUPS = 3  # of MFPO's curriculum
_MFPO = (  # what the method has beside its objective
    "rejected:",
    "  image: {strategy: region-diffusion} # noise in the key regions alone",
    "",
    "regions:",
    "  words: {method: mfpo, k: 4} # nouns of the chosen response",
)
_GIVEN = "  locator: {name: given} # the boxes or masks of the rows"
_DETECTED = (
    "  locator: {name: grounding-dino, model: IDEA-Research/grounding-dino-tiny, masks_by: facebook/sam-vit-base} "
    "# or another: docs/locators.md"
)


class _Model(NamedTuple):
    """A checkpoint that many start from: hub id, thousands of millions of weights, and keys of its own."""

    path: str
    billions: float
    keys: tuple[str, ...] = ()


_PIXELS = ("image_pixels: [50176, 602112] # of a picture; 28 x 28 of them are a token",)
MODELS = {
    "llava-1.5-7b": _Model("llava-hf/llava-1.5-7b-hf", 7.1),
    "llava-1.6-7b": _Model("llava-hf/llava-v1.6-vicuna-7b-hf", 7.1),
    "qwen2.5-vl-7b": _Model("Qwen/Qwen2.5-VL-7B-Instruct", 8.3, _PIXELS),
    "qwen2.5-vl-3b": _Model("Qwen/Qwen2.5-VL-3B-Instruct", 3.8, _PIXELS),
    "smolvlm": _Model("HuggingFaceTB/SmolVLM-Instruct", 2.2),
    "internvl3-2b": _Model("OpenGVLab/InternVL3-2B-hf", 2.1),
    "gemma-3-4b": _Model("google/gemma-3-4b-it", 4.3),
}


def init(
    recipe: Annotated[Path, typer.Argument(metavar="[RECIPE]", help="The file to write.")] = Path("recipe.yaml"),
    *,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Folder or hub id of a checkpoint, or one of {', '.join(MODELS)}.",
            show_default=False,
            autocompletion=lambda: list(MODELS),
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Preference pairs, or supervised samples.", show_default=False),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="ROOT", help="Folder that image paths are relative to. [default: the file's]")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Held-out samples to describe and score.", show_default=False)
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(OBJECTIVES)} [default: what the data have versions for]",
            show_default=False,
            autocompletion=lambda: list(OBJECTIVES),
        ),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0, max=10_000, metavar="GIB", help="Memory of the GPU; 0: there is none.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a short recipe for a model and data of yours, and print the command that runs it.

    What is not given is asked for, where there is somebody to ask.

    Example: trifacet init --model qwen2.5-vl-3b --data pairs.jsonl --memory 24
    """
    from trifacet.base.files import write_atomically
    from trifacet.generation.results import check_images
    from trifacet.training.recipe import load_recipe

    if recipe.exists() and not overwrite:
        raise TrifacetError(f"{recipe} is there already; name another file, or say --overwrite")
    chosen = _model(model or _asked("model (folder, hub id or one of the names in --help)", "--model"))
    file = data or Path(_asked("file of the data", "--data"))
    images = images or Path(_asked("folder that image paths are relative to", "--images", str(file.parent)))
    found = _looked_at(file, images)
    named = _objective(objective, found)
    files = {"root": file.parent, "images": _below(images, file.parent), found.kind: Path(file.name), "test": None}
    if test is not None:
        check_images(_first(test, "test"), images or file.parent)
        files["test"] = _below(test, file.parent)
    if memory is None:
        memory = _memory()
    write_atomically(recipe, _text(recipe, chosen, files, named, found, memory))
    load_recipe(recipe)
    err.print(f"{plain(str(file))}: {found.told}", soft_wrap=True)
    out.print(plain(f"trifacet run {shlex.quote(str(recipe))}"))


def _below(path: Path | None, root: Path) -> Path | None:
    """``path`` as a recipe writes it: relative to the data's root, or whole where it lies elsewhere."""
    if path is None or path.resolve() == root.resolve():
        return None
    inside = path.resolve().is_relative_to(root.resolve())
    return path.resolve().relative_to(root.resolve()) if inside else path.resolve()


def _memory() -> float:
    """GiB of the GPU: as somebody says, who is told what is here; where nobody is there, what is here."""
    from trifacet.base.extras import needed_for

    with needed_for("without --memory looking for a GPU"):
        import torch
    here = torch.cuda.get_device_properties(0).total_memory / _GIB if torch.cuda.is_available() else 0
    answer = _asked("memory of the GPU in GiB (0: none)", "--memory", f"{here:.0f}")
    try:
        return max(float(answer), 0)
    except ValueError:
        raise TrifacetError(f"--memory is a number of GiB, got {answer!r}") from None


def _asked(what: str, option: str, default: str | None = None) -> str:
    """The answer to a question. Raises TrifacetError where nobody can be asked and there is no default."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, default=default, err=True))
    if default is None:
        raise TrifacetError(f"say {option}: {what}")
    return default


def _model(name: str) -> _Model:
    """The checkpoint of this name; of a folder, the number of its weights.

    Raises:
        TrifacetError: a folder that holds no checkpoint of a family that can be loaded.
    """
    from trifacet.base.opening import read_text
    from trifacet.models.families import FAMILIES

    if name in MODELS:
        return MODELS[name]
    folder = Path(name)
    if not folder.is_dir():
        if near := difflib.get_close_matches(name.lower(), MODELS, n=1, cutoff=0.7):
            raise TrifacetError(f"no folder and no hub id: {name!r}; did you mean {near[0]!r}?")
        if name.count("/") != 1:
            raise TrifacetError(
                f"no such folder: {name!r}; give a folder, a hub id such as owner/name, or one of {', '.join(MODELS)}"
            )
        return next((one for one in MODELS.values() if one.path == name), _Model(name, 0))
    config = folder / "config.json"
    try:
        kind = json.loads(read_text(config, 10_000_000)).get("model_type")
    except (ValueError, AttributeError, RecursionError):
        raise DataError("is no JSON object", fix="name the folder of a checkpoint", file=config) from None
    if kind not in FAMILIES:
        raise DataError(f"model family {kind!r} is not supported", fix="`trifacet families` lists them", file=config)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    keys = _PIXELS if FAMILIES[kind].images == "any size" else ()
    return _Model(name, weights / _FROZEN / 1e9, keys)


class _Found(NamedTuple):
    """What the first rows of a file are."""

    kind: str
    rows: int
    posts: bool
    pictures: bool
    regions: bool

    @property
    def told(self) -> str:
        what = "preference pairs" if self.kind == "preference" else "supervised samples"
        has = [name for name, there in (("posts", self.posts), ("pictures", self.pictures)) if there]
        return f"{self.rows} row{'s' * (self.rows > 1)} looked at, {what}{' with ' if has else ''}{' and '.join(has)}"


def _first(file: Path, kind: str) -> list[Any]:
    from trifacet.data.formats import iter_samples

    return [sample for _, sample in itertools.islice(iter_samples(file, kind), _LOOKED_AT)]


def _looked_at(file: Path, images: Path | None) -> _Found:
    """What the first rows are; their pictures have to be there. Raises DataError where they cannot be read."""
    from trifacet.data.given_regions import COLUMN
    from trifacet.generation.results import check_images
    from trifacet.preferences.facets import FACETS

    try:
        samples = _first(file, "preference")
        pairs = any(one.rejected(facet) for one in samples for facet in FACETS)
    except DataError as refused:
        try:
            samples, pairs = _first(file, "sft"), False
        except DataError:
            raise refused from None
    if not samples:
        raise DataError("has no rows", fix="give a file with at least one sample", file=file)
    check_images(samples, images or file.parent)
    posts, pictures = (any(getattr(one, name) for one in samples) for name in ("context", "image"))
    regions = any(one.extra.get(COLUMN) for one in samples)
    return _Found("preference" if pairs else "sft", len(samples), posts, pictures, regions)


def _objective(name: str | None, found: _Found) -> str:
    """The objective: by name, or the one for all facets that the data have. Raises TrifacetError for none."""
    from trifacet.preferences.objectives import resolve_objective

    if found.kind == "sft":
        if name not in (None, "sft"):
            raise TrifacetError(f"the data have no rejected version to compare by {name!r}; leave --objective out")
        return "sft"
    if name is None:
        return "mcm-dpo" if found.pictures and found.posts else "mdpo" if found.pictures else "dpo"
    return resolve_objective(name).name


def _text(file: Path, model: _Model, data: dict[str, Path | None], objective: str, found: _Found, room: float) -> str:
    """The recipe. Raises TrifacetError where the memory does not hold the model."""
    name = file.stem
    weights = model.billions * 1e9 / _GIB
    full, on_gpu = weights and room >= _FULL * weights + 2 * _ROOM, room > 0
    four_bit = bool(on_gpu and room < _FROZEN * weights + _ROOM)
    if four_bit and room < _FOUR_BIT * weights + _ROOM:
        raise TrifacetError(
            f"{room:g} GiB are too little for {model.path}: its weights take {_FOUR_BIT * weights:.0f} GiB in four "
            f"bits, and training {_ROOM} more at least; choose a smaller model, such as smolvlm"
        )
    how = "all weights train" if full else f"adapters train on frozen weights ({'QLoRA' if four_bit else 'LoRA'})"
    lines = [
        f"# trifacet run {shlex.quote(str(file))}",
        "#",
        f"# {objective} on {'one GPU of ' + format(room, 'g') + ' GiB' if on_gpu else 'a CPU'}: {how}. "
        "All keys: docs/recipes.md.",
        f"name: {json.dumps(name)}",
        f"output: {json.dumps(f'runs/{name}')}",
        "",
        "model:",
        f"  path: {json.dumps(model.path)}",
        *(f"  {key}" for key in model.keys),
    ]
    if full:
        lines += ["  mixed_precision: true # weights in float32, arithmetic in bfloat16"]
    else:
        lines += ["  dtype: bfloat16 # the frozen weights; what trains is kept in float32"] if on_gpu else []
        lines += ["  four_bit: true # pip install 'trifacet[four-bit]'"] if four_bit else []
        lines += ["  lora: {rank: 64} # scaled by alpha = twice the rank; the vision encoder stays as it is"]
    lines += ["", "data:", *(f"  {key}: {json.dumps(str(path))}" for key, path in data.items() if path is not None)]
    samples = _BATCH if found.rows == _LOOKED_AT else _SMALL_BATCH
    size = min(samples, 4 if full or room >= 2 * (_FROZEN * weights + _ROOM) else 2)
    stage = {
        "learning_rate": ("2.0e-5" if full else "2.0e-4") if objective == "sft" else ("5.0e-7" if full else "1.0e-5"),
        "epochs": "1 # look at the log and the texts before you take more",
        "batch_size": f"{size} # out of memory? halve this and double the accumulation",
        "accumulation": f"{samples // size}",
        "gradient_checkpointing": "true",
        "save_every": "100",
    }
    if objective == "sft":
        lines += ["", "sft:", *(f"  {key}: {value}" for key, value in stage.items())]
    else:
        if objective == "mfpo":
            lines += ["", *_MFPO, _GIVEN if found.regions else _DETECTED]
            if found.rows >= _GROUPS:
                stage["curriculum"] = f"{{groups: {_GROUPS}}} # by entropy, from easy to hard"
        lines += ["", "align:", f"  {objective}:", f"    objective: {objective}"]
        lines += [f"    {key}: {value}" for key, value in stage.items()]
    return "\n".join(lines) + "\n"
