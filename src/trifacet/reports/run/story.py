"""The report's first paragraph, in plain words. Invariant: it says only what the run's files show to have happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trifacet.base.bidi import isolated
from trifacet.base.words import without_folders
from trifacet.evaluation.run_folder import Run, number
from trifacet.reports.run.posts import Post, unit_of


def opening(run: Run, posts: Sequence[Post]) -> list[str]:
    """What was run, and where to look first."""
    unit = unit_of(run)
    texts = "alt-text" if unit == "post" else "texts"  # samples may be questions
    wrote, written = ("described",) * 2 if unit == "post" else ("wrote texts for", "written texts for")
    sentences = [_start(run, unit)]
    if run.seeds:
        several = run.seeds.get("seeds")
        count = len(several) if isinstance(several, list) else "several"
        return [
            *sentences,
            f"The whole run was repeated with {count} seeds, and the table shows the spread of every metric.",
            "The folder of each seed has a report of its own, with its curves and texts.",
        ]
    supervised = run.model("sft")
    if supervised and supervised.done:
        shown = _counted(supervised.done.get("samples"), unit)
        sentences.append(f"Supervised training showed it {shown} with {texts} (sft).")
    aligned = [model for model in run.models if model.name not in ("base", "sft") and model.done]
    if aligned:
        names = _listed([isolated(model.name) for model in aligned])
        ways = "one way" if len(aligned) == 1 else f"{len(aligned)} ways, each on its own"
        sentences.append(f"It was then aligned with preferences in {ways}: {names}.")
    described = {len(model.texts) for model in run.models if model.texts}
    if described:
        sentences.append(f"The models {wrote} {_counted(max(described), f'held-out {unit}')}.")
    elif run.samples:
        sentences.append(f"No model has {written} the held-out {unit}s yet, so there are no scores.")
    else:
        sentences.append("It names no held-out data to write texts for, so there are no scores: data.test does.")
    if any(model.metrics for model in run.models):
        sure = " and says which differences are more than chance" if run.comparison else ""
        sentences.append(f"Look at the summary first: it has one line per model{sure}.")
    if posts:
        marked = ", where right and wrong facts are marked" if any(t.facts for p in posts for t in p.told) else ""
        sentences.append(
            f"Then read what the models wrote under the held-out {unit}s{marked}: no number replaces that."
        )
    return sentences


def _start(run: Run, unit: str) -> str:
    model = run.recipe.get("model")
    model = model if isinstance(model, Mapping) else {}
    if model.get("path"):
        return f"This run starts from the checkpoint {isolated(without_folders(str(model['path'])))}."
    tiny = model.get("tiny")
    if isinstance(tiny, Mapping) and tiny.get("warmup_steps"):
        read, unseen = ("posts", "alt-text") if unit == "post" else ("lists of things", "request and no sentence")
        return (
            f"This run starts from a tiny LLaVA that was warmed up on rendered pictures and on {read}, as a real one "
            f"starts from a trained vision encoder and language model. It has seen no {unseen}."
        )
    if tiny is not None:
        return "This run starts from a tiny LLaVA with random weights: it knows nothing but what these data show it."
    return "This run's recipe does not say which model it starts from."


def _counted(count: Any, unit: str) -> str:
    known = number(count)
    return f"{unit}s" if known is None else f"{known:,.0f} {unit}{'' if known == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
