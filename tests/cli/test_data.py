"""``trifacet data`` as a user meets it: streams, exit codes, hostile text, real data, and the gallery in a browser."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_pages import TURNS, only_our_markup
from PIL import Image
from typer.testing import CliRunner

from trifacet.base.errors import DataError
from trifacet.cli.data import Format, Kind, app
from trifacet.data.formats import FORMATS, write_samples
from trifacet.data.records import SAMPLE_TYPES, make_sample
from trifacet.preferences.rejected.images import STRATEGIES

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
            "extra": {HOSTILE: HOSTILE},
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
    assert "... and 14 more findings" in result.stdout


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
    result = run("show", hostile, "--output", tmp_path / "page.html", "--strategy", "blurr")
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
