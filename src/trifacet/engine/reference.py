"""Reference log-probs: scored once by the same engine, kept on disk under a fingerprint.

Invariant: scores are used only when the fingerprint of the file equals the one asked for; otherwise the error says
what changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing
from trifacet.engine.scoring import Batch, TrieScorer

ENGINE_VERSION = "1"  # raised when the engine's scores change in meaning


class Scores(NamedTuple):
    """A tensor of cells for each sample: summed log-probs and, where they were asked for, mean token entropies."""

    logps: list[Tensor]
    entropies: list[Tensor] | None = None


def score_batches(
    scorer: TrieScorer, batches: Iterable[Batch], device: torch.device, *, entropies: bool = False
) -> Iterator[Tensor]:
    """Summed log-probs per cell of each batch, on the CPU, without gradient and with dropout off.

    ``entropies``: of the same forward, the log-probs and the mean token entropies, (2, C).
    """
    was_training = scorer.training
    scorer.eval()
    try:
        for batch in batches:
            with torch.no_grad():  # in inference mode scorer or model might keep tensors that no training can use
                score = scorer.with_entropies if entropies else scorer
                yield score(batch.to(device)).float().cpu().clone()
    finally:
        scorer.train(was_training)


def refuse_broken_scores(logps_C: Tensor, names: list[str]) -> None:
    """Raise TrifacetError if a score is not finite; ``names`` are the ids of the samples that the scores are of."""
    if not torch.isfinite(logps_C).all():
        listed = ", ".join(map(repr, names))
        raise TrifacetError(
            f"the reference gives a log-prob that is not finite for one of the samples {listed}; look at these samples "
            "and at the checkpoint's weights and model.dtype. No such score enters the cache"
        )


def save_reference(
    path: Path, logps: list[Tensor], fingerprint: Mapping[str, str], entropies: list[Tensor] | None = None
) -> None:
    """Write the scores of every sample (a tensor of cells each), whole or not at all."""
    values = torch.cat(logps) if logps else torch.zeros(0)
    counts = torch.tensor([len(cells) for cells in logps], dtype=torch.int64)
    made_for = json.dumps({**fingerprint, "engine": ENGINE_VERSION})
    tensors = {"logps": values, "counts": counts}
    if entropies is not None:
        tensors["entropies"] = torch.cat(entropies)
    header = {"fingerprint": made_for, "checksum": _checksum(values, counts, made_for, tensors.get("entropies"))}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=header)
        except SafetensorError as error:
            raise OSError(str(error)) from None


def load_reference(path: Path, fingerprint: Mapping[str, str]) -> list[Tensor]:
    """The log-probs of every sample. Raises as ``load_scores`` does."""
    return load_scores(path, fingerprint).logps


def load_scores(path: Path, fingerprint: Mapping[str, str]) -> Scores:
    """The scores of every sample, entropies with them where the file has them.

    Raises:
        TrifacetError: the file is damaged, or was made for something else (the message says what differs).
    """
    cure = f"delete {path} to have it made anew"
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            values, counts = file.get_tensor("logps"), file.get_tensor("counts")
            entropies = file.get_tensor("entropies") if "entropies" in file.keys() else None  # noqa: SIM118
        stored: dict[str, str] = json.loads(header["fingerprint"])
        intact = header["checksum"] == _checksum(values, counts, header["fingerprint"], entropies)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrifacetError(f"reference cache {path} is damaged ({error}); {cure}") from None
    if not intact:
        raise TrifacetError(f"reference cache {path} is damaged (its checksum differs); {cure}")
    if not torch.isfinite(values).all():
        raise TrifacetError(f"reference cache {path} holds log-probs that are not finite; {cure}")
    wanted = {**fingerprint, "engine": ENGINE_VERSION}
    changed = sorted(key for key in wanted.keys() | stored.keys() if wanted.get(key) != stored.get(key))
    if changed:
        raise TrifacetError(
            f"reference cache {path} is stale: {_and(changed)} changed since it was made; {cure}, or use --overwrite"
        )
    cells = counts.tolist()
    return Scores(list(values.split(cells)), None if entropies is None else list(entropies.split(cells)))


def _checksum(values: Tensor, counts: Tensor, made_for: str, entropies: Tensor | None = None) -> str:
    digest = hashlib.sha256(values.numpy().tobytes() + counts.numpy().tobytes() + made_for.encode())
    if entropies is not None:
        digest.update(entropies.numpy().tobytes())
    return digest.hexdigest()


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
