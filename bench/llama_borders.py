"""Why Qwen2-VL says something else in llama.cpp of pictures that do not fit its patches: docs/export.md.

Usage: python bench/llama_borders.py LLAMA_CPP

transformers stretches such a picture to the next multiple; llama.cpp keeps its shape and fills the border with black.
Shown on a tiny checkpoint: how far log-probs of the best first tokens are apart when both get the picture, when
transformers gets it with llama.cpp's border, and when llama.cpp gets it stretched.
"""

import contextlib
import math
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from export_families import CONVERTER, made
from PIL import Image
from tiny_families import load_copy

from trifacet.publishing.exporting import Export, export
from trifacet.publishing.llama import ask
from trifacet.publishing.probing_texts import picture, prompt_of, said_under

REQUEST = "Write alt-text."
SIDE = 16  # pixels that one token of the tiny checkpoint takes
SIZES = ((448, 224), (320, 330), (300, 220))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        home, converter = Path(folder), Path(folder) / "convert_hf_to_gguf.py"
        converter.write_text(CONVERTER.format(home=str(Path(sys.argv[1]).resolve())))
        model = made("qwen2_vl", home / "qwen2_vl")
        place = export(Export(str(model), "gguf", home / "made" / "gguf", converter=converter, gguf_type="f32"))[0]
        plain = load_copy(model)
        asked = prompt_of(plain.processor, REQUEST)
        shown = [(picture(size), boxed(picture(size)), stretched(picture(size))) for size in SIZES]
        said = [[said_under(one, plain.model, plain.processor, asked, "A").best for one in three] for three in shown]
        files = str(place / "qwen2_vl.gguf"), str(place / "mmproj-qwen2_vl.gguf")
        found = ask(*files, REQUEST, [one for three in shown for one in three])
    print("| picture | as it is | transformers with a border | llama.cpp stretched |\n|---|---|---|---|")
    for n, size in enumerate(SIZES):
        own, _, fit = (answer.best for answer in found[3 * n : 3 * n + 3])
        apart = [difference(own, said[n][0]), difference(own, said[n][1]), difference(fit, said[n][0])]
        print(f"| {size[0]} x {size[1]} | {' | '.join(f'{one:.3f}' for one in apart)} |")


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    width, height = (SIDE * round(side / SIDE) for side in size)
    return width, height


def stretched(one: Image.Image) -> Image.Image:
    return one.resize(grid_of(one.size), Image.Resampling.BICUBIC)


def boxed(one: Image.Image) -> Image.Image:
    grid = grid_of(one.size)
    scale = min(wanted / side for wanted, side in zip(grid, one.size, strict=True))
    width, height = (min(math.ceil(side * scale), wanted) for side, wanted in zip(one.size, grid, strict=True))
    whole = Image.new("RGB", grid)
    small = one.resize((width, height), Image.Resampling.BICUBIC)
    whole.paste(small, ((grid[0] - width) // 2, (grid[1] - height) // 2))
    return whole


def difference(some: tuple[tuple[int, float], ...], others: tuple[tuple[int, float], ...]) -> float:
    """Largest, of tokens that both have among the best, in nats."""
    known = dict(some)
    return max(abs(known[token] - value) for token, value in others if token in known)


if __name__ == "__main__":
    main()
