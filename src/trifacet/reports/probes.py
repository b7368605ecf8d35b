"""What ``trifacet probe`` found, as sections of a page: tables first, and the same as charts.

Invariant: numbers come from the documents as they are; every text of theirs is escaped by the templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from trifacet.base.bidi import isolated
from trifacet.base.files import write_atomically
from trifacet.base.words import without_folders
from trifacet.probing.document import read_document
from trifacet.reports.charts import Chart
from trifacet.reports.plots import Line, PointCloud, bar_chart, line_chart, pair_chart, swatch
from trifacet.web.page import render_page, render_part

_Document = Mapping[str, Any]
PAIRS_DRAWN = 400  # of one model; distances count all

_GROUPS = {
    "image": ("Image", "the tokens that carry the vision encoder's features"),
    "context": ("Post", "the words of the post, without the label above them"),
    "prompt": ("Request", "the request and what the chat template puts around it"),
    "first": ("First token", "where models lay attention that they have no use for"),
}
DISTANCES = {
    "euclidean": ("Between the two texts of a sample", "mean Euclidean distance"),
    "cosine": ("Between the two, by angle", "mean of 1 - cosine"),
    "centroids": ("Between the two clouds", "Euclidean distance of their means"),
    "spread": ("For scale: spread of the references", "root mean square distance from their mean"),
    "silhouette": ("Told apart", "mean silhouette: 0 the clouds lie in one another, 1 far apart"),
}


class _Told(NamedTuple):
    """A cell: a number, and its interval or what else stands beside it in small print."""

    value: str
    beside: str = ""


def read_probe(path: Path) -> _Document:
    """The document of a probe, checked. Raises DataError naming file and field."""
    return read_document(path)


def write_page(probes: Mapping[str, _Document], path: Path) -> None:
    """Write a page of its own; ``probes`` as for ``probe_sections``."""
    write_atomically(
        path,
        render_page(
            __name__,
            "probes.html.jinja",
            {},
            sections=probe_sections(probes),
            names=_names(probes),
            sets=list(
                dict.fromkeys((document["samples"], without_folders(document["data"])) for document in probes.values())
            ),
        ),
    )


def probe_sections(probes: Mapping[str, _Document]) -> list[Markup]:
    """The sections of a page: attention, noise, distances; one is left out where no probe has it.

    Args:
        probes: what ``read_probe`` gave, by any key (a path); models go by the names in the documents.
    """
    models = dict(zip(_names(probes), probes.values(), strict=True))
    makers = (("attention", _attention), ("noise", _noise), ("embeddings", _embeddings))
    return [
        make({name: document for name, document in models.items() if document[part]}, list(models))
        for part, make in makers
        if any(document[part] for document in models.values())
    ]


def _names(probes: Mapping[str, _Document]) -> list[str]:
    """The models' names; two that share one get their key beside it."""
    given = [document["model"] for document in probes.values()]
    return [
        name if given.count(name) == 1 else f"{isolated(name)} ({isolated(key)})"
        for name, key in zip(given, probes, strict=True)
    ]


def _attention(models: Mapping[str, _Document], every: Sequence[str]) -> Markup:
    found = {name: document["attention"] for name, document in models.items()}
    rows = [
        (
            name,
            [
                (_Told(_share(one["shares"][group]), _between(one["intervals"][group])), _times(one["relative"][group]))
                for group in _GROUPS
            ],
            _share(one["response_share"]),
            models[name]["text"],
        )
        for name, one in found.items()
    ]
    shares = {group: {name: one["shares"][group] for name, one in found.items()} for group in _GROUPS}
    longest = max(value for values in shares.values() for value in values.values())
    bars = []
    for group, (label, _) in _GROUPS.items():
        title = f"{label}: share of the attention"
        svg = _bars(title, shares[group], every, f"probe-share-{group}", reach=longest)
        bars.append(Chart(label, "Share of the attention.", svg))
    layers = [_layers(name, one["per_layer"], f"probe-layers-{at}") for at, (name, one) in enumerate(found.items())]
    lines = [(swatch(style, f"probe-key-{group}"), *_GROUPS[group]) for style, group in enumerate(_GROUPS)]
    remarks = [
        f"{isolated(name)}: {', '.join(what)}."
        for name, one in found.items()
        if (what := [f"{one[key]} {said}" for key, said in _REMARKS.items() if one[key]])
    ]
    return render_part(
        __name__,
        "probe_attention.jinja", {}, groups=[label for label, _ in _GROUPS.values()], rows=rows,
        bars=bars if len(found) > 1 else [], layers=layers, lines=lines, remarks=remarks,
    )  # fmt: skip


_REMARKS = {
    "without_image": "posts without a picture count with a share of 0 for it",
    "without_context": "posts without words count with a share of 0 for these",
    "left_out": "texts without a token are left out",
}


def _layers(name: str, layers: Sequence[_Document], chart_id: str) -> Chart:
    known = [layer for layer in layers if layer["shares"]]
    lines = [
        Line(label, [layer["layer"] for layer in known], [layer["shares"][group] for layer in known], style)
        for style, (group, (label, _)) in enumerate(_GROUPS.items())
    ]
    said = "; ".join(
        f"{line.label} from {_share(line.values[0])} in layer {line.steps[0]} to {_share(line.values[-1])} in layer "
        f"{line.steps[-1]}"
        for line in lines
        if line.values
    )
    alternative = f"Shares of attention of {isolated(name)} by layer: {said}."
    svg = line_chart(lines, alternative=alternative, chart_id=chart_id, from_zero=True, across="layer")
    return Chart(name, "Shares of the attention by layer.", svg)


def _noise(models: Mapping[str, _Document], every: Sequence[str]) -> Markup:
    rows = []
    for name, document in models.items():
        for one in document["noise"]:
            rows.append(
                (
                    name,
                    one["t"],
                    f"{one['kept']:.0%}",
                    _Told(f"{one['changed']:.0%}", _between(one["interval"], "{:.0%}")),
                    f"{one['changed_count']} of {one['samples']}",
                    _Told(f"{one['similarity']:.2f}", _between(one["similarity_interval"], "{:.2f}")),
                    _facts(one["grounding"]),
                )
            )
    steps = sorted({one["t"] for document in models.values() for one in document["noise"]})
    bars = []
    for t in steps:
        values = {
            name: one["changed"] for name, document in models.items() for one in document["noise"] if one["t"] == t
        }
        svg = _bars(f"Answers that change at t = {t}", values, every, f"probe-noise-{t}", shape="{:.0%}")
        bars.append(Chart(f"Noise t = {t}", "Share of the answers that change.", svg))
    return render_part(
        __name__,
        "probe_noise.jinja", {}, rows=rows, bars=bars, facts=any(row[-1] is not None for row in rows),
    )  # fmt: skip


def _embeddings(models: Mapping[str, _Document], every: Sequence[str]) -> Markup:
    found = {name: document["embeddings"] for name, document in models.items()}
    rows = [
        (
            title,
            hint,
            [
                _Told(_number(one["silhouette"]))
                if key == "silhouette"
                else _Told(
                    _number(one["distances"][key]["value"]), _between(one["distances"][key]["interval"], "{:.3g}")
                )
                for one in found.values()
            ],
        )
        for key, (title, hint) in DISTANCES.items()
    ]
    planes = [
        _plane(name, {name: one["points"]}, one["explained"], {name: every.index(name)}, f"probe-plane-{at}")
        for at, (name, one) in enumerate(found.items())
    ]
    joint = []
    for at, (name, one) in enumerate(found.items()):
        if one["joint"]:
            clouds = {cloud["model"]: cloud["points"] for cloud in one["joint"]["models"]}
            styles = {model: style for style, model in enumerate(clouds)}
            plane = _plane(
                f"One plane, with {isolated(name)}", clouds, one["joint"]["explained"], styles, f"probe-joint-{at}"
            )
            key = [(swatch(style, f"probe-joint-{at}-{style}"), model) for model, style in styles.items()]
            joint.append((plane, key))
    left_out = [f"{isolated(name)}: {one['left_out']} samples" for name, one in found.items() if one["left_out"]]
    return render_part(
        __name__,
        "probe_embeddings.jinja", {}, names=list(found), rows=rows, planes=planes, joint=joint, left_out=left_out,
        counts=[one["samples"] for one in found.values()],
    )  # fmt: skip


def _plane(
    title: str,
    clouds: Mapping[str, Sequence[_Document]],
    explained: Sequence[float],
    styles: Mapping[str, int],
    chart_id: str,
) -> Chart:
    drawn = [
        PointCloud([(pair["generated"], pair["reference"]) for pair in pairs[:PAIRS_DRAWN]], styles[model])
        for model, pairs in clouds.items()
    ]
    axes = (f"first axis ({explained[0]:.0%} of the variance)", f"second axis ({explained[1]:.0%})")
    count = sum(len(cloud.pairs) for cloud in drawn)
    some = f" The first {PAIRS_DRAWN} pairs." if max(map(len, clouds.values())) > PAIRS_DRAWN else ""
    alternative = (
        f"{isolated(title)}: {count} pairs of a generated and a reference text in the plane of largest variance, which "
        f"holds {sum(explained):.0%} of it. The distances are in the table."
    )
    hint = f"Full: generated, hollow: reference; a line joins the two texts of a sample.{some}"
    return Chart(title, hint, pair_chart(drawn, axes=axes, alternative=alternative, chart_id=chart_id))


def _bars(
    title: str,
    values: Mapping[str, float],
    every: Sequence[str],
    chart_id: str,
    *,
    reach: float = 1.0,
    shape: str = "{:.3f}",
) -> Markup:
    """Bars of the models in their order, each with its number; ``reach`` is the scale."""
    ordered = {name: values[name] for name in every if name in values}
    texts = {name: shape.format(value) for name, value in ordered.items()}
    said = "; ".join(f"{isolated(name)} {text}" for name, text in texts.items())
    return bar_chart(ordered, alternative=f"{title}: {said}.", texts=texts, chart_id=chart_id, reach=reach)


def _facts(grounding: _Document | None) -> _Told | None:
    """Right facts before and after, and by how many points of a hundred they fell."""
    if grounding is None:
        return None
    lost = f"lost {100 * grounding['drop']:.0f}"
    if grounding["interval"]:
        lost += f", {100 * grounding['interval'][0]:.0f} to {100 * grounding['interval'][1]:.0f}"
    return _Told(f"{grounding['clean']:.0%} → {grounding['noised']:.0%}", lost)


def _share(value: float) -> str:
    return f"{value:.3f}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ×"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _between(interval: Sequence[float] | None, shape: str = "{:.3f}") -> str:
    return "" if interval is None else f"{shape.format(interval[0])} to {shape.format(interval[1])}"
