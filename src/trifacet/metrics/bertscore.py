"""BERTScore by the package ``bert-score``, with a text encoder that the user names.

Invariant: the arithmetic is the package's; what is loaded here is the encoder (safetensors, no code of a checkpoint)
and its tokenizer, which the package would load otherwise and, with transformers 5, wrongly for RoBERTa.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import require
from trifacet.metrics.scores import Extra, Part, with_references
from trifacet.metrics.target import Target
from trifacet.models.checkpoint import read_weights, reading
from trifacet.models.loading import pick_device
from trifacet.models.processors import read_tokenizer
from trifacet.statistics.measures import mean_measure

BERT_SCORES = ("bert_score_precision", "bert_score_recall", "bert_score_f1")
_BATCH = 32
# Where a word inside a text starts with a space, the package lets the first word do so too.
_SPACED = {"roberta", "gpt2"}
_POOLER = r"^pooler\."  # a layer that encoders often lack, and none reads here
_HEAD = "."  # the encoder is a part of what was trained: nothing that lies beyond it is read
_UNLIMITED = 1_000_000  # tokenizers say more than this where they know no limit


class _Layer(nn.Module):
    """An encoder whose first output is the hidden states of one layer, as the package wants it."""

    def __init__(self, model: Any, layer: int) -> None:
        super().__init__()
        self.model, self.layer = model, layer

    def forward(self, tokens_BL: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        output = self.model(tokens_BL, attention_mask=attention_mask, output_hidden_states=True)
        return (output.hidden_states[self.layer],)


class BertScorer:
    """An encoder, its tokenizer, and the layer whose hidden states are compared."""

    def __init__(self, source: str, *, layer: int | None = None, device: str = "auto") -> None:
        """Load ``source``, a hub id or folder.

        ``layer`` is by default the one that the package recommends for a model of this name.

        Raises:
            TrifacetError: no package, no such model, no encoder, or a layer that is not known or not there.
        """
        require(["bert_score"], "BERTScore")
        model = read_weights(AutoModel, source, device=pick_device(device), may_lack=_POOLER, may_add=_HEAD)
        config = model.config
        if getattr(config, "is_encoder_decoder", False):
            raise TrifacetError(f"{source} has a decoder; name an encoder, such as roberta-large")
        self.layer = _recommended(source) if layer is None else layer
        if not 0 <= self.layer <= config.num_hidden_layers:
            raise TrifacetError(
                f"{source} has layers 0 to {config.num_hidden_layers}, not {self.layer}; name one of them"
            )
        self.model, self.device = _Layer(model, self.layer), model.device
        spaced = {"add_prefix_space": True} if config.model_type in _SPACED else {}
        with reading(source):
            self.tokens: Any = read_tokenizer(source, **spaced)
        if self.tokens.model_max_length > _UNLIMITED:  # RoBERTa's positions start after that of its padding
            self.tokens.model_max_length = config.max_position_embeddings - 2

    def __call__(self, texts: Sequence[str], references: Sequence[str]) -> list[tuple[float, float, float]]:
        """Precision, recall and F1 of each text, without idf and rescaling; 0 where either has no word."""
        from bert_score.utils import bert_cos_score_idf

        weights: defaultdict[int, float] = defaultdict(lambda: 1.0)
        weights[self.tokens.sep_token_id] = weights[self.tokens.cls_token_id] = 0.0
        full = [place for place, pair in enumerate(zip(texts, references, strict=True)) if all(map(str.strip, pair))]
        scores = [(0.0, 0.0, 0.0)] * len(texts)
        if full:
            found = bert_cos_score_idf(
                self.model,
                [references[place] for place in full],
                [texts[place] for place in full],
                self.tokens,
                weights,
                device=str(self.device),
                batch_size=_BATCH,
            )
            for place, (precision, recall, f1) in zip(full, found.tolist(), strict=True):
                scores[place] = (precision, recall, f1)
        return scores


def bert_extra(source: str, *, layer: int | None = None, device: str = "auto") -> Extra:
    """BERTScore as a further metric of ``score_texts``: of several references the best counts, for each value alone.

    Raises:
        TrifacetError: as ``BertScorer`` does.
    """
    scorer = BertScorer(source, layer=layer, device=device)

    def score(written: Sequence[str], samples: Sequence[Target]) -> Part:
        kept, scored = with_references(written, samples)
        if not scored:
            return Part(dict.fromkeys(BERT_SCORES), ["BERTScore is not computed: no sample has a reference"])
        pairs = [(place, text) for place, sample in enumerate(scored) for text in sample.references]
        found = scorer([kept[place] for place, _ in pairs], [text for _, text in pairs])
        best: dict[str, tuple[float, ...]] = {}
        for (place, _), values in zip(pairs, found, strict=True):
            name = scored[place].id
            best[name] = tuple(map(max, values, best.get(name, values)))
        measures = {
            name: mean_measure(name, {sample: values[place] for sample, values in best.items()})
            for place, name in enumerate(BERT_SCORES)
        }
        return Part(measures, [f"BERTScore is by {source}, layer {scorer.layer}, without idf and without rescaling"])

    return score


def _recommended(source: str) -> int:
    from bert_score.utils import model2layers

    layers: dict[str, int] = model2layers
    name = Path(source).name
    for known, layer in layers.items():
        if known in (source, name) or known.rpartition("/")[2] == name:
            return layer
    raise TrifacetError(f"bert-score knows no layer for {name}; give one with --bert-score-layer")
