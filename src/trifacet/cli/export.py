"""``trifacet export``: a model for other programs, and whether they say the same. Invariant: no token is printed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trifacet.cli.common import EXIT_FINDINGS, err, out, plain, print_table, write_json
from trifacet.cli.describe import Dtype


class To(StrEnum):
    """Forms of a model."""

    HUB_FOLDER = "hub-folder"
    ADAPTER = "adapter"
    GGUF = "gguf"


class GgufType(StrEnum):
    """Types of weights in GGUF, as llama.cpp's converter names them."""

    AUTO = "auto"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"


def export(
    model: Annotated[str, typer.Argument(help="Folder or hub id of a checkpoint or LoRA adapter.", show_default=False)],
    *,
    to: Annotated[
        To,
        typer.Option(
            help="hub-folder: merged weights as hubs have them; adapter: for PEFT; gguf: for llama.cpp.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder of the export; by default one named after model and form.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Load it anew by the program it is for, and compare what that says.")
    ] = False,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Type of the weights; by default that in which the base's lie.")
    ] = None,
    shard_gb: Annotated[int, typer.Option(min=1, max=1000, help="Largest file of weights, in GB.")] = 5,
    base: Annotated[
        str | None, typer.Option(help="The base's name in the adapter and card, where its folder is no name.")
    ] = None,
    converter: Annotated[
        Path | None,
        typer.Option(help="llama.cpp's convert_hf_to_gguf.py, which is run with your rights.", show_default=False),
    ] = None,
    gguf_type: Annotated[GgufType, typer.Option(help="Type of the weights in GGUF.")] = GgufType.AUTO,
    upload: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Put it there on the hub (HF_ENDPOINT), if --check verified it."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository of the hub public.")] = False,
    unverified: Annotated[bool, typer.Option("--unverified", help="Upload also what no check has verified.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make anew what was exported there.")] = False,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write what came of it as JSON; - for standard output.")
    ] = None,
) -> None:
    """Write a model in the form of other programs; exit code 1 where --check finds that one says something else.

    Example: trifacet export runs/demo/models/mcm-dpo/model --to hub-folder --check

    Example: trifacet export ADAPTER --to gguf --converter llama.cpp/convert_hf_to_gguf.py --check

    Example: trifacet export ADAPTER --to adapter --base OWNER/BASE --check --upload OWNER/NAME
    """
    from trifacet.publishing.exporting import Export
    from trifacet.publishing.exporting import export as exported

    asked = Export(
        model, to.value, output, dtype.value if dtype else None, f"{shard_gb}GB", base, converter, gguf_type.value
    )
    folder, checks, address = exported(
        asked, check=check, overwrite=overwrite, repository=upload, private=not public, unverified=unverified
    )
    if json_path:
        told = {"folder": str(folder), "to": to.value, "checks": [one.told() for one in checks], "address": address}
        write_json(told, json_path)
    if json_path != "-":
        if checks:
            rows = [(one.program, one.verdict, plain(one.why)) for one in checks]
            print_table("loaded anew", ("program", "verdict", "why"), rows)
        out.print(plain(str(folder)))
    if address:
        err.print(f"uploaded to {plain(address)}", soft_wrap=True)
    if any(one.verdict != "verified" for one in checks):
        raise typer.Exit(EXIT_FINDINGS)
