"""``trifacet data`` as a user meets it: streams, exit codes, hostile text, real data, and the gallery in a browser."""

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hostile_pages import TURNS, only_our_markup
from PIL import Image
from typer.testing import CliRunner

from trifacet.base.errors import DataError
from trifacet.cli.data import Format, Kind, app
from trifacet.data.formats import FORMATS, read_samples, write_samples
from trifacet.data.records import SAMPLE_TYPES, PreferenceSample, make_sample
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy
from trifacet.preferences.rejected.masks import box_mask
from trifacet.reports.gallery import write_gallery

sys.path.insert(0, str(Path(__file__).parents[1]))
from axe import assert_accessible, in_light_and_dark

HOSTILE = f'[red]</script><script>alert(1)</script> <img src=x onerror=alert(2)> "quoted" {{{{ 7 }}}} {TURNS}\x1b[2J'


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def hostile(tmp_path):
    """A pair whose every text is hostile, one with a broken image, one with two images, and one without."""
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "a.png")
    Image.new("RGBA", (20, 40), (250, 10, 10, 90)).save(tmp_path / "b.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    rows = [
        {
            "id": HOSTILE,
            "image": "a.png",
            "context": HOSTILE,
            "prompt": HOSTILE,
            "response": HOSTILE,
            "rejected_images": ["b.png"],
            "rejected_contexts": ["", HOSTILE],
            "rejected_responses": [HOSTILE + "!"],
            "extra": {HOSTILE: HOSTILE, "lettering": [HOSTILE, {"text": HOSTILE}]},
        },
        {"id": "two", "image": "broken.png", "response": "Cat", "context": "Post"},
        {"id": "three", "image": "a.png", "more_images": ["b.png"], "response": "Dog", "context": "Another post"},
        {"id": "four", "response": "Cow", "context": "A post without a picture"},
    ]
    path = tmp_path / "pairs [red].jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def parse(path):
    tags = Tags()
    tags.feed(path.read_text(encoding="utf-8"))
    return tags


def test_the_choices_are_what_there_is():
    assert [choice.value for choice in Format] == list(FORMATS)
    assert [choice.value for choice in Kind] == list(SAMPLE_TYPES)


def test_check_names_every_problem_and_leaves_with_2(hostile, tmp_path):
    result = run("check", hostile, "--json", tmp_path / "report.json")
    assert result.exit_code == 2
    assert "pairs [red].jsonl, row 2, field 'image': 'broken.png'" in result.stdout
    assert "\x1b" not in result.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"] == 4
    assert report["errors"] == sum(one["severity"] == "error" for one in report["findings"]) == 2
    assert set(report["findings"][0]) == {"severity", "file", "row", "field", "cause", "cure"}
    assert report["images"]["by_mode"] == {"RGB": 1, "RGBA": 1}
    assert report["budget"] is None


def test_markup_and_control_characters_of_a_file_are_literal(tmp_path):
    path = tmp_path / "d.jsonl"
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    path.write_text(json.dumps({"id": "a", "image": "a.png", "response": "x", "[red]\x1b[2Jname": 1}))
    result = run("check", path, "--kind", "sft")
    assert result.exit_code == 2
    assert "field '[red]\\x1b[2Jname'" in result.stdout


def test_check_without_errors_leaves_with_0_and_json_replaces_the_table(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "d.jsonl").write_text('{"id": "a", "image": "a.png", "response": "x"}')
    result = run("check", tmp_path / "d.jsonl", "--kind", "preference", "--json", "-")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["warnings"], report["notes"]) == (1, 1)


def test_findings_beyond_the_limit_are_counted(tmp_path):
    rows = [json.dumps({"id": str(n), "image": "none.png", "response": f"text {n}"}) for n in range(9)]
    (tmp_path / "d.jsonl").write_text("\n".join(rows))
    result = run("check", tmp_path / "d.jsonl", "--kind", "sft", "--lines", 4)
    assert "... and 6 more findings" in result.stdout


def test_a_note_that_is_the_same_in_many_rows_is_one_line_and_an_error_a_line_for_each_row(tmp_path):
    rows = [{"id": str(n), "image": "none.png", "response": f"text {n}"} for n in range(5)]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = run("check", tmp_path / "d.jsonl", "--kind", "sft", "--json", tmp_path / "all.json")
    assert result.stdout.count("post is empty") == 1
    assert "field 'context': post is empty, in 5 rows (1, 2, 3, ...); fine if" in " ".join(result.stdout.split())
    assert result.stdout.count("give the image folder") == 5  # what the cure names is an option of this command
    assert json.loads((tmp_path / "all.json").read_text())["notes"] == 5


def test_check_counts_the_tokens_of_a_recipes_model(tiny_folder, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    texts = {"short": ("Post.", "A cat"), "long": ("many words " * 40, "A cat"), "never": ("Post.", "a cat " * 90)}
    rows = [{"id": key, "image": "a.png", "context": post, "response": text} for key, (post, text) in texts.items()]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {"name": "r", "output": "out", "model": {"path": str(tiny_folder)}, "data": {"max_length": 120}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    arguments = ["check", tmp_path / "d.jsonl", "--kind", "sft", "--recipe", tmp_path / "recipe.yaml"]
    result = run(*arguments, "--json", "-")
    assert result.exit_code == 2, result.output
    report = json.loads(result.stdout)
    assert report["budget"]["impossible"] == ["never"]
    assert report["budget"]["over"] == 1
    assert report["budget"]["cut_tokens"] > 0
    assert [(one["severity"], one["row"]) for one in report["findings"]] == [("error", 3), ("warning", None)]
    assert "1 over 120" in run(*arguments).stdout


def test_the_tokens_of_an_image_are_those_of_its_size(family_folders, tmp_path):
    """Upright: the file of the second is the first, lying on its side."""
    sideways = Image.Exif()
    sideways[0x0112] = 6
    Image.new("RGB", (100, 20)).save(tmp_path / "wide.png")
    Image.new("RGB", (20, 100)).save(tmp_path / "turned.jpg", exif=sideways)
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    longest = {}
    for name in ("wide.png", "turned.jpg", "small.png"):
        row = {"id": name, "image": name, "context": "Post.", "response": "A cat"}
        (tmp_path / "d.jsonl").write_text(json.dumps(row))
        model = {"path": str(family_folders("llava_next")), "image_tiles": "any"}
        recipe = {"name": "r", "output": "out", "model": model, "data": {"max_length": 500}}
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        result = run(
            "check", tmp_path / "d.jsonl", "--kind", "sft", "--recipe", tmp_path / "recipe.yaml", "--json", "-"
        )
        longest[name] = json.loads(result.stdout)["budget"]["longest"]
    assert longest["wide.png"] == longest["turned.jpg"] != longest["small.png"]


def test_convert_says_on_standard_error_what_was_lost(hostile, tmp_path):
    result = run("convert", hostile, tmp_path / "out.json", "--to", "trl", "--from", "trifacet")
    assert result.exit_code == 0
    assert "lost: 3 samples left out: trl needs a rejected response" in result.stderr
    assert "lost: rejected images of 1 sample lost" not in result.stdout
    assert "out.json" in result.stdout
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["chosen"][0]["content"][0]["text"] == HOSTILE


def test_convert_of_a_broken_file_writes_nothing(tmp_path):
    (tmp_path / "in.json").write_text('[{"id": 1},')
    result = run("convert", tmp_path / "in.json", tmp_path / "out.jsonl", "--to", "trl")
    assert isinstance(result.exception, DataError)
    assert not (tmp_path / "out.jsonl").exists()


def within_parquet(folder):
    """A file as TRL trains on it: pictures inside, all called the same."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    datas = []
    for colour in ("red", "blue"):
        file = io.BytesIO()
        Image.new("RGB", (64, 40), colour).save(file, "PNG")
        datas.append(file.getvalue())
    turn = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    said = {"prompt": ("user", "Describe."), "chosen": ("assistant", "A cat"), "rejected": ("assistant", "A dog")}
    columns = {name: pa.array([[{"role": role, "content": text}]] * 2, turn) for name, (role, text) in said.items()}
    images = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    columns["images"] = pa.array([[{"bytes": data, "path": "image.png"}] for data in datas], images)
    (folder / "in").mkdir()
    pq.write_table(pa.table(columns), folder / "in" / "pairs.parquet")
    return folder / "in" / "pairs.parquet", datas


def test_pictures_within_a_file_are_seen_by_every_command(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs, datas = within_parquet(tmp_path)
    report = json.loads(run("check", pairs, "--json", "-").stdout)
    assert (report["errors"], report["images"]["files"], report["images"]["height"]["max"]) == (0, 2, 40)
    assert run("show", pairs, "--output", tmp_path / "g.html").exit_code == 0
    assert parse(tmp_path / "g.html").tags.count("img") == 2
    (tmp_path / "out").mkdir()
    for name, to in (("rows.jsonl", "trl"), ("own.parquet", "trifacet")):
        result = run("convert", pairs, tmp_path / "out" / name, "--to", to)
        assert (result.exit_code, result.stderr) == (0, "")
        again = read_samples(tmp_path / "out" / name, "preference")
        assert [(tmp_path / "out" / sample.image).read_bytes() for sample in again] == datas
    assert "2 images written" in run("unpack", tmp_path / "in", "--output", tmp_path / "files").stdout
    assert sorted(path.read_bytes() for path in (tmp_path / "files").iterdir()) == sorted(datas)
    assert "0 images written" in run("unpack", tmp_path / "in", "--output", tmp_path / "files").stdout


def test_converted_rows_find_their_pictures_or_nothing_is_written(tmp_path):
    for folder in ("a/img", "b"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "img" / "x.png")
    row = {"image": "img/x.png", "prompt": "Describe.", "response": "A cat", "rejected_responses": ["A dog"]}
    (tmp_path / "a" / "in.jsonl").write_text(json.dumps(row))

    def converted(out, *more):
        result = run("convert", tmp_path / "a" / "in.jsonl", tmp_path / out, "--to", "trl", *more)
        return result.exception or (json.loads((tmp_path / out).read_text())["images"], result.stderr)

    assert converted("a/out.jsonl") == (["img/x.png"], "")
    assert converted("out.jsonl") == (["a/img/x.png"], "")
    assert "image 'img/x.png' of" in str(converted("b/out.jsonl"))
    assert not (tmp_path / "b" / "out.jsonl").exists()
    images, said = converted("b/out.jsonl", "--images", tmp_path / "b")
    assert images == ["img/x.png"]  # as they are: that folder was named
    (tmp_path / "a" / "in.jsonl").write_text(json.dumps({**row, "image": "no.png"}))
    images, said = converted("b/out.jsonl")
    assert images == ["no.png"]
    assert "1 image paths lead to no file from" in " ".join(said.split())


def test_a_request_is_needed_by_the_formats_of_others(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"response": "A cat", "context": "A post.", "rejected_responses": ["A dog"]}')
    arguments = ["convert", tmp_path / "in.jsonl", tmp_path / "out.jsonl", "--to"]
    assert "1 samples have no request of their own" in str(run(*arguments, "trl").exception)
    assert not (tmp_path / "out.jsonl").exists()
    assert run(*arguments, "trl", "--prompt", "Describe.").exit_code == 0
    assert run(*arguments, "trifacet").exit_code == 0


def test_what_is_lost_is_listed_with_its_rows(tmp_path):
    said = {"role": "user", "content": "Describe.", "name": "Ann"}
    row = {"prompt": [said], "chosen": "A cat", "rejected": "A dog", "score": 1}
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({**row, "id": name}) + "\n" for name in ("a", "b")))
    report = json.loads(run("check", tmp_path / "d.jsonl", "--json", "-").stdout)
    assert report["lost"] == {"a 'name' of messages": 2}
    told = {one["cause"]: (one["severity"], one["row"]) for one in report["findings"]}
    assert told["lost: a 'name' of messages (2 rows, this one first)"] == ("warning", 1)
    assert told["fields that are kept and not used, with their rows: 'score' (2)"] == ("note", None)
    result = run("convert", tmp_path / "d.jsonl", tmp_path / "out.jsonl", "--to", "ms-swift")
    assert "lost: a 'name' of messages (rows: 2)" in result.stderr


@pytest.mark.parametrize("name", ["hub:{}", "hub:{}:train", "hub:{}:default:train"])
def test_a_data_set_in_the_layout_of_the_hub_is_read_by_its_name(tmp_path, monkeypatch, name):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs, _ = within_parquet(tmp_path)
    (tmp_path / "set" / "data").mkdir(parents=True)
    pairs.rename(tmp_path / "set" / "data" / "train-00000-of-00001.parquet")
    result = run("check", name.format(tmp_path / "set"), "--json", "-")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["rows"], report["format"], report["images"]["files"]) == (2, "trl", 2)


@pytest.mark.parametrize("name", ["hub:{}:valid", "hub:{}/none", "hub:", "hub:a:b:c:d"])
def test_what_is_no_such_data_set_is_one_line(tmp_path, monkeypatch, name):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}')
    problem = run("check", name.format(tmp_path)).exception
    assert isinstance(problem, DataError)
    assert str(problem).startswith(name.format(tmp_path))
    assert len(str(problem).splitlines()) == 1


def test_the_gallery_escapes_everything(hostile, tmp_path):
    page = tmp_path / "gallery.html"
    result = run("show", hostile, "--output", page)
    assert result.exit_code == 0, result.output
    only_our_markup(page.read_text(encoding="utf-8"), "gallery.html.jinja")
    tags = parse(page)
    assert "script" not in tags.tags
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert HOSTILE.replace("\x1b", "\ufffd") in tags.text
    sources = [value for name, value in tags.attributes if name == "src"]
    assert len(sources) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "The image cannot be shown" in tags.text
    assert "further picture 1" in tags.text
    assert [value for name, value in tags.attributes if name == "class" and "further" in value] == ["version further"]


def test_the_gallery_holds_so_much_of_a_text_and_so_many_versions(tmp_path):
    long = "word " * 20_000
    many, pictures = [f"Cat {number} {long}" for number in range(50)], [f"{n}.png" for n in range(50)]
    row = {"id": "one", "image": "none.png", "more_images": pictures, "context": long, "prompt": long, "response": long,
           "rejected_responses": many, "rejected_contexts": many, "extra": {"more": long}}  # fmt: skip
    (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n")
    page = tmp_path / "page.html"
    result = run("show", tmp_path / "d.jsonl", "--output", page)
    assert result.exit_code == 0, result.output
    assert page.stat().st_size < 400_000
    text = parse(page).text
    assert "… and 96000 more characters" in text
    assert text.count("30 more are not shown") == 2
    assert "31 more are not shown" in text  # of 51 pictures


def test_a_strategy_that_is_not_known_is_refused_with_those_that_are(hostile, tmp_path):
    result = run("show", hostile, "--output", tmp_path / "page.html", "--strategy", "sepia")
    assert ", ".join(STRATEGIES) in str(result.exception)


def test_the_gallery_shows_what_a_strategy_makes(hostile, tmp_path):
    page = tmp_path / "gallery.html"
    result = run("show", hostile, "--output", page, "--strategy", "randomness")
    assert result.exit_code == 0, result.output
    text = parse(page).text
    assert "made by randomness" not in text[text.index("four") :]  # nothing to make a rejected image of
    assert "made by randomness" in text
    assert "that of sample" in text
    assert "given by the data" in text
    again = page.read_bytes()
    run("show", hostile, "--output", page, "--strategy", "randomness")
    assert page.read_bytes() == again


def test_the_gallery_shows_all_versions_and_says_where_nothing_was_located(hostile, tmp_path):
    page = tmp_path / "gallery.html"
    result = run("show", hostile, "--output", page, "--strategy", "graded", "--t", "300", "--versions", "3")
    assert result.exit_code == 0, result.output
    text = parse(page).text
    for version in (1, 2, 3):
        said = f"made by graded (diffusion, t = 300), version {version} of 3: nothing located, so all of it"
        assert said in text


def test_the_gallery_shows_what_regions_hide(tmp_path):
    sample = PreferenceSample(id="a", image="a.png", context="c", response="r", rejected_responses=("s",))
    Image.new("RGB", (120, 80), "white").save(tmp_path / "a.png")
    strategy = image_strategy("region-black")
    shown, masks = {}, {"half": box_mask((120, 80), (60, 0, 120, 80)), "small": np.ones((5, 5), np.bool_)}
    for name, mask in masks.items():
        page = tmp_path / f"{name}.html"
        write_gallery([sample], tmp_path, page, title="t", strategy=strategy, masks=lambda _, mask=mask: mask)
        shown[name] = page.read_text(encoding="utf-8")
    assert "nothing located" not in shown["half"]
    assert "its regions are of a picture of 5 x 5 pixels, and its image has 120 x 80" in shown["small"]
    pictures = re.findall(r"base64,([A-Za-z0-9+/=]+)", shown["half"])
    made = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[1]))).convert("L"))
    assert made[:, :55].min() > 240
    assert made[:, 65:].max() < 15


@in_light_and_dark
def test_the_gallery_is_accessible_and_fits(hostile, tmp_path, dark):
    page = tmp_path / "gallery.html"
    run("show", hostile, "--output", page, "--strategy", "diffusion")
    assert_accessible(page, dark=dark, rules=15)


def test_real_data_go_through_every_command(pinterest, tmp_path):
    pairs, images = pinterest / "pinterest_train.json", pinterest / "image" / "pinterest_train"
    result = run("check", pairs, "--images", images, "--json", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["rows"], report["format"], report["images"]["files"]) == (10, "mcm-dpo", 10)
    assert report["images"]["height"]["max"] == 3838
    posts, post_images = pinterest / "pinterest_test.json", pinterest / "image" / "pinterest_test"
    assert run("check", posts, "--kind", "test", "--images", post_images).exit_code == 0
    assert run("convert", pairs, tmp_path / "p.parquet", "--to", "trifacet").exit_code == 0
    assert run("convert", tmp_path / "p.parquet", tmp_path / "p.json", "--to", "ms-swift").exit_code == 0
    shown = run("show", tmp_path / "p.parquet", "--images", images, "--output", tmp_path / "g.html", "--limit", 2)
    assert shown.exit_code == 0, shown.output
    assert parse(tmp_path / "g.html").tags.count("img") == 2


@pytest.mark.parametrize("kind", ["sft", "test"])
def test_check_and_show_take_the_kind_that_shards_say_they_are_of(kind, tmp_path):
    text = {"sft": {"response": "One dog runs."}, "test": {"references": ["One dog runs."]}}[kind]
    sample = make_sample(kind, {"id": "a", "context": "A post.", **text})
    (tmp_path / kind).mkdir()
    write_samples([sample], tmp_path / kind / f"{kind}-00000.parquet", "trifacet", kind)
    checked = run("check", tmp_path / kind, "--json", "-")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["kind"] == kind
    assert run("show", tmp_path / kind, "--output", tmp_path / "page.html").exit_code == 0
    # whoever says another kind gets it
    assert (
        json.loads(run("check", tmp_path / kind, "--kind", "preference", "--json", "-").stdout)["kind"] == "preference"
    )
