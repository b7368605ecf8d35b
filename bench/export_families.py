# ruff: noqa: E402 - the makers of the tests are found first
"""Exports a tiny checkpoint of every family in every form, and prints which programs say the same: docs/export.md.

Usage: python bench/export_families.py [LLAMA_CPP [FAMILY ...]]

LLAMA_CPP is a folder of llama.cpp's sources, with convert_hf_to_gguf.py; with it GGUF is tried too, for which the
packages of trifacet[gguf] are needed. The checkpoints are those of the tests, in what llama.cpp has fixed made like the
hub's: bounds of Qwen's pictures, the window of Qwen2.5-VL's vision encoder, more layers than DeepStack has in Qwen3-VL,
one layer in six of Gemma 3 with all in sight. Their home-made tokenizers split texts as GPT-2's does, which the
converter is told, since it knows tokenizers by their hashes.
"""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import tiny_qwen
import torch
from tiny_adapters import adapt, edit
from tiny_families import MAKERS, load_copy, make_family

from trifacet.base.errors import TrifacetError
from trifacet.publishing.exporting import Export, export

CONVERTER = """
import runpy, sys
sys.path[:0] = [{home!r}, {home!r} + "/gguf-py"]
import conversion.base
conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
sys.argv[0] = {home!r} + "/convert_hf_to_gguf.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TEXTS = ["Ada's first day at school, a red gate behind her.", "A cake with five candles on a blue table."] * 40
HEAD = ("family", "hub-folder: transformers", "adapter: PEFT", "merged as unmerged", "gguf: llama.cpp")


def made(name: str, folder: Path) -> Path:
    """The tiny checkpoint of a family, like the hub's in what llama.cpp does not read from it."""
    plain = tiny_qwen.text_config
    layers = {"num_hidden_layers": 4} if name == "qwen3_vl" else {}
    tiny_qwen.text_config = lambda tokenizer, **others: plain(tokenizer, **{**others, **layers})
    make_family(name, folder, TEXTS)
    tiny_qwen.text_config = plain
    if name.startswith("qwen"):
        bounds = {"shortest_edge": 4 * 16**2, "longest_edge": 16384 * 16**2}  # 4 to 16384 tokens of 16 x 16 pixels
        edit(folder, lambda told: told["image_processor"].update(size=bounds), "processor_config.json")
    if name == "qwen2_5_vl":
        edit(folder, lambda told: told["vision_config"].update(window_size=112), "config.json")
    if name == "gemma3":
        edit(folder, lambda told: told["text_config"].update(layer_types=["sliding_attention"] * 3), "config.json")
    return folder


def adapter_on(folder: Path, place: Path) -> Path:
    """LoRA with random weights on attention and vision encoder, and a head that was trained whole."""
    base = load_copy(folder).model
    ends = (".q_proj", ".qkv", ".fc1", ".linear_fc1", ".down_proj")
    names = [name for name, one in base.named_modules() if isinstance(one, torch.nn.Linear) and name.endswith(ends)]
    adapt(base, place, target_modules=names, modules_to_save=["lm_head"])
    edit(place, lambda told: told.update(base_model_name_or_path=str(folder)))
    (place / "trifacet.json").write_text('{"image_tiles": "any"}')
    return place


def row(name: str, home: Path, llama: Path | None) -> tuple[str, ...]:
    """What came of one family."""
    adapter = adapter_on(made(name, home / name), home / f"{name}-adapter")
    cells = [f"`{name}`"]
    merged = ""
    for to in ("hub-folder", "adapter", "gguf"):
        if to == "gguf" and llama is None:
            cells.append("-")
            continue
        asked = Export(str(adapter), to, home / "made" / f"{name}-{to}", converter=llama, gguf_type="f32")
        try:
            checks = export(asked, check=True)[1]
            cells.append(f"*{checks[0].verdict}*: {checks[0].why}")
            merged = f"{checks[1].figures['largest_difference']:.0e} nats"
            told = json.dumps({"family": name, "to": to, **checks[0].told()}, ensure_ascii=False)
        except TrifacetError as error:
            cells.append(f"*not supported*: {str(error).partition(': ')[2]}")
            told = str(error)
        print(told, file=sys.stderr, flush=True)
    return (*cells[:3], merged, *cells[3:])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        home, llama = Path(folder), None
        if len(sys.argv) > 1:
            llama = home / "convert_hf_to_gguf.py"
            llama.write_text(CONVERTER.format(home=str(Path(sys.argv[1]).resolve())))
        rows = [row(name, home, llama) for name in sys.argv[2:] or MAKERS]
    for cells in (HEAD, ["---"] * len(HEAD), *rows):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
