"""``trifacet lint --read``: which pictures are found and read, by the real engine, and what is told of the others."""

import base64
import io
import json
from pathlib import Path

import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")

ONLY = ("--only", "lettering-left-out,lettering-invented,lettering-repeated")


def drawn(*words):
    picture = Image.new("RGB", (320, 60 * len(words) or 60), "white")
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 36)
    for line, text in enumerate(words):
        ImageDraw.Draw(picture).text((10, 8 + 60 * line), text, fill="black", font=font)
    return picture


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Readings, kept for all tests here."""
    return tmp_path_factory.mktemp("readings")


@pytest.fixture
def lint(trifacet, monkeypatch, tmp_path, cache):
    """Runs the command in a folder of its own, with two pictures: exit code, findings, the whole document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    Path("img").mkdir()
    drawn("OPEN", "SUNDAY").save("img/open.png")
    drawn().save("img/plain.png")

    def run(*arguments):
        code, out, err = trifacet("lint", *arguments, "--read", "--cache", cache, *ONLY, "--json", "-")
        document = json.loads(out) if out else {"findings": [], "problems": [err], "pictures": {}}
        return code, [(one["line"], one["rule"], one["found"]) for one in document["findings"]], document

    return run


def rows(name, *given):
    with Path(name).open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in given)


def test_rows_are_checked_beside_their_pictures(lint):
    rows(
        "posts.jsonl",
        {"alt": "A door with a sign", "image": "open.png"},
        {"alt": 'A door that says "Open Sunday"', "image": "open.png"},
        {"alt": 'A door that says "Open Monday"', "image": "open.png", "post": "We have a new sign"},
        {"alt": "A white wall", "image": "plain.png"},
        {"alt": "A white wall", "image": "https://example.org/a.png"},
        {"alt": "A white wall", "image": "../../outside.png"},
    )
    code, findings, document = lint("posts.jsonl", "--images", "img")
    assert code == 0
    assert findings == [(1, "lettering-left-out", "OPEN SUNDAY"), (3, "lettering-invented", "Monday")]
    assert document["pictures"] == {"read": 4, "cannot_read": 0, "not_at_hand": 2}
    assert lint("posts.jsonl")[2]["pictures"]["not_at_hand"] == 6  # they are not beside the file


def test_pages_find_their_pictures_and_no_others(lint, tmp_path):
    inside = io.BytesIO()
    drawn("SALE", "TODAY").save(inside, "PNG")
    Path("site").mkdir()
    page = f"""<img src="../img/open.png?v=2" alt="A door with a sign">
<img src="/open.png" alt="A door with a sign">
<img src="data:image/png;base64,{base64.b64encode(inside.getvalue()).decode()}" alt="A red poster">
<img src="../img/open.png" alt=""><img src="a.svg" alt="A drawing of a dog"><img src="//cdn.example/a.png" alt="A dog">
<img src="{tmp_path.parent}/secret.png" alt="A door with a sign">
<figure><img src="../img/open.png" alt="Open Sunday"><figcaption>We are open next Sunday</figcaption></figure>"""
    (tmp_path / "site/page.html").write_text(page)
    drawn("TOP SECRET").save(tmp_path.parent / "secret.png")
    _, findings, document = lint("site", "--images", "img")
    left_out = [(1, "lettering-left-out", "OPEN SUNDAY"), (2, "lettering-left-out", "OPEN SUNDAY")]
    assert findings == [*left_out, (3, "lettering-left-out", "SALE TODAY"), (6, "lettering-repeated", "Open Sunday")]
    assert (document["decorative"], document["pictures"]["not_at_hand"]) == (1, 3)
    assert lint("site")[2]["pictures"]["not_at_hand"] == 4


def test_a_picture_that_cannot_be_used_is_one_problem_and_the_rest_goes_on(lint):
    Path("img/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    rows(
        "posts.jsonl",
        *({"alt": "A door with a sign", "image": name} for name in ("broken.png", "broken.png", "open.png")),
    )
    code, findings, document = lint("posts.jsonl", "--images", "img")
    assert code == 2 and len(findings) == 1
    (problem,) = document["problems"]
    assert "posts.jsonl" in problem and "row 1" in problem and "broken.png" in problem


def test_sarif_and_the_last_line_tell_of_pictures(lint, trifacet, cache):
    rows(
        "posts.jsonl",
        {"alt": "A door with a sign", "image": "img/open.png"},
        {"alt": "A wall that is white", "image": "x"},
    )
    code, out, _ = trifacet(
        "lint", "posts.jsonl", "--read", "--cache", cache, "--sarif", "a.sarif", "--warnings-as-errors"
    )
    assert code == 1
    assert "posts.jsonl:1: warning lettering-left-out: leaves out words that stand in the picture: OPEN SUNDAY" in out
    assert "pictures: 1 read, 1 not at hand" in out
    (run,) = json.loads(Path("a.sarif").read_text())["runs"]
    assert [one["ruleId"] for one in run["results"]] == ["lettering-left-out"]


def test_what_does_not_go_together_is_refused(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows("posts.jsonl", {"alt": "A door with a sign"})
    for arguments, told in (
        (("--only", "lettering-invented"), "add --read"),
        (("--images", "."), "add --read"),
        (("--read", "--rules", "compat"), "leave --read out"),
        (("--read", "--engine", "magic"), "known are rapidocr, tesseract"),
    ):
        code, _, err = trifacet("lint", "posts.jsonl", *arguments)
        assert code == 2 and told in err
    assert trifacet("lint", "posts.jsonl")[0] == 0  # without --read nobody misses the engine
    _, out, _ = trifacet("lint", "--explain", "lettering-repeated")
    assert "BOOK FAIR" in out
