"""``trifacet alt suggest`` with a real tiny model, from a page to a spreadsheet and back."""

import csv
import json
import subprocess
import sys
import time

import pytest
from PIL import Image

from trifacet.demo.endpoint_server import ScriptedEndpoint

TEXT = "A red bicycle leans against a white wall."


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TRIFACET_MODEL", raising=False)
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (32, 32), colour).save(tmp_path / name)
    page = '<html lang="en"><title>Spring</title><p>In the yard. <img src="a.png"></p><p><img src="{}"></p></html>'
    (tmp_path / "index.html").write_text(page.format("b.png"))
    return tmp_path


def test_a_real_model_is_asked_once_and_the_page_stays(site, trifacet, tiny_folder):
    before = (site / "index.html").read_bytes()
    call = ("alt", "suggest", "index.html", "--model", tiny_folder, "--max-new-tokens", 8, "--json", "counts.json")
    code, out, error = trifacet(*call)
    assert code == 0, error
    counts = json.loads((site / "counts.json").read_text())
    assert (counts["places"], counts["requests"], counts["drawn"]) == (2, 2, 10) or counts["drawn"] >= 10
    code, out, error = trifacet(*call)
    assert code == 0 and json.loads((site / "counts.json").read_text())["drawn"] == 0, error
    assert (site / "index.html").read_bytes() == before
    code, out, _ = trifacet("alt", "queue", "--json", "-")
    listed = json.loads(out)
    assert code == 0 and len(listed["suggestions"]) == 2
    assert all(len(one["proposal"]["provenance"]["weights"]) == 1 for one in listed["suggestions"])


def test_json_stands_alone_and_german_says_what_to_install(site, trifacet):
    (site / "index.html").write_text('<html lang="de"><p>Im Hof {{ user.name }}. <img src="a.png"></p></html>')
    asked = []

    def answer(messages):
        asked.append(json.dumps(messages))
        return "Ein rotes Rad lehnt an einer weißen Wand."

    with ScriptedEndpoint(answer) as endpoint:
        (site / "model.yaml").write_text(f"base_url: {endpoint.base_url}\nmodel: scripted\nimage_side: 32\n")
        call = ("alt", "suggest", "index.html", "--endpoint", "model.yaml", "--json", "-")
        code, out, error = trifacet(*call)
    assert code == 0 and json.loads(out)["reasons"] == {"names-unchecked": 1}
    told = " ".join(error.split())
    assert "1 withheld (names-unchecked 1)" in told
    assert "pip install 'trifacet[ner]', python -m spacy download de_core_news_sm, then --names" in told
    assert "Im Hof" in asked[0] and "user.name" not in asked[0]  # a template's code is no context


def test_an_endpoint_writes_and_people_decide_in_a_spreadsheet(site, trifacet):
    with ScriptedEndpoint(lambda messages: TEXT) as endpoint:
        (site / "model.yaml").write_text(f"base_url: {endpoint.base_url}\nmodel: scripted\nimage_side: 32\n")
        code, out, error = trifacet("alt", "suggest", "index.html", "--endpoint", "model.yaml", "--who", "robot")
        assert code == 0, error
        assert "2 places in 1 documents: 2 suggested" in out and endpoint.calls.delivered == 10
    code, out, error = trifacet("alt", "export", "--output", "texts.csv", "--state", "suggested")
    assert code == 0 and "2 suggestions" in error
    with (site / "texts.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["decision"], rows[1]["decision"], rows[1]["text"] = "accept", "edit", "A bicycle."
    with (site / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    code, out, error = trifacet("alt", "import", "texts.csv", "--who", "Ada")
    assert code == 0 and out == "entered: 1 accept, 1 edit\n"
    code, out, error = trifacet("alt", "import", "texts.csv", "--who", "Ben")
    assert code == 1 and "by Ada; look at it again" in error
    code, out, _ = trifacet("alt", "queue", "--state", "edited")
    assert "A bicycle." in out and "1 accepted, 1 edited" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "no model is named; give --model DIR, set TRIFACET_MODEL, or write 'model: DIR' into"),
        (("--model", "m", "--endpoint", "e.yaml"), "both name a model"),
        (("--model", "m", "--also", "all"), "give weak"),
        (("--model", "m", "--platform", "myspace"), "unknown platform"),
        (("--model", "m", "--glossary", "none.txt"), "none.txt: no such file"),
    ],
)
def test_bad_input_is_one_line(site, trifacet, options, told):
    code, _, error = trifacet("alt", "suggest", "index.html", *options)
    assert code == 2 and told in error and error.count("\n") == 1
    assert not (site / "alt-queue.sqlite").exists()


@pytest.mark.parametrize("command", [("queue",), ("export",), ("import", "x.csv")])
def test_without_a_queue_the_others_say_so(site, trifacet, command):
    code, _, error = trifacet("alt", *command)
    assert code == 2 and "alt-queue.sqlite: no such queue" in error
    assert not (site / "alt-queue.sqlite").exists()


def test_a_kill_while_an_endpoint_answers_pays_for_nothing_twice(site, trifacet):
    with ScriptedEndpoint(lambda messages: TEXT, latency=0.2) as endpoint:
        (site / "model.yaml").write_text(
            f"base_url: {endpoint.base_url}\nmodel: scripted\nimage_side: 32\nconcurrency: 1\n"
        )
        call = ["alt", "suggest", "index.html", "--endpoint", "model.yaml", "--who", "robot"]
        running = subprocess.Popen([sys.executable, "-m", "trifacet", *call], cwd=site)
        while endpoint.calls.delivered < 4:
            assert running.poll() is None
            time.sleep(0.02)
        running.kill()
        running.wait()
        code, out, error = trifacet(*call)
        assert code == 0 and "2 suggested" in out, error
        assert 10 <= endpoint.calls.delivered <= 11  # one may have been on its way
    kept = json.loads(trifacet("alt", "queue", "--json", "-")[1])
    assert [one["text"] for one in kept["suggestions"]] == [TEXT, TEXT]
