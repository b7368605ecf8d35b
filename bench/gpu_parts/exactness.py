"""Is the trie exact on this device: its scores against those of plain transformers, a sequence at a time.

Models are tiny, with random weights, those of the tests (tests/tiny_families.py). In bfloat16 both sides round, so
beside their difference stands what rounding alone does: the plain model in bfloat16 against itself in float32.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from contest.inputs import LABEL, REQUEST
from contest.sequences import cells_for, written_out
from gpu_parts.running import Setting, Tell
from trifacet.data.records import PreferenceSample
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import Attention, Rows, TrieScorer
from trifacet.models.loading import load_model, load_processor
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

FAMILIES: dict[str, dict[str, int]] = {  # and sizes other than the tests'
    "llava": {"hidden_size": 64, "intermediate_size": 128},  # heads of 16, as FlexAttention wants them
    "qwen2_5_vl": {},
    "gemma3": {},  # tokens of an image see each other: dense masks alone
}
SAMPLES = 3
OBJECTIVE = OBJECTIVES["mcm-dpo"]


def exactness(setting: Setting, tell: Tell, until: float) -> None:
    """``rows``: a family, type, attention and the largest difference of summed log-probs."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    makers = importlib.import_module("tiny_families").MAKERS
    torch.set_num_threads(setting.threads)
    torch.backends.cudnn.allow_tf32 = False  # the vision encoder's first layer would round, and otherwise in each batch
    with tempfile.TemporaryDirectory() as place:
        samples = _samples(Path(place), 1 if setting.small else SAMPLES)
        for family, sizes in FAMILIES.items():
            folder = Path(place) / family
            torch.manual_seed(7)
            makers[family](folder, [one.context for one in samples] * 4, **sizes)
            plain = {}
            for dtype in ("float32", "bfloat16"):
                plain[dtype] = _plain(folder, samples, dtype, setting.device)
                tell(rows=_compared(family, folder, samples, dtype, plain, setting))


def _samples(folder: Path, count: int) -> list[PreferenceSample]:
    """Noise and random words, with a rejected version of each facet."""
    rng = np.random.default_rng(0)

    def text(words: int) -> str:
        return " ".join(rng.choice(["ba", "do", "ki", "la", "mu", "ne", "po", "ru"], size=words))

    def picture(name: str) -> str:
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / name)
        return name

    return [
        PreferenceSample(
            id=str(number),
            image=picture(f"{number}.png"),
            context=text(12),
            response=text(8),
            rejected_responses=(text(6),),
            rejected_images=(picture(f"{number}-other.png"),),
            rejected_contexts=(text(9),),
        )
        for number in range(count)
    ]


@torch.no_grad()
def _plain(folder: Path, samples: list[PreferenceSample], dtype: str, device: str) -> torch.Tensor:
    """Summed log-probs of every corner of every sample by the released classes alone, (C,)."""
    kind = getattr(torch, dtype)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=kind, attn_implementation="sdpa").to(device)
    processor = load_processor(folder, image_tiles="any").processor  # transformers' own class asks for torchvision
    scores = []
    for sample in samples:
        for cell in cells_for(OBJECTIVE, sample):
            sequence = written_out(processor, sample, cell)
            picture = Image.open(folder.parent / sequence.image).convert("RGB")
            start = _tokens(processor, sequence.prompt, picture)["input_ids"].shape[1]
            inputs = _tokens(processor, sequence.text.rstrip(), picture)
            inputs = {name: value.to(device) for name, value in inputs.items()}
            logits_LV = model(**inputs).logits[0, :-1].float()
            logps_L = logits_LV.log_softmax(-1).gather(-1, inputs["input_ids"][0, 1:, None])[:, 0]
            scores.append(logps_L[start - 1 :].sum())
    return torch.stack(scores).cpu()


def _tokens(processor: Any, text: str, picture: Image.Image) -> dict[str, torch.Tensor]:
    bos = processor.tokenizer.bos_token
    add = not (bos and text.startswith(bos))
    return dict(processor(images=[[picture]], text=[text], return_tensors="pt", add_special_tokens=add))


def _compared(
    name: str,
    folder: Path,
    samples: list[PreferenceSample],
    dtype: str,
    plain: dict[str, torch.Tensor],
    setting: Setting,
) -> list[dict[str, Any]]:
    loaded = load_model(folder, dtype=dtype, device=setting.device, image_tiles="any")
    encoder = SampleEncoder(loaded.family, prompt=REQUEST, context_label=LABEL, max_length=2048)
    rejection = Rejection(image_strategy("diffusion"))
    examples = Examples(samples, OBJECTIVE, encoder, folder.parent, rejection, max_pixels=10**6)
    ways: list[tuple[Attention, Rows]] = [("dense", "sample"), ("dense", "batch")]
    if not loaded.family.needs_dense_mask:
        ways += [("segments", "batch")] if setting.device == "cpu" else []
        ways += [("flex", "batch")] if name == "llava" else []  # each family and type would be compiled anew
    rows = []
    for attention, kind in ways:
        row: dict[str, Any] = {"family": name, "dtype": dtype, "attention": attention, "rows": kind}
        try:
            batch = Collator(examples, rows=kind).seen([examples[index] for index in range(len(samples))])
            with torch.no_grad():
                scorer = TrieScorer(loaded.model.eval(), loaded.family, attention=attention)
                scores = scorer(batch.to(torch.device(setting.device))).cpu()
            row["largest_difference"] = float((scores - plain[dtype]).abs().max())
            row["rounding"] = float((plain[dtype] - plain["float32"]).abs().max())
            row["mean_logp"] = float(plain[dtype].mean())
        except Exception as error:  # of one way: the others are worth knowing
            row["failed"] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        rows.append(row)
    return rows
