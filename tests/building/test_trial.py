"""An estimate tells apart what is done once, for each part, for each row and over all rows."""

import time

import pyarrow as pa
from small_builds import write_recipe

from trifacet.building.recipe import load_build_recipe
from trifacet.building.step import GlobalStep, MapStep, Signatures
from trifacet.building.steps import STEPS
from trifacet.building.trial import estimate_build
from trifacet.settings.section import Section


class Nothing(Section):
    """No parameters."""


def pause(seconds: float) -> None:
    """Takes time of this core."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def slow(loaded: list[bool]) -> MapStep:
    def apply(batch, parameters, tools):
        if not loaded:
            time.sleep(0.4)
            loaded.append(True)
        time.sleep(0.001 * len(batch))

    return MapStep("slow", Nothing, apply)


def deciding() -> GlobalStep:
    def decide(signatures: Signatures, parameters, tools):
        pause(0.05 + 0.0005 * len(signatures.column("row")))
        return pa.table({"row": pa.array([], pa.int64())})

    return GlobalStep("over-all", Nothing, lambda part, *_: part.select(["row"]), decide, lambda *given: None)


def test_once_per_row_and_over_all_rows(tmp_path, monkeypatch):
    monkeypatch.setitem(STEPS, "slow", slow([]))
    monkeypatch.setitem(STEPS, "over-all", deciding())
    rows = [{"id": str(k), "context": "a post", "alt": "words of it"} for k in range(4_000)]
    recipe = load_build_recipe(write_recipe(tmp_path, tmp_path / "out", rows, ["slow", "over-all"]))
    trial, costs = estimate_build(recipe, 400, workers=1, show=lambda progress: None)
    assert (trial.rows, trial.of) == (400, 4000)
    found = {one.step: one.core_seconds for one in costs}
    assert 0.5 < found["slow"] / (0.4 + 4000 * 0.001) < 2
    assert 0.5 < found["over-all"] / (0.05 + 4000 * 0.0005) < 2
    assert found["read"] < 2, "a trial reads all rows: that is not what each of its rows takes"
