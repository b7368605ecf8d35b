"""The report stands alone, shows what the run holds, and gives hostile text no foothold."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from fake_run import HOSTILE, make_run, write_json, write_lines
from typer.testing import CliRunner

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.words import without_folders
from trifacet.cli.report import report
from trifacet.evaluation.run_folder import read_run
from trifacet.reports.run.report import write_report


class Page(HTMLParser):
    """What a browser would make of the page: its elements with their attributes, and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = [tag]

    def handle_endtag(self, tag):
        self._inside = []

    def handle_data(self, data):
        if self._inside != ["style"]:
            self.text += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def values(self, attribute: str) -> list[str]:
        return [
            value or "" for _, attributes in self.elements for name, value in attributes.items() if name == attribute
        ]


@pytest.fixture(scope="module")
def html(run_folder: Path) -> str:
    return write_report(run_folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_page_needs_nothing_from_outside(html, page):
    assert "default-src 'none'" in html
    assert page.tags().isdisjoint({"script", "link", "iframe", "object", "embed", "base", "form"})
    assert all(source.startswith("data:image/") for source in page.values("src"))
    assert all(target.startswith("#") for target in page.values("href") + page.values("xlink:href"))
    style = " ".join([*page.values("style"), *re.findall(r"<style>(.*?)</style>", html, re.S)])
    assert "@import" not in style
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_no_attribute_runs_code(page):
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    wanted = [target[1:] for target in page.values("href")] + page.values("aria-labelledby")
    assert set(wanted) <= set(ids)


def test_hostile_posts_and_texts_are_shown_as_they_are_written(page):
    for text in HOSTILE:
        assert text in page.text
    assert "<b onmouseover=alert(" in page.text
    assert "{{ 7 * 7 }}" in page.text  # not run as a template


def test_direction_marks_stay_inside_their_own_isolate(html):
    for match in re.finditer("\u202e", html):
        before = html[: match.start()]
        assert before.rfind("<bdi>") > before.rfind("</bdi>")


def test_what_no_page_may_hold_is_replaced(tmp_path):
    folder = make_run(tmp_path / "run", posts=1, models=("sft",))
    write_lines(folder / "generations" / "sft.jsonl", [{"id": "test-00000", "text": "a\u0000b\ud800c\u001bd"}])
    html = write_report(folder).read_text(encoding="utf-8")
    assert "a\ufffdb\ufffdc\ufffdd" in html


def test_a_hostile_model_name_is_text_everywhere(tmp_path):
    folder = make_run(tmp_path / "run", posts=1, models=("sft",))
    name = '<script>x"$y^{'
    scores = json.loads((folder / "scores.json").read_text())
    scores["models"][name] = {"metrics": {"bleu_4": 1.0, "rouge_l": float("nan")}, "degenerate": "<img src=x>"}
    write_json(folder / "scores.json", scores)
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "script" not in page.tags()
    assert name in page.text
    assert "<img src=x>" in page.text
    assert "not a number" in page.text


def test_best_values_are_told_in_words_and_missing_ones_too(page):
    text = words(page.text)
    assert "★best: 24.0" in text
    assert "METEOR: not computed" in text
    assert "METEOR is not computed: WordNet is not installed" in text


def test_a_degenerated_model_is_named_in_a_sentence(page):
    assert "dpo degenerated: 81% of the word pairs are repeats (above 20%)." in words(page.text)


def test_right_and_wrong_parts_are_said_and_not_only_coloured(html, page):
    assert "wrong colour: red✗" in page.text
    assert "right name: " in page.text
    assert "Not said: name, colour, count" in words(page.text)
    assert '<mark class="wrong">' in html


def test_own_texts_warnings_and_the_check_of_the_saved_model_are_shown(page):
    text = words(page.text)
    assert "Warning: from step 100 on <script>alert(1)</script> new kites!." in text
    assert "77 of 79 weights changed, by 1.23% of their size in all" in text
    assert "How the text of post-0 <b> changed" in text
    assert "Step 75" in text
    assert text.count("as before") >= 3
    assert "KL to the reference Nats per text, two estimates from at least 4 texts" in text


def test_every_chart_has_a_text_alternative(html):
    charts = [opening for opening in re.findall(r"<svg [^>]*>", html) if "aria-hidden" not in opening]
    assert len(charts) > 20
    assert all('role="img"' in opening and re.search(r'aria-label="[^"]{10,}"', opening) for opening in charts)


def test_seeds_and_sweep_have_tables(page):
    text = words(page.text)
    assert "71.2 ± 2.3" in text
    assert "★ chosen" in text
    assert "40% of the word pairs are repeats" in text


def test_posts_are_the_first_of_the_test_file_in_its_order(tmp_path):
    folder = make_run(tmp_path / "run", posts=26, models=("sft",))
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    shown = [value for value in page.values("id") if re.fullmatch(r"post-\d+", value)]
    assert shown == [f"post-{number}" for number in range(1, 25)]


def test_the_posts_of_a_finished_run_are_those_that_were_described(tmp_path):
    """``generate.limit`` takes the first, ``on_bad_row: skip`` leaves some out: a comparison misses none."""
    folder = make_run(tmp_path / "run", posts=5, models=("sft", "dpo"))
    for name, last in (("sft", 3), ("dpo", 2)):
        texts = folder / "generations" / f"{name}.jsonl"
        texts.write_text("".join(texts.read_text(encoding="utf-8").splitlines(keepends=True)[:last]), encoding="utf-8")
    run = read_run(folder)
    assert len(run.samples) == 3  # what one model alone lacks stays
    (folder / "scores.json").unlink()
    assert len(read_run(folder).samples) == 5  # not finished


def test_a_missing_image_is_said_in_its_place(tmp_path):
    folder = make_run(tmp_path / "run", posts=2, models=("sft",))
    (folder / "data" / "images" / "test-00001.png").write_bytes(b"GIF89a")
    shutil.rmtree(folder / "rejected")
    text = words(Page(write_report(folder).read_text(encoding="utf-8")).text)
    assert text.count("The image cannot be shown") == 1


def test_a_post_may_show_several_pictures_or_none(tmp_path):
    folder = make_run(tmp_path / "run", posts=3, models=("sft",))
    shutil.rmtree(folder / "rejected")
    file = folder / "data" / "test.jsonl"
    one, several, none = map(json.loads, file.read_text().splitlines())
    several["more_images"] = [one["image"], several["image"]]
    del none["image"]
    file.write_text("".join(json.dumps(row) + "\n" for row in (one, several, none)))
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    alternatives = [value for value in page.values("alt") if "of post" in value]
    assert [text.split(",")[0] for text in alternatives] == [
        "Picture of post 1", "Picture of post 2", "Further picture 1 of post 2", "Further picture 2 of post 2",
    ]  # fmt: skip
    assert words(page.text).count("A post without a picture.") == 1


def test_samples_without_posts_are_called_samples_and_show_their_requests_and_objects(tmp_path):
    folder = make_run(tmp_path / "run", posts=2, models=("sft",))
    file = folder / "data" / "test.jsonl"
    table = {"there": {"kite": ["red"], "ring": ["blue"]}, "words": {one: [one] for one in ("kite", "ring", "rug")},
             "attributes": ["red", "blue"]}  # fmt: skip
    rows = [{**json.loads(line), "context": "", "extra": {"objects": table}} for line in file.read_text().splitlines()]
    rows[1] |= {"prompt": "Is there a rug?"}
    write_lines(file, rows)
    texts = ("A red kite and a blue rug.", "A blue kite.")
    write_lines(folder / "generations" / "sft.jsonl",
                [{"id": row["id"], "text": text} for row, text in zip(rows, texts, strict=True)])  # fmt: skip
    html = write_report(folder).read_text(encoding="utf-8")
    text = words(Page(html).text)
    assert "The models wrote texts for 2 held-out samples." in text
    assert not re.search(r"\bposts?\b", text.partition("Timings")[0].lower())
    assert "Request: Is there a rug?" in text
    assert "A red right kite: kite✓ and a blue wrong absent thing: rug✗." in text
    assert "sft 1 of 2" in text and "Not said: ring" in text
    assert "A wrong attribute of kite: blue✗ right kite: kite✓." in text
    assert "sft 0 of 2" in text


def test_a_run_that_has_not_generated_yet(tmp_path):
    folder = make_run(tmp_path / "run", posts=2, models=("sft", "dpo"), scored=False)
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "No model has described the held-out posts yet" in page.text
    assert {"curves", "timings", "recipe"} <= set(page.values("id"))
    assert not {"summary", "posts"} & set(page.values("id"))


def test_a_run_with_nothing_but_its_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: bare\noutput: x\nmodel: {path: some/model}\n", encoding="utf-8")
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "starts from the checkpoint some/model" in page.text


def test_the_page_does_not_tell_where_things_lie_on_the_machine(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "name: bare\noutput: /home/ana maria/runs/out\nmodel:\n  path: /home/ana maria/models/llava\n", encoding="utf-8"
    )
    write_json(tmp_path / "run.json", {"command": ["trifacet", "run", "/home/ana/r.yaml", "--set=output=/srv/ana/out"]})
    write_lines(tmp_path / "skipped.jsonl", [{"for": "sft", "file": "/home/ana/data/train.json", "row": 3}])
    html = write_report(tmp_path).read_text(encoding="utf-8")
    assert "ana" not in re.sub("manage|banana|analy|channel", "", Page(html).text)
    for shown in (
        "the checkpoint …/llava",
        "output: …/out",
        "trifacet run …/r.yaml --set=output=…/out",
        "…/train.json",
    ):
        assert shown in Page(html).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root: '/data/palt'", "root: '…/palt'"),
        ("C:\\Users\\ana\\x.csv", "…/x.csv"),
        ("file:///home/ana/x.png", "…/x.png"),
        ("/home/ana maria/runs/demo (sft)", "…/demo (sft)"),
        *[(text, text) for text in ("https://h.org/a/b", "and/or <br/> a / b", "runs/demo ~/x/y ../a/b", "/data", "/")],
    ],
)
def test_of_absolute_paths_the_last_part_is_shown(text, shown):
    assert without_folders(text) == shown


def test_a_run_on_files_has_no_columns_and_no_marks_of_facts(tmp_path):
    folder = make_run(tmp_path / "run", posts=2, models=("sft",))
    data = folder.rename(tmp_path / "elsewhere") / "data"
    folder.mkdir()
    for name in ("generations", "scores.json"):
        (tmp_path / "elsewhere" / name).rename(folder / name)
    rows = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    write_lines(data / "test.jsonl", [{key: value for key, value in row.items() if key != "extra"} for row in rows])
    scores = {"models": {"sft": {"metrics": {"bleu_4": 3.0, "repetition": 0.0, "length": 8.0}}}, "notes": []}
    write_json(folder / "scores.json", scores)
    recipe = {"name": "files", "data": {"root": str(data), "test": "test.jsonl"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert "post-2" in page.values("id")
    assert "Facts right" not in page.text
    assert "<mark" not in html
    assert len(page.values("src")) == 2


def test_the_posts_of_a_built_test_set_are_found_in_its_shards(tmp_path):
    rows = [{"id": f"s{k}", "image": f"{k}.png", "context": "a post", "references": ["a disc"]} for k in range(3)]
    (tmp_path / "data/test").mkdir(parents=True)
    for number, some in enumerate((rows[:2], rows[2:])):
        pq.write_table(pa.Table.from_pylist(some), tmp_path / f"data/test/test-{number:05d}.parquet")
    run = tmp_path / "run"
    run.mkdir()
    data = {"root": str(tmp_path / "data"), "format": "auto"}
    for test, ids in (("test", ["s0", "s1", "s2"]), (None, []), ("gone", [])):
        (run / "recipe.yaml").write_text(yaml.safe_dump({"data": {**data, "test": test}}))
        assert [sample.id for sample in read_run(run).samples] == ids


def test_a_half_written_last_line_is_left_out(tmp_path):
    folder = make_run(tmp_path / "run", posts=1, models=("sft",), scored=False)
    log = folder / "models" / "sft" / "log.jsonl"
    whole = log.read_text()
    log.write_text(whole + '{"step": 999, "lo')
    assert "999" not in Page(write_report(folder).read_text(encoding="utf-8")).text
    log.write_text("{broken}\n" + whole)
    with pytest.raises(DataError, match=r"log\.jsonl, row 1"):
        write_report(folder)


def test_what_is_no_run_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(TrifacetError, match="holds no run"):
        write_report(tmp_path)
    with pytest.raises(TrifacetError, match="no folder"):
        write_report(tmp_path / "absent")
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(DataError, match=r"scores\.json: is not JSON"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_command_prints_the_path_and_writes_the_tables(tmp_path):
    run_folder = make_run(tmp_path / "run", posts=1, models=("sft", "dpo"))
    app = typer.Typer()
    app.command()(report)
    table, numbers = tmp_path / "table.md", tmp_path / "table.json"
    result = CliRunner().invoke(app, [str(run_folder), "--markdown", str(table), "--json", str(numbers)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(run_folder / "report.html")
    assert "| **18.0** |" in table.read_text()
    document = json.loads(numbers.read_text())
    assert document["models"]["sft"]["metrics"]["meteor"] is None
    assert document["models"]["dpo"]["degenerate"]
    result = CliRunner().invoke(app, [str(run_folder), "--json", "-"])
    assert json.loads(result.stdout) == document
