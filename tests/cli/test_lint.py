"""``trifacet lint``: what it reads, where it says things are, how it leaves."""

import gzip
import io
import json
import os
from pathlib import Path

import pytest
from fluidattacks_core.sarif import SarifLog

from trifacet.lint.pages import image_address

SHARED = Path(__file__).resolve().parents[3] / "shared"
GOOD = "A brown dog jumps over a puddle in the park."
PAGE = f"""<!doctype html>
<p>é<img src="a.png"> <img src=b.png alt="">
\t<a href=x><img src="c.png" alt=""></a> <a href=y><img src="d.png" alt=""> Read on</a>
<img role=presentation src=e.png><div aria-hidden=true><img src=f.png></div>
<img src=g.png alt="{GOOD}"><img src=h.png alt="{{{{ title }}}}">
<input type=image src=go.png> <map><area href=q></map> <svg role=img></svg> <span role=img aria-label="photo"></span>
<figure><img src=i.png alt="Boats in the old harbour"><figcaption>Boats in the <b>old</b> harbour</figcaption></figure>
"""
MARKDOWN = f"""# Our dogs ![{GOOD}](a.png)

> A quote with `![no](code.png)` and
> then ![photo](b.png "title") and ![][ref]

| one | two |
|-----|-----|
| ![x](1.png) | ![x](2.png) |

```html
<img src=code.png>
```
<p><img src="c.png"></p> \\![no](n.png)

[ref]: r.png
"""


@pytest.fixture
def lint(trifacet, monkeypatch, tmp_path):
    """Runs the command in a folder of its own: exit code, findings as JSON gives them, the whole document."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code, out, err = trifacet("lint", *arguments, "--json", "-")
        document = json.loads(out) if out else {"findings": [], "problems": [err]}
        return code, document["findings"], document

    return run


def places(findings):
    return [(one["line"], one["column"], one["rule"]) for one in findings]


def test_html_is_read_as_a_screen_reader_does_with_exact_places(lint, tmp_path):
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    code, findings, document = lint("page.html")
    assert code == 1
    assert places(findings) == [
        (2, 5, "missing"),
        (3, 12, "missing"),
        (6, 1, "missing"),
        (6, 36, "missing"),
        (6, 56, "missing"),
        (6, 77, "placeholder"),
        (7, 9, "repeats-post"),
    ]
    assert "names the link" in findings[1]["found"]
    assert (document["decorative"], document["templates"], document["clean"]) == (3, 1, 1)
    lines = PAGE.splitlines()
    for one in findings:
        assert lines[one["line"] - 1][one["column"] - 1] == "<"


def test_what_a_template_names_is_not_judged(lint):
    page = b"""<img src=a :alt="title"><img src=b [attr.alt]="title"><img src=c v-bind="all">
<img src=d {{ attributes }}>
<img src=e {% if x %}alt="{{ y }}"{% endif %}><img src=f alt="{% trans "Logo" %}"><img src=g alt="<?= t("Logo") ?>">
<a href=x><img src=h :alt=t></a><a href=x><img src=i :alt=t><img src=j alt=""></a>
<button [title]=t><img alt=""></button>"""
    code, findings, document = lint("-", "--format", "html", stdin=page)
    assert (code, findings) == (0, [])
    assert (document["templates"], document["decorative"], document["texts"]) == (9, 2, 0)


def test_one_word_may_name_a_link_and_a_button(lint):
    page = b"""<a href=/><img alt="Home"></a><input type=image alt="Search">
<span role=img aria-label="rocket">&#128640;</span>
<button><svg><title>Menu</title></svg></button><map><area href=q alt="Shop"></map><a name=x><img alt="Dog"></a>"""
    assert places(lint("-", "--format", "html", stdin=page)[1]) == [(3, 93, "very-short")]
    markdown = b"[![Build Status](a.svg)](https://ci.example) ![Dog](b.png)"
    assert places(lint("-", "--format", "markdown", stdin=markdown)[1]) == [(1, 46, "very-short")]
    assert lint("-", "--format", "html", stdin=b"<a href=/><img alt='photo'></a>")[0] == 1


def test_decorative_is_said_by_the_first_role_and_an_anchor_is_no_link(lint):
    page = b"""<img role="none presentation" src=a><img role=presentation alt="a.png"><a name=top><img alt=""></a>
<img role=none aria-label="photo"><a href=x><img role=none alt=""></a>"""
    _, findings, document = lint("-", "--format", "html", stdin=page)
    assert places(findings) == [(2, 1, "placeholder"), (2, 45, "missing")] and document["decorative"] == 3


def test_a_link_without_a_name_is_one_finding_however_many_images_it_has(lint):
    page = b'<a href=x><img alt=""><img alt=""></a><a href=y><img alt=""><img alt="Three boats at sea"></a>'
    _, findings, document = lint("-", "--format", "html", stdin=page)
    assert places(findings) == [(1, 11, "missing")]
    assert (document["decorative"], document["clean"]) == (2, 1)


def test_markdown_is_read_with_exact_places(lint, tmp_path):
    (tmp_path / "page.md").write_text(MARKDOWN.replace("\n", "\r\n"), encoding="utf-8", newline="")
    code, findings, _ = lint("page.md", "--min-words", 2)
    assert code == 1
    assert places(findings) == [
        (4, 8, "placeholder"),
        (4, 36, "missing"),
        (8, 3, "very-short"),
        (8, 17, "very-short"),
        (13, 4, "missing"),
    ]
    assert [one["image"] for one in findings] == ["b.png", "r.png", "1.png", "2.png", "c.png"]


def test_attributes_of_quarto_and_kramdown_give_the_text_and_brackets_a_caption(lint):
    page = f"""![]( a.png){{fig-alt="{GOOD}"}} ![]( b.png){{: alt='{GOOD}' .wide}} ![]( c.png){{:alt="photo"}}

![Sales]( d.png){{#fig-one fig-alt="Sales" width=50%}} and ![photo]( e.png){{alt="{GOOD[:-1]}
in {{1}}." .column-margin}} ![]( f.png){{width=50%}} ![]( g.png){{fig-alt=""}} ![]( h.png) {{alt="x"}}
![]( i.png){{data-alt="x"}}
""".replace("( ", "(")
    Path("post.qmd").write_text(page)
    _, findings, document = lint(".", "--min-words", 0)
    assert [(one["image"], one["rule"]) for one in findings] == [
        ("c.png", "placeholder"),
        ("d.png", "repeats-post"),
        ("f.png", "missing"),
        ("h.png", "missing"),
        ("i.png", "missing"),
    ]
    assert (document["decorative"], document["clean"]) == (1, 3)


def test_places_in_markdown_whose_text_is_not_as_written(lint):
    page = "| a | b |\n|--|--|\n| x | \\| y \\| ![photo](1.png) |\n\n> - q\n\t> w\n\t# ![photo](2.png)\n"
    _, findings, _ = lint("-", "--format", "markdown", "--only", "placeholder", stdin=page.encode())
    assert len(findings) == 2
    for one in findings:
        assert page.splitlines()[one["line"] - 1][one["column"] - 1 :].startswith("![photo](")


def test_a_quote_that_is_not_closed_is_told(lint, tmp_path):
    (tmp_path / "a.csv").write_text('alt,src\n"He said "hi",x\nphoto,a\n"a dog,b\n' + "logo,c\n" * 50)
    code, findings, document = lint("a.csv")
    assert code == 2 and places(findings) == [(3, None, "placeholder")]
    told = [problem.partition(" (")[0] for problem in document["problems"]]
    assert told == [f"a.csv, row {row}: cannot be read as a row of a table" for row in (2, 4)]


def test_tables_and_rows_of_every_kind(lint, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "a.csv").write_text(
        '\ufeffid;Image Alt Text;post\n1;"A dog on\na beach";x\n2;;y\n3;Big spring sale;Big spring sale!\n'
    )
    (tmp_path / "b.tsv").write_text(f"image\talt\na.png\t{GOOD}\nb.png\tphoto\n")
    (tmp_path / "c.jsonl").write_text('\n{"id": "s1", "text": "logo"}\n{"id": "s2", "text": null}\n')
    (tmp_path / "d.json").write_text(json.dumps([{"id": "q", "image": "a.png", "context": GOOD, "response": GOOD}]))
    pq.write_table(pa.table({"caption": [GOOD, ""]}), tmp_path / "e.parquet")
    (tmp_path / "f.jsonl").write_text(json.dumps({"my": "photo", "said": GOOD}) + "\n")
    _, findings, _ = lint(".", "--column", "my")
    assert places(findings) == [(1, None, "placeholder")]
    _, findings, _ = lint(*(f"{name}" for name in ("a.csv", "b.tsv", "c.jsonl", "d.json", "e.parquet")))
    assert [(one["path"], one["line"], one["row"], one["id"], one["rule"]) for one in findings] == [
        ("a.csv", 4, None, "2", "missing"),
        ("a.csv", 5, None, "3", "repeats-post"),
        ("b.tsv", 3, None, None, "placeholder"),
        ("c.jsonl", 2, None, "s1", "placeholder"),
        ("c.jsonl", 3, None, "s2", "missing"),
        ("d.json", None, 1, "q", "repeats-post"),
        ("e.parquet", None, 2, None, "missing"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "found", "column"),
    [
        ("a.jsonl", '{"image":"a"}\n{"image":"b","Alt Text":"logo"}', [(1, "missing"), (2, "placeholder")], "Alt Text"),
        ("a.json", '[{"image":"a"},{"id":2,"alt":"photo"},{"id":3}]', [(1, "missing"), (2, "placeholder")], "alt"),
        ("a.csv", "id,url,alt\n1,a\n2,b,photo\n3\n4,,\n", [(2, "missing"), (3, "placeholder")], "alt"),
        ("a.csv", "text,media_url,ext_alt_text\nA post,a,photo\nB,,\nC,c,\n", [(2, "placeholder"), (4, "missing")],
         "ext_alt_text"),
        ("a.jsonl", '{"url":"a.png","description":"photo","text":"What a day"}', [(1, "placeholder")], "description"),
        ("a.jsonl", '{"alt_description":null,"description":"x","url":"a"}', [(1, "missing")], "alt_description"),
        ("a.csv", "sku,url,description,text\n1,a.png,photo,logo", [(2, "placeholder")], "text"),
        ("a.csv", "Title,Filename,Mime,Alt Text\nx,a.pdf,,\ny,b,audio/mpeg,\nz,c.MP3,,logo\nw,d.png,image/png,",
         [(4, "placeholder"), (5, "missing")], "Alt Text"),
        ("a.csv", "image,alt\n,\n,photo\n", [(2, "missing"), (3, "placeholder")], "alt"),  # nowhere is an image said
        ("a.jsonl", '{"altText":"photo","images":[]}\n{"altText":"","images":["a"]}\n{"altText":"","images":[]}',
         [(1, "placeholder"), (2, "missing")], "altText"),
    ],
)  # fmt: skip
def test_columns_are_found_over_all_rows_and_rows_without_an_image_lack_nothing(
    lint, trifacet, tmp_path, name, text, found, column
):
    (tmp_path / name).write_text(text)
    _, findings, document = lint(name, "--min-words", 0)
    assert [(one["line"] or one["row"], one["rule"]) for one in findings] == found
    assert list(document["columns"]) == [column]
    assert f" from column '{column}': " in trifacet("lint", name)[1].splitlines()[-1]


def test_embedded_pictures_are_images(lint, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [b"\x89PNG", b"\x89PNG"], "alt": ["", "photo"]}), tmp_path / "a.parquet")
    assert [(one["row"], one["rule"]) for one in lint("a.parquet")[1]] == [(1, "missing"), (2, "placeholder")]


def test_standard_input_is_one_text_per_line_or_what_format_says(lint):
    code, findings, _ = lint("-", stdin=f"{GOOD}\nphoto\r\n\nA [red]dog\x1b[31m here\n".encode())
    assert code == 1
    assert places(findings) == [(2, None, "placeholder"), (3, None, "missing")]
    code, findings, _ = lint("-", "--format", "html", stdin=b"<img>")
    assert places(findings) == [(1, 1, "missing")]
    code, findings, _ = lint("-", "--format", "jsonl", stdin=b'{"id": 1, "text": "photo"}\n')
    assert places(findings) == [(1, None, "placeholder")]
    assert lint("-", "--format", "parquet", stdin=b"")[0] == 2


def test_a_folder_is_gone_through_but_never_left(lint, tmp_path):
    inside = tmp_path / "site"
    (inside / "sub").mkdir(parents=True)
    (inside / ".git").mkdir()
    (inside / "node_modules").mkdir()
    for folder in (inside, inside / "sub", inside / ".git", inside / "node_modules", tmp_path):
        (folder / "p.html").write_text("<img>")
    (inside / "package.json").write_text('{\n "name": "x"\n}')
    (inside / "notes.txt").write_text("photo")
    (inside / "numbers.csv").write_text("a,b\n1,2\n")
    (inside / "link.html").symlink_to(tmp_path / "p.html")
    (inside / "linked").symlink_to(tmp_path)
    code, findings, document = lint("site", "site/p.html")
    assert [one["path"] for one in findings] == ["site/p.html", "site/sub/p.html"]
    assert (code, document["problems"]) == (1, [])
    (tmp_path / "empty").mkdir()
    assert lint("empty")[0] == 2


@pytest.mark.parametrize("folder", ["site", "{root}/site", "/"])
def test_an_image_has_the_address_that_its_page_leads_to(tmp_path, folder):
    page = Path(folder.format(root=tmp_path)) / "sub" / "p.html"
    for source in ("a.png", "../a.png", "../b/./a.png", "../../../../../../../../../a.png"):
        assert image_address(source, page) == os.path.normpath(page.parent / source)


def test_the_same_text_is_counted_by_images_over_all_files(lint, tmp_path):
    text = "Handmade ring from our new collection."
    (tmp_path / "a.html").write_text("".join(f'<img src="{n}.png" alt="{text}">' for n in (1, 2, 2, 1)))
    (tmp_path / "b.jsonl").write_text(
        "".join(json.dumps({"image": f"{n}.png", "alt": text.upper()}) + "\n" for n in (2, 3, 4))
    )
    assert "same-text" not in [one["rule"] for one in lint("a.html", "b.jsonl")[1]]
    _, findings, _ = lint("a.html", "b.jsonl", "--max-images", 3)
    found = [one["found"] for one in findings if one["rule"] == "same-text"]
    assert found == ["4 images"] * 7


def test_options_choose_rules_levels_and_limits(lint):
    texts = f"Image of a dog on a beach\n{GOOD}\nphoto\n".encode()
    rules = lambda *options: [one["rule"] for one in lint("-", *options, stdin=texts)[1]]  # noqa: E731
    assert rules() == ["starts-with-image-of", "placeholder"]
    assert rules("--ignore", "placeholder,ends-with-image", "--ignore", "very-short") == ["starts-with-image-of"]
    assert rules("--only", "placeholder") == ["placeholder"]
    assert rules("--level", "error") == ["placeholder"]
    assert rules("--max-chars", len(GOOD) - 1, "--only", "too-long") == ["too-long"]
    assert lint("-", "--platform", "pinterest", stdin=b"boat " * 110)[1][0]["rule"] == "over-limit"
    assert lint("-", "--ignore", "placeholder", stdin=texts)[0] == 0
    assert lint("-", "--ignore", "placeholder", "--warnings-as-errors", stdin=texts)[0] == 1
    for wrong in (
        ["--ignore", "no-rule"],
        ["--platform", "orkut"],
        ["--level", "note"],
        ["--rules", "x"],
        ["--format", "x"],
        ["--only", "missing", "--ignore", "missing"],
        ["--only", "very-short", "--level", "error"],
        ["--rules", "compat", "--platform", "x"],
        ["--rules", "compat", "--max-chars", 125],
    ):
        assert lint("-", *wrong, stdin=texts)[0] == 2


def test_what_cannot_be_read_is_named_and_the_rest_is_checked(lint, trifacet, tmp_path):
    (tmp_path / "binary.md").write_bytes(b"\x89PNG\r\n\0\0")
    (tmp_path / "latin.csv").write_bytes("alt\nUn caf\xe9 au coin\n".encode("latin-1"))
    (tmp_path / "broken.jsonl").write_text('{"alt": "photo"}\n{"alt": \n{"alt": 3}\n{"alt": "logo"}\n')
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "huge.html").write_bytes(b"<p>" + b" " * 4_000_000)
    (tmp_path / "good.html").write_text("<img>")
    names = sorted(path.name for path in tmp_path.iterdir())
    code, findings, document = lint(*names)
    assert code == 2
    assert [(one["path"], one["line"]) for one in findings] == [
        ("broken.jsonl", 1), ("broken.jsonl", 4), ("good.html", 1),
    ]  # fmt: skip
    told = " ".join(document["problems"])
    for words in ("binary.md: is a binary file", "latin.csv: is not UTF-8", "broken.jsonl, row 2: broken JSON",
                  "row 3, field 'alt': is no text but int", "other.csv: has no column",
                  "huge.html: is larger"):  # fmt: skip
        assert told.count(words) == 1, words
    assert len(document["problems"]) == 6  # one cause, one line
    assert trifacet("lint", *names, "--quiet")[1].endswith("; 6 files or rows could not be read\n")
    for missing in ("none.html", "program.py"):
        (tmp_path / "program.py").write_text("")
        assert lint(missing)[0] == 2
    assert lint()[0] == 2


def test_pages_in_other_encodings_are_decoded(lint, tmp_path):
    (tmp_path / "a.html").write_bytes('<meta charset=latin-1><img alt="Un café">'.encode("latin-1"))
    (tmp_path / "b.csv").write_bytes("alt\nUn café\n".encode("utf-16"))
    assert [one["text"] for one in lint("a.html", "b.csv")[1]] == ["Un café", "Un café"]


def test_the_lines_for_people_are_plain_and_harmless(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.html").write_text(
        '<img src="a\x1b]0;b.png" alt="Image of a [red]dog[/] on \x1b[31m &#x1b;[2J sand">'
    )
    code, out, _ = trifacet("lint", "x.html")
    assert code == 0
    assert out.startswith("x.html:1:1: warning starts-with-image-of: ")
    assert out.endswith("1 file, 1 text: 0 errors, 1 warning, 0 clean (starts-with-image-of 1)\n")
    assert "\x1b" not in out
    assert trifacet("lint", "x.html", "-q")[1].count("\n") == 1
    code, out, _ = trifacet("lint", "--explain", "very-short")
    assert code == 0 and "A bicycle." in out and "say what matters" in out
    assert trifacet("lint", "--explain", "nothing")[0] == 2
    assert "should-not-end-with" in trifacet("lint", "--list", "--rules", "compat")[1]


def test_line_100_and_names_between_colons_are_no_pictures(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(":cat:.txt").write_text(f"{GOOD}\n" * 99 + ":100: [b]a photo of[/b] a dog :dog:\\\n")
    _, out, _ = trifacet("lint", ":cat:.txt", "--only", "markup")
    assert out.startswith(":cat:.txt:100: warning markup: markup: [b]; ")


def test_sarif_is_valid_and_says_nothing_of_the_machine(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my site").mkdir()
    page = tmp_path / "my site" / "p.html"
    page.write_text(PAGE + '<img alt="See [this](http://evil.example/x) {0}">')
    (tmp_path / "rows.json").write_text('[{"id": "r1", "alt": "photo"}, {"alt": 3}]')
    assert trifacet("lint", page, "rows.json", "--sarif", "out.sarif")[0] == 2
    text = (tmp_path / "out.sarif").read_text()
    log = json.loads(text)
    SarifLog.model_validate(log)  # made from the standard's schema: unknown keys and wrong types are refused
    assert str(tmp_path) not in text
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rule["help"]["text"] and rule["defaultConfiguration"]["level"] for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    first = run["results"][0]["locations"][0]["physicalLocation"]
    assert first["artifactLocation"]["uri"] == "my%20site/p.html"
    assert first["region"] == {"startLine": 2, "startColumn": 5}
    assert run["results"][-1]["locations"][0]["logicalLocations"][0]["name"] == "r1"
    assert not run["invocations"][0]["executionSuccessful"]
    markup = next(result for result in run["results"] if result["ruleId"] == "markup")
    assert r"\[this\](http" in markup["message"]["text"]
    assert len({result["partialFingerprints"]["altText/v1"] for result in run["results"]}) == len(run["results"])


def test_marks_that_turn_a_text_are_seen_and_turn_nothing(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "image of a \u202edog\x1b[31m"
    Path("rlo.txt").write_text(text + "\n", encoding="utf-8")
    code, out, err = trifacet("lint", "rlo.txt", "--sarif", "out.sarif", "--json", "out.json")
    assert code == 0 and "starts-with-image-of" in out and not err
    assert not {"\u202e", "\x1b"} & set(out)
    Path("row.jsonl").write_text(json.dumps({"id": text, "alt": "photo"}))
    assert trifacet("lint", "row.jsonl", "--sarif", "out.sarif")[0] == 1
    sarif = Path("out.sarif").read_text(encoding="utf-8")
    assert not {"\u202e", "\x1b"} & set(sarif)
    (result,) = json.loads(sarif)["runs"][0]["results"]
    assert result["locations"][0]["logicalLocations"][0]["name"] == r"image of a \u202edog\x1b[31m"
    told = Path("out.json").read_text(encoding="utf-8")
    assert not {"\u202e", "\x1b"} & set(told)
    assert json.loads(told)["findings"][0]["text"] == text


def test_a_file_name_that_is_no_utf8_can_be_told(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(os.fsdecode(b"\xff.html")).write_text("<img>")
    assert trifacet("lint", ".", "--sarif", "out.sarif", "--json", "out.json")[0] == 1
    (result,) = json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "%FF.html"
    (finding,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["findings"]
    assert os.fsencode(finding["path"]) == b"\xff.html"


def test_compat_gives_the_recorded_verdicts_through_the_command(lint, tmp_path):
    record = SHARED / "data/alt_lint/double_great_alt_text_3.2.1_oracle.json.gz"
    if not record.is_file():
        pytest.skip("the recorded verdicts are not on this machine (../shared/data/alt_lint)")
    recorded = json.loads(gzip.decompress(record.read_bytes()))
    rows = [json.dumps({"id": str(place), "alt": row["text"]}) for place, row in enumerate(recorded)]
    (tmp_path / "texts.jsonl").write_text("\n".join(rows))
    _, findings, document = lint("texts.jsonl", "--rules", "compat")
    ours = {place: [] for place in range(len(recorded))}
    for one in findings:
        ours[int(one["id"])].append(one["rule"])
    assert [ours[place] for place in ours] == [row["violations"] for row in recorded]
    assert document["texts"] == len(recorded) == 3370


def test_compat_still_finds_images_without_any_text(lint):
    _, findings, _ = lint("-", "--format", "html", "--rules", "compat", stdin=b'<img><img alt=""><img alt=logo>')
    assert [one["rule"] for one in findings] == [
        "missing",
        "image-is-decorative",
        "end-with-punctuation",
        "is-unhelpful",
    ]


HOSTILE = {
    "deep": "<div>" * 8_000 + "<img>",
    "links": "<a href=x>" * 8_000 + "<img alt=''>",
    "buttons": "<div role=button><img alt=''>" * 1_000,
    "formatting": "<b><i><p>" * 700 + "<img>",
    "unclosed": "<img alt='" + "a" * 300_000,
    "attributes": "<img " + "".join(f"a{n}=1 " for n in range(20_000)) + ">",
    "figures": "<figure><img alt=''>" * 2_000,
    "svg": "<svg><title>" * 2_000,
    "labels": "".join(f"<img aria-labelledby='{'k ' * 200}'>" for _ in range(500)) + "<p id=k>" + "word " * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_read_to_their_end(lint, tmp_path, name):
    (tmp_path / "x.html").write_text(HOSTILE[name])
    code, _, document = lint("x.html", "--only", "missing")
    assert code in (0, 1) and document["problems"] == []
    assert document["files"] == 1


@pytest.mark.parametrize("piece", ["![", "![a](x)", "[", "> ", "*a_ ", "`a``", "- ", "|a", "<a ", "![\\"])
def test_hostile_markdown_is_read_to_its_end(lint, tmp_path, piece):
    (tmp_path / "x.md").write_text((piece * 10_000)[:5_000])
    assert lint("x.md", "--only", "missing")[0] in (0, 1)


def test_a_flood_of_angle_brackets_is_refused(lint, tmp_path):
    (tmp_path / "x.html").write_text("<" * 100_000)
    code, _, document = lint("x.html")
    assert code == 2 and "begin no tag" in document["problems"][0]
