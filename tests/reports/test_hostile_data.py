"""Pages of runs, comparisons and probes whose every text is hostile: what is left is ours."""

from __future__ import annotations

import json

import pytest
from fake_run import add_comparison, add_spread, make_run
from hostile_pages import HOSTILE, MARKUP, TURNS, only_our_markup
from test_probe_page import document

from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.metrics.target import Reference
from trifacet.reports.comparison.page import render_comparison
from trifacet.reports.comparison.tables import comparison_markdown
from trifacet.reports.probes import write_page
from trifacet.reports.run.report import write_report
from trifacet.statistics.measures import mean_measure

LONG = "word" * 250_000  # a megabyte without a blank


def spoilt(value):
    """A document with all its texts hostile, names of fields as they are."""
    if isinstance(value, dict):
        return {key: spoilt(one) for key, one in value.items()}
    if isinstance(value, list):
        return [spoilt(one) for one in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value


def renamed(text, *names):
    """JSON in which a name has become a hostile one, as value and as key."""
    for name in names:
        text = text.replace(json.dumps(name), json.dumps(f"{name} {HOSTILE}"))
    return text


def test_a_report_of_hostile_files_is_ours(tmp_path):
    folder = make_run(tmp_path / "run", posts=2, models=("sft", "mcm-dpo"))
    add_spread(folder)
    add_comparison(folder, draws=20)
    for path in (folder / "data/test.jsonl", folder / "skipped.jsonl", *folder.glob("*/*/samples.jsonl")):
        rows = [spoilt(json.loads(line)) for line in path.read_text().splitlines()]
        if path.name == "test.jsonl":
            rows = [{**row, "extra": {**row.get("extra", {}), "lettering": [HOSTILE, LONG[:9_000]]}} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "lettering").mkdir()
    counts = {"samples": 2, "words": 2, "cut": 0, "unreadable": 0, "stated": 2}
    (folder / "lettering/counts.json").write_text(json.dumps({f"test {HOSTILE}": counts, HOSTILE: HOSTILE}))
    for path in folder.glob("generations/*.jsonl"):
        rows = [{**spoilt(json.loads(line)), "text": HOSTILE} for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (folder / "rejected/index.json", folder / "run.json", folder / "sweep.json", folder / "seeds.json"):
        path.write_text(json.dumps(spoilt(json.loads(path.read_text()))))
    scores = json.loads(renamed((folder / "scores.json").read_text(), "sft", "grounding", "cider"))
    scores["notes"] = spoilt(scores["notes"])
    (folder / "scores.json").write_text(json.dumps(scores))
    (folder / "seeds.json").write_text(renamed((folder / "seeds.json").read_text(), "sft", "dpo"))
    home = folder / "models/mcm-dpo"
    done = json.loads((home / "done.json").read_text())
    done |= {"warnings": [HOSTILE], "learning_rate": HOSTILE, "difference": spoilt(done["difference"])}
    (home / "done.json").write_text(json.dumps(done).replace("rpo", f"rpo{TURNS}"))
    (home / "log.jsonl").write_text((home / "log.jsonl").read_text().replace("/rpo", f"/rpo{TURNS}"))
    (folder / "recipe.yaml").write_text(
        "name: {0}\noutput: x\nmodel: {{path: {0}}}\ndata: {{lettering: prompt}}\n".format(
            json.dumps(HOSTILE.replace("\0", ""))
        ),
        encoding="utf-8",
    )
    page = write_report(folder).read_text(encoding="utf-8")
    only_our_markup(page, "report.html.jinja")
    assert page.count("&lt;hostile-one") > 30 and "{{ 7 * 7 }}" in page
    assert page.count("Read in the picture") == 2


@pytest.mark.parametrize("pairs", ["baseline", "all"])
def test_a_comparison_of_hostile_names_is_ours(pairs):
    ids = [f"{place} {HOSTILE}" for place in range(4)]
    names = [f"a {HOSTILE}", f"b {HOSTILE}", TURNS]
    models = [
        Contestant(
            name,
            f"/place/{HOSTILE}",
            {
                (HOSTILE, f"{key}/{HOSTILE}"): mean_measure(
                    f"{key}/{HOSTILE}",
                    {one: float(place * step) for place, one in enumerate(ids)},
                    better="higher",
                    unofficial=HOSTILE,
                )
                for key in ("one", "two")
            },
            dict.fromkeys(ids, f"{HOSTILE} {LONG}"),
        )
        for step, name in enumerate(names)
    ]
    comparison = compare(models, ComparisonSettings(draws=20, pairs=pairs), [f"{HOSTILE}: 21 samples are left out"])
    page = render_comparison(comparison, models, {one: Reference(one, [HOSTILE, LONG]) for one in ids})
    only_our_markup(page, "comparison.html.jinja")
    assert page.count("&lt;hostile-one") > 30 and len(page) < 1_000_000
    table = comparison_markdown(comparison)
    assert "<" not in table and "\u202e" not in table


def test_probes_of_hostile_models_are_ours(tmp_path):
    first, vectors = document(f"a {HOSTILE}")
    second, _ = document(TURNS, seed=1, others=[vectors])
    probes = {"a.json": first.model_dump(), HOSTILE: second.model_dump(), "b": first.model_dump()}
    for one in probes.values():
        one["data"], one["notes"] = HOSTILE, [HOSTILE]
    write_page(probes, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    only_our_markup(page, "probes.html.jinja")
    assert page.count("&lt;hostile-one") > 10 and MARKUP not in page
