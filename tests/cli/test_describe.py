"""``trifacet describe`` and ``trifacet generate`` on a tiny checkpoint: output, continuing, and bad input."""

import json
import signal
import unicodedata

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from searching import searched
from small_runs import Command
from typer.testing import CliRunner

from trifacet.base.errors import TrifacetError
from trifacet.cli import describe as describe_module
from trifacet.cli.describe import describe, one_line
from trifacet.cli.generate import generate

app = typer.Typer()
app.command("describe")(describe)
app.command("generate")(generate)
SHORT = ("--beams", "1", "--max-new-tokens", "6", "--device", "cpu")


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, TrifacetError):
        raise result.exception
    return result


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("sky", "fox")]
    for path, colour in zip(paths, ("skyblue", "orange"), strict=True):
        Image.new("RGB", (40, 30), colour).save(path)
    return paths


def test_one_image_is_one_line(tiny_folder, pictures):
    result = run("describe", pictures[0], "--model", tiny_folder, *SHORT)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("\n")
    assert result.stdout.count("\n") == 1
    assert "\t" not in result.stdout


def test_several_images_have_their_paths_before_a_tab(tiny_folder, pictures, tmp_path):
    document = tmp_path / "texts.json"
    result = run("describe", *pictures, "--model", tiny_folder, "--json", document, *SHORT)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [path for path, _ in rows] == [str(path) for path in pictures]
    written = json.loads(document.read_text())
    assert written["model"] == str(tiny_folder)
    assert [(row["image"], row["text"]) for row in written["images"]] == [tuple(row) for row in rows]
    only = run("describe", *pictures, "--model", tiny_folder, "--json", "-", *SHORT)
    assert json.loads(only.stdout) == written


def test_further_pictures_of_the_post_are_shown_after_each(tiny_folder, pictures):
    rows = {}
    for further in ([], ["--more-image", pictures[1]], ["--more-image", pictures[1], "--more-image", pictures[0]]):
        result = run("describe", pictures[0], "--model", tiny_folder, "--json", "-", *further, *SHORT)
        written = json.loads(result.stdout)
        assert written["more_images"] == [str(path) for path in further[1::2]]
        rows[len(further) // 2] = written["images"][0]["prompt_tokens"]
    assert rows[2] - rows[1] == rows[1] - rows[0] >= 16
    with pytest.raises(TrifacetError, match=r"none\.png: no such file"):
        run("describe", pictures[0], "--more-image", "none.png", "--model", tiny_folder, *SHORT)


def test_a_context_may_come_from_a_file_and_counts(tiny_folder, pictures, tmp_path):
    post = tmp_path / "post.txt"
    post.write_text("Ada on the beach", encoding="utf-8")

    def prompt_tokens(*context):
        result = run("describe", pictures[0], "--model", tiny_folder, "--json", "-", *context, *SHORT)
        return json.loads(result.stdout)["images"][0]["prompt_tokens"]

    with_file = prompt_tokens("--context-file", post)
    assert with_file == prompt_tokens("--context", "Ada on the beach")
    assert with_file > prompt_tokens()
    with pytest.raises(TrifacetError, match="keep one"):
        prompt_tokens("--context-file", post, "--context", "x")
    post.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TrifacetError, match="UTF-8"):
        prompt_tokens("--context-file", post)


def test_the_model_is_asked_as_in_training(tiny_folder, pictures, tmp_path):
    import shutil

    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "trifacet.json").write_text(json.dumps({"prompt": "Say it.", "context_label": "Post:", "max_length": 90}))
    _, encoder = describe_module.load_for_generation(str(folder), prompt=None, dtype="float32", device="cpu")
    assert encoder.user_text(None, "x") == "Say it.\nPost:\nx"
    assert encoder.max_length == 90
    (folder / "trifacet.json").write_text("[")
    with pytest.raises(TrifacetError, match="damaged"):
        run("describe", pictures[0], "--model", folder, *SHORT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m fox", "ared fox"),
        ("\x1b]0;owned\x07a fox", "a fox"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ end", "link end"),
        ("\x1b]0;never closed: a fox", "0;never closed: a fox"),
        ("\x9b2Ja\x85fox\x07\x00", "a fox"),
        (" two\r\n lines\tand\u2028more ", "two lines and more"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\x1b", ""),
        ("Füchse 🦊 \u05d0", "Füchse 🦊 \u05d0"),
    ],
)
def test_what_reaches_the_terminal(text, expected):
    assert one_line(text) == expected


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]m;\x07\x9b\\0 P"))))
@searched(200)
def test_no_control_character_reaches_the_terminal(text):
    shown = one_line(text)
    assert all(unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert one_line(shown) == shown


def test_paths_and_texts_are_cleaned_before_they_are_printed(tiny_folder, pictures, tmp_path):
    evil = tmp_path / "a\x1b[2J\nb.png"
    evil.write_bytes(pictures[0].read_bytes())
    told = tmp_path / "told.json"
    result = run("describe", evil, pictures[1], "--model", tiny_folder, *SHORT, "--json", told)
    assert "\x1b" not in result.stdout
    assert r"a\x1b[2J\nb.png" in result.stdout
    assert result.stdout.count("\n") == 2
    assert json.loads(told.read_text())["images"][0]["image"] == str(evil)


def test_a_path_that_is_no_file_is_named_as_it_was_given():
    with pytest.raises(TrifacetError, match=r"^no\.png: no such file; correct the path"):
        run("describe", "no.png", "--model", "nowhere")


def test_an_unreadable_image_is_named_before_the_model_loads(pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    for name, problem in ((broken, "broken.png"), (tmp_path / "none.png", "no such file")):
        with pytest.raises(TrifacetError, match=problem):
            run("describe", pictures[0], name, "--model", tmp_path / "no-model", *SHORT)


def test_generate_writes_a_line_per_post_and_continues(tiny_folder, world, tmp_path):
    output = tmp_path / "out.jsonl"
    arguments = ("generate", world / "test.jsonl", "--model", tiny_folder, "--output", output, "--images", world)
    result = run(*arguments, *SHORT, "--batch-size", "4")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "6 texts" in result.stderr
    whole = output.read_bytes()
    posts = [json.loads(line) for line in (world / "test.jsonl").read_text().splitlines()]
    assert [json.loads(line)["id"] for line in whole.decode().splitlines()] == [post["id"] for post in posts]
    assert run(*arguments, *SHORT).exit_code == 0
    assert output.read_bytes() == whole
    with pytest.raises(TrifacetError, match="beams 1 there, 3 now"):
        run(*arguments, "--max-new-tokens", "6")
    assert run(*arguments, *SHORT, "--limit", "2", "--overwrite").exit_code == 0
    assert output.read_bytes().splitlines() == whole.splitlines()[:2]
    with pytest.raises(TrifacetError, match="unknown format 'xml'"):
        run(*arguments, "--format", "xml")


def test_a_run_that_was_killed_is_continued_to_the_same_file(tiny_folder, world, tmp_path):
    command = (world / "test.jsonl", "--model", tiny_folder, "--images", world, "--batch-size", "1", "--device", "cpu",
               "--beams", "2", "--max-new-tokens", "30")  # fmt: skip
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    process = Command(tmp_path, "generate", *command, "--output", killed)
    process.stop_when(lambda: killed.exists() and b"\n" in killed.read_bytes(), signal.SIGKILL)
    assert 1 <= killed.read_bytes().count(b"\n") <= 6
    for output in (whole, killed):
        assert run("generate", *command, "--output", output).exit_code == 0
    assert killed.read_bytes() == whole.read_bytes()


def test_a_filter_says_which_images_get_no_text_and_why(tiny_folder, pictures, tmp_path, monkeypatch):
    from trifacet.generation import filtering

    monkeypatch.setattr(filtering, "broken_rules", lambda text, context, level: ("placeholder",))
    result = run(
        "describe", *pictures, "--model", tiny_folder, *SHORT, "--filter", "errors", "--json", tmp_path / "x.json"
    )
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == ["", ""]
    assert result.stderr.count("no text: what was written breaks placeholder") == 2
    rows = json.loads((tmp_path / "x.json").read_text())["images"]
    assert [(row["text"], row["filtered"]) for row in rows] == [("", ["placeholder"])] * 2
    data = tmp_path / "test.jsonl"
    data.write_text("".join(json.dumps({"id": p.stem, "image": p.name, "context": ""}) + "\n" for p in pictures))
    result = run(
        "generate", data, "--model", tiny_folder, *SHORT, "--filter", "errors", "--output", tmp_path / "o.jsonl"
    )
    assert (
        "0 texts in" in result.stderr
        and "2 posts without one: no text passed the filter (placeholder 2)" in result.stderr
    )


def test_a_model_may_come_from_the_environment_or_the_configuration(tiny_folder, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TRIFACET_MODEL", raising=False)
    with pytest.raises(TrifacetError, match=r"set TRIFACET_MODEL, or write 'model: DIR' into .*config.trifacet.config"):
        run("describe", pictures[0], *SHORT)
    named = run("describe", pictures[0], "--model", tiny_folder, *SHORT).stdout
    file = tmp_path / "config" / "trifacet" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"model: {tiny_folder}\n")
    configured = run("describe", pictures[0], *SHORT)
    assert configured.stdout == named and f"({file})" in configured.stderr
    file.write_text("modell: x\n")
    monkeypatch.setenv("TRIFACET_MODEL", str(tiny_folder))
    assert run("describe", pictures[0], *SHORT).stdout == named
    monkeypatch.delenv("TRIFACET_MODEL")
    with pytest.raises(TrifacetError, match="names no model"):
        run("describe", pictures[0], *SHORT)


def test_the_words_around_an_image_on_a_page_are_its_post(tiny_folder, pictures, tmp_path):
    page = tmp_path / "index.html"
    page.write_text('<title>Trip</title><p>Ada on the beach <img src="sky.png"></p><p>At night</p>')
    common = ("--model", tiny_folder, "--json", "-", *SHORT)
    found = json.loads(run("describe", pictures[0], "--context-from", page, *common).stdout)
    bare = json.loads(run("describe", pictures[0], *common).stdout)
    assert found["images"][0]["prompt_tokens"] > bare["images"][0]["prompt_tokens"]
    with pytest.raises(TrifacetError, match=r"index\.html: shows no fox\.png"):
        run("describe", pictures[1], "--context-from", page, *common)
    with pytest.raises(TrifacetError, match="leave --context"):
        run("describe", pictures[0], "--context-from", page, "--context", "x", *common)


def test_several_texts_are_drawn_and_what_they_disagree_on_is_marked(tiny_folder, pictures):
    common = (pictures[0], "--vary", 3, "--model", tiny_folder, *SHORT)
    row = json.loads(run("describe", *common, "--json", "-").stdout)["images"][0]
    assert len(row["samples"]) == 3 and row["text"] == row["samples"][row["sample"]]
    assert [row["text"][part["start"] : part["end"]] for part in row["varies"]] == [
        one["text"] for one in row["varies"]
    ]
    assert all(1 <= part["said"] < 3 for part in row["varies"]) and 0 <= row["confidence"] <= 1
    assert run("describe", *common).stdout == row["marked"] + "\n"


def test_a_language_is_asked_for(tiny_folder, pictures):
    def tokens(*options):
        result = run("describe", pictures[0], "--model", tiny_folder, "--json", "-", *options, *SHORT)
        return json.loads(result.stdout)["images"][0]["prompt_tokens"]

    assert tokens("--lang", "de") > tokens()
