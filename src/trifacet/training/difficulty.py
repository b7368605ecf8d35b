"""How difficult each sample of a training is, by one of the measures of ``curriculum.difficulty``.

Invariant: a difficulty is a finite number, larger for what is harder, and comes from the reference or the data alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.progress import Bar, console
from trifacet.engine.scoring import TrieScorer
from trifacet.generation.results import write_to_file
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.metrics.bertscore import BertScorer
from trifacet.metrics.rouge import rouge_l
from trifacet.preferences.facets import Cell
from trifacet.preferences.objectives import OBJECTIVES, Objective
from trifacet.training import ranks
from trifacet.training.curriculum import Answers, Curriculum
from trifacet.training.examples import Examples
from trifacet.training.reference import Reference, kept_scores
from trifacet.training.stage import Stage
from trifacet.training.watching import as_post

CHOSEN = Cell()
Alike = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
_TO_SCORE = {  # the cells that a measure needs, where the training's own scores lack them
    "entropy": OBJECTIVES["sft"],
    "margin": OBJECTIVES["dpo"].model_copy(update={"name": "curriculum.difficulty: margin"}),
}


def difficulties(
    stage: Stage, curriculum: Curriculum, examples: Examples, scorer: TrieScorer, weights: str, known: Reference
) -> list[float]:
    """The difficulty of each sample; ``known``: what the training knows of its reference already.

    Raises:
        TrifacetError: as ``kept_scores`` and the writer of answers do.
        DataError: a row without the column, or one that is not a number.
    """
    match curriculum.difficulty:
        case "given":
            return given(curriculum.column or "", examples)
        case "semantic-entropy":
            return _semantic(stage, curriculum.answers, examples, scorer, weights)
        case kind:
            return _of_reference(kind, stage, examples, scorer, weights, known)


def given(column: str, examples: Examples) -> list[float]:
    """The numbers of a column; a number that is written as a text, as in CSV, counts as one.

    Raises:
        DataError: the first row that has none.
    """
    found = []
    for index, sample in enumerate(examples.samples):
        value = sample.extra.get(column)
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            row = examples.rows[index] if examples.rows else None
            said = "is missing" if value is None else f"is {value!r}, not a finite number"
            raise DataError(
                f"sample {sample.id!r}: the difficulty {said}",
                fix="give every row a number there, or set curriculum.difficulty to a measure such as entropy",
                file=examples.file,
                row=row,
                field=column,
            )
        found.append(number)
    return found


def _of_reference(
    kind: str, stage: Stage, examples: Examples, scorer: TrieScorer, weights: str, known: Reference
) -> list[float]:
    """From the scores that the training has where they suffice, else from a pass over the cells that are needed."""
    scores = known.entropies if kind == "entropy" else known.logps
    measured: Callable[[list[Cell], Tensor], float | None] = _entropy if kind == "entropy" else _margin
    if scores is not None:
        values = [measured(examples.cells(index), one) for index, one in enumerate(scores)]
        if None not in values:
            return [value for value in values if value is not None]
    console.print(f"{stage.name}: the reference is scored once more, for the {kind} of each sample")
    alone = _with_objective(examples, _TO_SCORE[kind])
    kept = kept_scores(
        stage, alone, scorer, weights, f"{stage.start.name}-difficulty-{kind}", entropies=kind == "entropy"
    )
    scores = kept.entropies if kind == "entropy" else kept.logps
    assert scores is not None
    values = [measured(alone.cells(index), one) for index, one in enumerate(scores)]
    return [value for value in values if value is not None]


def _with_objective(examples: Examples, objective: Objective) -> Examples:
    """The same samples with other cells, each sample for itself."""
    return Examples(
        examples.samples,
        objective,
        examples.encoder,
        examples.images,
        examples.rejection,
        max_pixels=examples.max_pixels,
        changed_tokens=examples.changed_tokens,
        file=examples.file,
        rows=examples.rows,
    )


def _entropy(cells: list[Cell], entropies_C: Tensor) -> float | None:
    return entropies_C[cells.index(CHOSEN)].item() if CHOSEN in cells else None


def _margin(cells: list[Cell], logps_C: Tensor) -> float | None:
    """How much less likely, in nats, the chosen response is than the rejected ones are on average."""
    rejected = [place for place, cell in enumerate(cells) if cell.response and not (cell.image or cell.context)]
    if CHOSEN not in cells or not rejected:
        return None
    return (logps_C[rejected].double().mean() - logps_C[cells.index(CHOSEN)].double()).item()


# --- the entropy over meanings ----------------------------------------------------------------------------------


def _semantic(stage: Stage, settings: Answers, examples: Examples, scorer: TrieScorer, weights: str) -> list[float]:
    """Of answers that the first process draws; they are kept in the run's folder ``reference``."""

    def measured() -> list[float]:
        alike = _likeness(settings, stage.scoring.model.device)  # first: an encoder that is not there costs no answer
        answers = _drawn(stage, settings, examples, scorer, weights)
        return [semantic_entropy(of_sample, alike, settings.alike) for of_sample in zip(*answers, strict=True)]

    return ranks.first_does(measured)


def _drawn(stage: Stage, settings: Answers, examples: Examples, scorer: TrieScorer, weights: str) -> list[list[str]]:
    """A text of every sample for each draw."""
    posts = [as_post(sample) for sample in examples.samples]
    writing = Generation(
        beams=1,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        batch_size=stage.settings.batch_size,
    )
    device = next(scorer.parameters()).device
    answers = []
    # as the scorer computes: adapters in float32 over a bfloat16 base do not meet otherwise
    with torch.autocast(device.type, torch.bfloat16, enabled=scorer.mixed_precision), Bar("answers") as bar:
        for draw in range(settings.count):
            model: Any = scorer.model
            writer = FamilyWriter(
                model, examples.encoder, writing, stage.seed + draw, examples.max_pixels, weights=weights
            )
            written = write_to_file(
                writer,
                posts,
                stage.run / "reference" / f"{stage.name}-answers-{draw + 1}.jsonl",
                images_root=examples.images,
                max_pixels=examples.max_pixels,
            )
            answers.append([one.text for one in written])
            bar.update(draw + 1, settings.count)
    return answers


def _likeness(settings: Answers, device: str) -> Alike:
    if settings.encoder is None:
        return lambda texts, others: [rouge_l(text, other) for text, other in zip(texts, others, strict=True)]
    scorer = BertScorer(settings.encoder, layer=settings.layer, device=device)
    return lambda texts, others: [f1 for _, _, f1 in scorer(texts, others)]


def semantic_entropy(answers: Sequence[str], likeness: Alike, alike: float) -> float:
    """Entropy (nats) of the shares of meanings among ``answers``, as the discrete one of Farquhar et al., Nature 2024.

    An answer has the meaning of the first earlier answer that is its meaning's first and is as like it as ``alike``
    (0 to 1, by ``likeness`` of pairs), else one of its own. Answers of the same words mean the same.
    """
    counted = Counter(" ".join(answer.casefold().split()) for answer in answers)
    texts = list(counted)
    pairs = [(one, other) for at, one in enumerate(texts) for other in texts[:at]]
    scores = dict(zip(pairs, likeness([one for one, _ in pairs], [other for _, other in pairs]), strict=True))
    meanings: Counter[str] = Counter()
    for text, count in counted.items():
        same = next((first for first in meanings if scores[text, first] >= alike), text)
        meanings[same] += count
    shares = [count / len(answers) for count in meanings.values()]
    return max(-sum(share * math.log(share) for share in shares), 0.0)


def refuse_bad_column(curriculum: Curriculum, examples: Examples) -> None:
    """Raise DataError for a column that cannot be used, before anything is scored."""
    if curriculum.difficulty == "given":
        given(curriculum.column or "", examples)
    elif curriculum.bounds is None and curriculum.groups > len(examples):
        raise TrifacetError(
            f"curriculum.groups: {curriculum.groups} groups of {len(examples)} samples leave one without any; "
            f"set it to {len(examples)} or less"
        )
