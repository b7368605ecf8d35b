"""Measures that are no scores: what training cost, looks into models, what people prefer. No run is made for them."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_studies import study_values, write_study

from trifacet.base.errors import TrifacetError
from trifacet.probing.vectors import Vectors, write_vectors
from trifacet.review.pairs import read_review
from trifacet.review.store import Store
from trifacet.studies.cells import cells_of
from trifacet.studies.looks import look_numbers, looks_asked
from trifacet.studies.measures import COSTS, refuse_unknown
from trifacet.studies.settings import load_study
from trifacet.studies.study import planned, report_study, run_study

MEASURES = [*COSTS, "relative/cost/sequences", "probe/attention/image", "probe/changed/t=500", "probe/centroids"]


@pytest.fixture(scope="module")
def measured(small, tmp_path_factory):
    """Another study of the same cells, in the same store."""
    there, _, _ = small
    folder = tmp_path_factory.mktemp("measured")
    changes = {
        "store": str(there.store), "name": "measured", "seeds": [1], "measures": MEASURES, "against": "plain",
        "claims": ["plain > sft in cost/sequences", "plain > sft in probe/centroids"],
        "people": {"pairs": [["plain", "sft"], ["faster", "sft"]], "limit": 3},
    }  # fmt: skip
    values = study_values(folder / "out", "", "", changes)
    values["base"] = there.study.base
    loaded = load_study(str(write_study(folder, values)))
    return loaded, run_study(loaded)


def numbers(done, cell):
    (one,) = (one for one in done.document["cells"] if one["cell"] == cell)
    return {measure: found["value"] for measure, found in one["measures"].items()}


def test_what_training_cost_is_told_of_each_stage(measured):
    loaded, done = measured
    assert done.failed == {} and done.document["problems"] == []
    sft, plain, faster = (numbers(done, cell) for cell in ("sft", "plain", "faster"))
    assert (sft["cost/sequences"], plain["cost/sequences"]) == (1, 8)  # all corners of image, post and response
    assert plain["relative/cost/sequences"] == faster["relative/cost/sequences"] == 100
    assert sft["relative/cost/sequences"] == 12.5
    plan = planned(loaded)
    job = plan.jobs[plan.outcomes["plain", 1].job]
    told = json.loads((job.folder / "models/mcm/done.json").read_text())
    assert plain["cost/tokens"] == told["cost"]["tokens_per_sample"] > sft["cost/tokens"] > 0
    settings = job.recipe.align["mcm"]
    of_step = settings.batch_size * settings.accumulation
    assert plain["cost/seconds_per_sample"] == told["seconds_per_step"] / of_step
    assert 0.1 < plain["cost/peak_memory"] == told["cost"]["peak_memory"] / 2**30 < 100


def test_looks_are_taken_once_and_kept_beside_the_texts(measured):
    loaded, done = measured
    for cell in ("sft", "plain", "faster"):
        found = numbers(done, cell)
        assert 0 < found["probe/attention/image"] < 1 and 0 <= found["probe/changed/t=500"] <= 1
        assert found["probe/centroids"] is None  # these posts have no references
    assert done.document["claims"][1]["why"] == "no run has the measure probe/centroids"
    plan = planned(loaded)
    kept = {path: path.stat().st_mtime_ns for job in plan.jobs.values() for path in job.folder.glob("looks/*")}
    assert len(kept) == 6
    again = run_study(loaded)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert again.document["cells"] == done.document["cells"]


def test_distances_are_those_of_the_vectors_that_are_kept(measured):
    loaded, _ = measured
    plan = planned(loaded)
    job = plan.jobs[plan.outcomes["sft", 1].job]
    own = np.array([[0, 0], [0, 2]], np.float32)
    file = job.folder / "looks/sft.safetensors"
    write_vectors(Vectors("sft", ("a", "b"), own, own + np.array([3, 4], np.float32)), file)
    try:
        found = look_numbers(job.folder, "sft", ["probe/centroids", "probe/euclidean", "probe/silhouette"])
    finally:
        file.unlink()
    assert found["probe/centroids"].value == found["probe/euclidean"].value == pytest.approx(5)
    assert 0 < found["probe/silhouette"] < 1


def test_looks_into_another_model_are_no_numbers(measured):
    loaded, _ = measured
    plan = planned(loaded)
    job = plan.jobs[plan.outcomes["sft", 1].job]
    with pytest.raises(TrifacetError, match="nobody has looked into the model yet"):
        look_numbers(job.folder, "sft", ["probe/changed/t=700"])
    with pytest.raises(TrifacetError, match="nobody has looked"):
        look_numbers(job.folder, "base", ["probe/changed/t=500"])
    assert looks_asked(["cider", "cost/hours"]) is None


def test_people_are_waited_for_then_counted_with_their_agreement(measured):
    loaded, done = measured
    first, second = done.document["people"]["pairs"]
    assert first["why"] == second["why"] == "waits for people" and first["verdict"] == "cannot be told"
    words = first["command"].split()
    assert words[:2] == ["trifacet", "review"] and "--limit" in words
    assert first["command"] in done.page.read_text(encoding="utf-8").replace("<bdi>", "").replace("</bdi>", "")
    texts = [word.partition("=")[2] for word in words if word.startswith(("plain=", "sft="))]
    data, store = (Path(words[words.index(option) + 1]) for option in ("--data", "--store"))
    review = read_review(Path(texts[0]), Path(texts[1]), data, names=("plain", "sft"), limit=3)
    store.parent.mkdir()
    votes = Store(store, review)
    for judge in ("Ada", "Bo"):
        votes.begin(judge, sees=True)
        for pair in review.pairs:
            votes.vote(pair.id, judge, "A", "first", saw=True)
    votes.close()
    told = report_study(loaded).document["people"]["pairs"]
    assert (told[0]["votes"], told[0]["judges"], told[0]["win"]["count"]) == (6, 2, 3)
    assert (
        told[0]["p"] == pytest.approx(0.25) and told[0]["verdict"] == "cannot be told"
    )  # three posts can show nothing
    assert told[0]["agreement"]["agreement"]["value"] == 1 and told[1]["why"] == "waits for people"
    store.rename(store.with_name("faster-sft-seed-1.sqlite"))
    other = report_study(loaded).document["people"]["pairs"][1]
    assert other["votes"] == 0 and "holds a review of plain and sft" in other["why"]


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("cost/token", "measures: no 'cost/token'; did you mean 'cost/tokens'"),
        ("probe/centroid", "did you mean 'probe/centroids'"),
        ("probe/changed/t=1001", "measures: no 'probe/changed/t=1001'"),
        ("relative/cost/memory", "measures: no 'cost/memory'"),
        ("relative/evolved/right-ones", "measures: no 'evolved/right-ones'"),
    ],
)
def test_a_measure_that_its_source_does_not_give_is_refused(measure, said):
    with pytest.raises(ValueError, match=said):
        refuse_unknown(["cider", measure])


def test_people_compare_cells_that_there_are(tmp_path):
    for pair, said in ((["plain", "slow"], "no cell 'slow'"), (["plain", "plain"], "against itself")):
        values = study_values("out", "data", "model", {"people": {"pairs": [pair]}})
        with pytest.raises(TrifacetError, match=said):
            cells_of(load_study(str(write_study(tmp_path, values))))
