"""``trifacet export``: from a checkpoint or adapter to what another program loads, and whether it says the same.

Invariant: what is said to be verified was loaded anew, from the files that lie there, by the program itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trifacet.base.errors import TrifacetError
from trifacet.base.progress import console
from trifacet.models.asking import FILE
from trifacet.models.loading import LoadedModel, load_model
from trifacet.publishing import gguf
from trifacet.publishing.card import card
from trifacet.publishing.checking import ADAPTED, Check, check_llama, check_plainly
from trifacet.publishing.folder import MARK, ExportFolder, claimed
from trifacet.publishing.hub_folder import (
    lacking,
    round_weights,
    stored_dtype,
    write_adapter,
    write_model,
    write_processor,
)
from trifacet.publishing.links import refuse_links_out
from trifacet.publishing.origin import Origin, is_hub_id, licence_of, origin_of
from trifacet.publishing.probing_texts import Said, largest_difference, said_of
from trifacet.publishing.upload import upload

Target = Literal["hub-folder", "adapter", "gguf"]


@dataclass(frozen=True)
class Export:
    """What is asked for.

    Args:
        model: folder or hub id.
        to: the target.
        output: the folder; by default beside the working directory, named after model and target.
        dtype: type of the weights; None: as the base's lie on disk.
        shard: largest file of weights, such as ``5GB``.
        base: name of the base in an adapter and in the card; None: as the adapter has it.
        converter: llama.cpp's script, for GGUF.
        gguf_type: type of the weights in GGUF.
    """

    model: str
    to: Target
    output: Path | None = None
    dtype: str | None = None
    shard: str = "5GB"
    base: str | None = None
    converter: Path | None = None
    gguf_type: str = "auto"


@dataclass
class _Expected:
    """What the model says in memory: with its adapter beside the base, merged, and as its weights are rounded."""

    unmerged: list[Said] | None = None
    merged: list[Said] | None = None
    rounded: list[Said] | None = None


def export(
    asked: Export,
    *,
    check: bool = False,
    overwrite: bool = False,
    repository: str | None = None,
    private: bool = True,
    unverified: bool = False,
) -> tuple[Path, list[Check], str | None]:
    """Export a model; the folder, what came of checking it, and the address on the hub.

    Args:
        asked: what and where to.
        check: load it anew, and see whether it says the same.
        overwrite: make anew what lies in the folder.
        repository: put it there on the hub.
        private: make a new repository private.
        unverified: also what no check has verified.

    Raises:
        TrifacetError: the model cannot be read or written in this form, or has files that are links out of it; the
            folder is another's, the disk is full, the hub refuses, or nothing is verified that was to be put there.
    """
    origin = origin_of(asked.model)
    _refuse_unsuited(asked, origin, repository)
    for source in filter(Path.is_dir, map(Path, origin.sources)):
        refuse_links_out(source)
    output = asked.output or Path(f"{_file_name(origin)}-{asked.to}")
    if not (output / MARK).exists():  # before a folder is made
        _converter_of(asked)
    with claimed(output, _facts(asked, origin), overwrite=overwrite) as folder:
        loaded: LoadedModel | None = None
        expected = _Expected()
        if not folder.is_finished:
            _converter_of(asked)
            loaded = _load(asked, origin, expected, check=check)
            _write(folder, asked, origin, loaded, expected, check=check)
        checks = _noted(folder)
        if check:
            folder.refuse_changed()
            if loaded is None:
                loaded = _load(asked, origin, expected, check=True)
                _round(loaded, asked, origin, expected, check=True)
            checks = _checked(folder, asked, origin, loaded, expected)
            folder.claim.set("checks", [one.told() for one in checks])
        address = None
        if repository:
            if not unverified and not (checks and all(one.verdict == "verified" for one in checks)):
                raise TrifacetError(
                    f"{output}: nothing has verified it, so it is not uploaded; use --check, or --unverified to "
                    "upload it all the same"
                )
            address = upload(folder, repository, private=private)
        return output, checks, address


def _facts(asked: Export, origin: Origin) -> dict[str, Any]:
    return {
        "model": str(Path(asked.model).resolve()) if Path(asked.model).exists() else asked.model,
        "files": origin.digest(),
        "to": asked.to,
        "dtype": asked.dtype,
        "shard": asked.shard,
        "base": asked.base,
        **({"gguf_type": asked.gguf_type} if asked.to == "gguf" else {}),
    }


def _converter_of(asked: Export) -> Path:
    """The converter, where one is needed. Raises TrifacetError where it is not there."""
    if asked.to == "gguf" and not (asked.converter and asked.converter.is_file()):
        given = f"{asked.converter}: no such file; " if asked.converter else ""
        raise TrifacetError(f"{given}GGUF files are written by llama.cpp's converter: {gguf.HINT}")
    return asked.converter or Path()


def _refuse_unsuited(asked: Export, origin: Origin, repository: str | None) -> None:
    if asked.to != "adapter":
        return
    if origin.adapter is None:
        raise TrifacetError(f"{asked.model}: is a whole model and no adapter; use --to hub-folder")
    if len(origin.bases) > 1:
        raise TrifacetError(
            f"{asked.model}: stands on another adapter, {origin.bases[0]}, which PEFT does not read; use --to "
            "hub-folder, which merges both"
        )
    if repository and not is_hub_id(asked.base or origin.bases[0]):
        raise TrifacetError(
            f"{asked.model}: its base is the folder {origin.bases[0]}, which nobody else has; name the hub's with "
            "--base"
        )


def _load(asked: Export, origin: Origin, expected: _Expected, *, check: bool) -> LoadedModel:
    """The model merged, in float32; with ``check`` what it says before and after that."""

    def note(adapted: LoadedModel) -> None:
        expected.unmerged = said_of(adapted.model, adapted.processor, origin.asking.prompt)

    told = (Path(origin.sources[0]) / FILE).is_file()  # how LLaVA-1.6 reads pictures; else as its own processor does
    tiles = None if told or origin.adapter else "any"
    noting: Callable[[LoadedModel], None] | None = note if check else None
    loaded = load_model(asked.model, device="cpu", image_tiles=tiles, before_merging=noting)  # type: ignore[arg-type]
    if check:
        expected.merged = said_of(loaded.model, loaded.processor, origin.asking.prompt)
    return loaded


def _round(loaded: LoadedModel, asked: Export, origin: Origin, expected: _Expected, *, check: bool) -> str:
    """Have the weights in the type in which they are written; its name."""
    dtype = asked.dtype or stored_dtype(origin.sources[-1])
    round_weights(loaded.model, dtype)
    if not check:
        return dtype
    if dtype == "float32":
        expected.rounded = expected.merged
    else:
        round_weights(loaded.model, "float32")  # to compute in it; no number changes
        expected.rounded = said_of(loaded.model, loaded.processor, origin.asking.prompt)
        round_weights(loaded.model, dtype)
    return dtype


def _write(
    folder: ExportFolder, asked: Export, origin: Origin, loaded: LoadedModel, expected: _Expected, *, check: bool
) -> None:
    dtype = _round(loaded, asked, origin, expected, check=check)
    base = asked.base or origin.base
    with folder.making() as made:
        if asked.to == "gguf":
            hub = made / "hub"
            _write_hub_folder(hub, asked, origin, loaded)
            gguf.convert(hub, _converter_of(asked), _file_name(origin), made, asked.gguf_type)
            (hub / FILE).replace(made / FILE)
            shutil.rmtree(hub)
        elif asked.to == "adapter":
            assert origin.adapter is not None  # looked at before
            write_adapter(origin.adapter, made, asked.base or origin.bases[0])
            write_processor(loaded, origin.sources, made, origin.asking)
        else:
            _write_hub_folder(made, asked, origin, loaded)
            if missing := lacking(made):
                raise TrifacetError(f"{asked.model}: what is written lacks {', '.join(missing)}; tell its makers")
        family = loaded.family.name
        licence = licence_of(base)
        text = card(origin, family=family, to=asked.to, dtype=dtype, licence=licence, base=base)
        (made / "README.md").write_text(text, encoding="utf-8")
        for file in made.iterdir():  # safetensors makes files that nobody else may read
            file.chmod((made / "README.md").stat().st_mode)
    if origin.note:
        console.print(f"the card says nothing of the run: {origin.note}", soft_wrap=True)


def _write_hub_folder(folder: Path, asked: Export, origin: Origin, loaded: LoadedModel) -> None:
    write_model(loaded.model, folder, shard=asked.shard)
    rounded = origin.asking.model_copy(update={"four_bit": None})  # as the weights are already
    write_processor(loaded, origin.sources, folder, rounded)


def _checked(
    folder: ExportFolder, asked: Export, origin: Origin, loaded: LoadedModel, expected: _Expected
) -> list[Check]:
    """What each program says that the target is for, and whether merging has changed the model."""
    request = origin.asking.prompt
    loaded.model = None  # the other process holds the model too
    assert expected.merged is not None and expected.rounded is not None  # by ``check``
    found = []
    if asked.to == "adapter":
        assert expected.unmerged is not None  # it is one
        found.append(check_plainly(folder.path, origin.bases[0], request, expected.unmerged))
    elif asked.to == "hub-folder":
        found.append(check_plainly(folder.path, None, request, expected.rounded))
    else:
        model, projector = (folder.path / f"{start}{_file_name(origin)}.gguf" for start in ("", gguf.PROJECTOR))
        found.append(check_llama(model, projector, request, expected.rounded))
    if expected.unmerged is not None:
        apart = largest_difference(expected.unmerged, expected.merged)
        same = apart is not None and apart <= ADAPTED
        told = "its tokens differ" if apart is None else f"log-probs differ by {apart:.1e} nats at most, in float32"
        verdict: Literal["verified", "converts only"] = "verified" if same else "converts only"
        found.append(Check("merged as unmerged", verdict, told, {"largest_difference": apart}))
    return found


def _noted(folder: ExportFolder) -> list[Check]:
    """The checks that this export has been through."""
    told = [dict(one) for one in folder.claim.facts.get("checks") or []]
    return [Check(one.pop("program"), one.pop("verdict"), one.pop("why"), one) for one in told]


def _file_name(origin: Origin) -> str:
    """Of files and the export's folder: letters, digits and what else no shell minds; a run may be called anything."""
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in origin.title).lstrip(".-") or "model"
