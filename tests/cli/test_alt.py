"""``trifacet alt scan`` and ``check``: what they print, write and leave with."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from trifacet.cli.alt import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text(
        '<h1>T</h1>\n<img src="a.png"><img src="b.png" alt="IMG_1.JPG"><img src="c.png" alt="">\n'
    )
    (tmp_path / "one.md").write_text("![A red boat in the harbour](a.png)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_scan_tells_what_is_missing_where_and_what_it_is_for(site, trifacet):
    code, out, err = trifacet("alt", "scan", ".")
    assert (code, err) == (0, "")
    assert "index.html:2:1" in out
    assert "plain" in out
    assert "b.png" not in out
    assert out.splitlines()[-1] == ("2 documents, 4 uses of pictures: 1 without a text (plain 1), 1 with a weak one")
    code, out, _ = trifacet("alt", "scan", ".", "--weak")
    assert "IMG_1.JPG" in out
    assert "a.png" not in out
    code, out, _ = trifacet("alt", "scan", ".", "--all")
    assert out.count(".png") >= 4


def test_a_scan_writes_a_record_of_each_use(site, trifacet):
    _, out, _ = trifacet("alt", "scan", ".", "--json", "-")
    document = json.loads(out)
    assert (document["documents"], document["uses"], document["missing"], document["weak"]) == (2, 4, 1, 1)
    assert [record["state"] for record in document["records"]] == ["missing", "text", "empty", "text"]
    assert document["records"][0]["around"]["before"] == ""
    trifacet("alt", "scan", ".", "--missing", "--json", "m.json")
    assert len(json.loads((site / "m.json").read_text())["records"]) == 1


def test_a_check_fails_on_missing_texts_only(site, trifacet):
    code, out, _ = trifacet("alt", "check", ".", "--sarif", "s.json", "--json", "m.json")
    assert code == 1
    assert out.splitlines()[0].startswith("index.html:2:1: error missing: no alt-text (a.png); plain: ")
    log = json.loads((site / "s.json").read_text())["runs"][0]
    assert log["tool"]["driver"]["name"] == "trifacet alt check"
    (result,) = log["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "index.html"
    assert place["region"] == {"startLine": 2, "startColumn": 1}
    assert len(json.loads((site / "m.json").read_text())["missing"]) == 1
    (site / "index.html").write_text('<img src="a.png" alt="photo"><img src="c.png" alt="">')
    code, out, _ = trifacet("alt", "check", ".")
    assert (code, out.count("\n")) == (0, 1)
    assert json.loads((site / "s.json").read_text())


def test_what_cannot_be_read_is_told_and_leaves_with_2(site, trifacet):
    (site / "bad.md").write_bytes(b"\xff")
    for command in ("scan", "check"):
        code, out, err = trifacet("alt", command, ".")
        assert code == 2
        assert err.startswith("error: bad.md: line 1 is not UTF-8 text; ")
        assert "1 without a text" in out
    code, _, err = trifacet("alt", "scan", ".", "--format", "nothing")
    assert (code, "known are auto, " in err) == (2, True)
    code, _, err = trifacet("alt", "scan", ".", "--root", "nowhere")
    assert (code, "is no folder" in err) == (2, True)
    (site / "empty").mkdir()
    code, _, err = trifacet("alt", "check", "empty")
    assert (code, "holds no document" in err) == (2, True)


def test_hostile_words_are_shown_plainly(site, trifacet):
    (site / "index.html").write_text(
        '<img src="\x1b[31m[red]x\u202e.png"><a href=x title="\x1b]0;x\x07"><img alt=" "></a>'
    )
    code, out, err = trifacet("alt", "check", ".")
    assert code == 1
    assert "\x1b" not in out + err
    assert "\u202e" not in out


def test_help_names_the_commands():
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "scan" in shown
    assert "check" in shown


def test_the_hook_of_pre_commit_runs_the_check():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"] == "trifacet alt check"
    assert hook["language"] == "python"
    assert all(re.search(hook["files"], name) for name in ("a.html", "docs/b.md", "c.rst", "d.mdx"))
    assert not re.search(hook["files"], "a.py")
