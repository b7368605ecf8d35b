"""Of what a build has kept nothing that is damaged is used: it is named, and made again byte for byte."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from flips import flip, random_flips
from PIL import Image
from small_builds import made, posts, write_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building.build import run_build
from trifacet.building.keeping import verify
from trifacet.building.plan import stages_of
from trifacet.building.recipe import load_build_recipe
from trifacet.building.stage_folder import StageFolder
from trifacet.building.story import explain

STEPS = ["images", {"exact-duplicates": {"same": ["alt"]}}, {"rejected-image": {"strategy": "crop"}}]
READ, IMAGES, TWINS, REJECTED, WRITE = range(5)  # stages


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished build with files of all kinds, its pages too."""
    folder = tmp_path_factory.mktemp("kept")
    rows = [row for row in posts(14) if len(row["alt"].split()) > 3]
    for number, row in enumerate(rows):
        Image.new("RGB", (40, 30), (20 * number, 90, 10)).save(folder / f"{number}.png")
        row["image"] = f"{number}.png"
    return write_recipe(folder, folder / "out", rows, STEPS, part_rows=3)


@pytest.fixture
def recipe(whole, trifacet, tmp_path):
    """A copy of it; no picture of the copy is a link to one of the first."""
    if not (whole.parent / "out").exists():
        assert trifacet("build", whole, "--workers", 1)[0] == 0
    shutil.copytree(whole.parent / "out", tmp_path / "out")
    return load_build_recipe(whole, [f"output={tmp_path / 'out'}"])


def some(recipe, pattern):
    return sorted(recipe.folder.glob(pattern))[1]


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def gone(path):
    path.unlink()


def changed(path):
    flip(path, 8 * (path.stat().st_size // 2))


def again(recipe, capfd, *, told: str = "") -> None:
    """Build again: all is as it was, and a line names what was not."""
    capfd.readouterr()
    run_build(recipe, workers=1)
    assert told in capfd.readouterr().err
    assert verify(recipe) == []


@pytest.mark.parametrize("damage", [cut, gone, changed])
@pytest.mark.parametrize("pattern", ["images/*/*", "work/made/rejected/*/*"])
def test_damaged_pictures_of_a_stopped_build_are_made_again(recipe, capfd, damage, pattern):
    whole = made(recipe.folder)
    (recipe.folder / "manifest.json").unlink()
    path = some(recipe, pattern)
    damage(path)
    if damage is changed and pattern.startswith("work"):  # its size is right: it shows where it is used
        with pytest.raises(TrifacetError, match=r"rejected/.*\.jpg is not as it was written; delete it, and the same"):
            run_build(recipe, workers=1)
        path.unlink()
    again(recipe, capfd)
    assert made(recipe.folder) == whole


@pytest.mark.parametrize("damage", [cut, gone, changed])
@pytest.mark.parametrize(
    "pattern",
    ["images/*/*", "work/made/rejected/*/*", "preference/*", "stages/*/rows/*", "stages/*/events/*", "manifest.json"],
)
def test_damage_to_a_finished_build_is_seen_and_mended(recipe, capfd, damage, pattern):
    path = sorted(recipe.folder.glob(pattern))[-1]
    whole = made(recipe.folder)
    damage(path)
    if damage is changed and pattern.startswith(("stages", "work")):  # no byte of these is read for a finished build
        (found,) = verify(recipe)
        assert found == (path, "is not as it was written")
        path.unlink()
    told = f"{path} " if pattern != "manifest.json" or damage is not gone else ""
    again(recipe, capfd, told=told)
    assert made(recipe.folder) == whole


def test_a_finished_build_that_is_whole_is_left_alone(recipe, capfd):
    def times():
        return {path: path.stat().st_mtime_ns for path in recipe.folder.rglob("*") if path.name not in claimed}

    claimed = (".lock", "build.json", "recipe.yaml")
    before = times()
    run_build(recipe, workers=1)
    assert "made again" not in capfd.readouterr().err
    assert times() == before


@pytest.mark.parametrize("name", ["card.md", "funnel.html"])
def test_pages_are_written_anew_where_they_are_not_as_they_were(recipe, whole, trifacet, name):
    path = recipe.folder / name
    changed(path)
    assert trifacet("build", whole, "--set", f"output={recipe.folder}", "--verify")[:2] == (
        1,
        f"{path}: is not as it was written\n",
    )
    assert trifacet("build", whole, "--set", f"output={recipe.folder}", "--workers", 1)[0] == 0
    assert trifacet("build", whole, "--set", f"output={recipe.folder}", "--verify")[0] == 0


LINES = {
    "count": lambda line: line.replace(b'"out": 3', b'"out": 4'),
    "NUL": lambda line: b"\0" * len(line),
    "number": lambda line: unsealed(line, part=7),
    "no number": lambda line: unsealed(line, part="1"),
    "keys": lambda line: unsealed(line, steps=[{"step": 1}]),
    "no files": lambda line: unsealed(line, files=["rows"]),
    "list": lambda line: b"[1]",
}


def unsealed(line, **changes):
    """A record from before there were seals, changed."""
    content = json.loads(line)
    content.pop("seal")
    return json.dumps(content | changes).encode()


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("damage", LINES)
def test_a_damaged_record_is_none_and_its_part_is_made_again(recipe, capfd, damage, finished):
    whole = made(recipe.folder)
    if not finished:
        (recipe.folder / "manifest.json").unlink()
    log = stages_of(recipe)[IMAGES].folder / "parts.jsonl"
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"\n".join([lines[0], LINES[damage](lines[1]), *lines[2:], b""]))
    assert 1 not in StageFolder(log.parent).records()
    again(recipe, capfd, told=f"{log} lacks the record of a part: made again" if finished else "")
    assert made(recipe.folder) == whole


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * 64])
def test_a_damaged_seal_of_decisions_is_none(recipe, capfd, content):
    whole = made(recipe.folder)
    (recipe.folder / "manifest.json").unlink()
    (stages_of(recipe)[TWINS].folder / "decisions.sha256").write_bytes(content)
    again(recipe, capfd)
    assert made(recipe.folder) == whole


def test_a_count_of_parts_that_is_none_is_one_line(recipe):
    path = recipe.folder / "build.json"
    facts = json.loads(path.read_text())
    for changed in (facts | {"parts": "3"}, {key: facts[key] for key in facts if key != "seal"} | {"parts": "3"}):
        path.write_text(json.dumps(changed))
        with pytest.raises(TrifacetError, match=r"build\.json is damaged; choose another output, or --overwrite"):
            run_build(recipe, workers=1)


def test_a_story_is_not_told_of_damaged_files(recipe):
    changed(some(recipe, "stages/01-images/events/*"))
    with pytest.raises(TrifacetError, match=r"events/part-000001\.parquet is not as it was written; delete it, and"):
        [explain(recipe, f"post-{number}") for number in range(4, 14) if number != 9]


def test_a_build_from_before_there_were_seals_stands_and_goes_on(recipe, capfd):
    manifest = json.loads((recipe.folder / "manifest.json").read_text())
    before = made(recipe.folder)
    for log in recipe.folder.glob("stages/*/*.jsonl"):
        records = [json.loads(line) for line in log.read_bytes().splitlines()]
        for one in records:
            del one["seal"]
            one["files"] = {name: seal[1] for name, seal in one["files"].items() if "pictures" not in name}
        log.write_text("".join(json.dumps(one) + "\n" for one in records))
    for path in recipe.folder.glob("stages/*/pictures"):
        shutil.rmtree(path)
    for name in ("manifest.json", "build.json"):
        content = json.loads((recipe.folder / name).read_text())
        kept = {key: content[key] for key in content if key not in ("seal", "sealed", "pictures")}
        (recipe.folder / name).write_text(json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    del manifest["seal"]
    assert run_build(recipe, workers=1) == manifest
    assert "made again" not in capfd.readouterr().err
    cut(some(recipe, "images/*/*"))
    again(recipe, capfd, told="is not as it was written: made again")
    assert made(recipe.folder) == before


def test_a_shard_that_trips_its_reader_is_named(recipe):
    (shard,) = recipe.folder.glob("preference/*.parquet")
    written = shard.read_bytes()
    row = pq.read_table(shard, columns=["id"]).column("id")[0].as_py()
    shard.write_bytes(written[:-60] + bytes(40) + written[-20:])  # the schema, in the file's foot
    assert verify(recipe) == [(shard, "is not as it was written")]
    with pytest.raises(TrifacetError, match=f"{shard.name} is not as it was written; build again to mend it"):
        explain(recipe, row)


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.endurance)])
def test_every_flipped_bit_is_named(recipe, count):
    for path, place in random_flips(recipe.folder, count, seed=count):
        try:
            named = [one for one, _ in verify(recipe)]
        except TrifacetError as error:  # the mark itself
            named = [recipe.folder / "build.json"]
            assert "build.json: is damaged" in str(error)
        parts = path.name == "decisions.sha256" and path.with_name("decisions.parquet")  # which of the two, who knows
        assert path in named or parts in named, (path, place)
    assert verify(recipe) == []
