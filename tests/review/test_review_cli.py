"""The command: what it prints, how it ends, and that a kill loses nothing."""

import builtins
import csv
import http.cookiejar
import json
import re
import signal
import urllib.parse
import urllib.request

import pytest
from people import SECONDS, running
from reviews import NAMES, write_review

from trifacet.review.store import Store

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")


class Browser:
    """Cookies and forms, without a browser."""

    def __init__(self, link):
        self.base = link.partition("/?")[0]
        jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        self.get(link.removeprefix(self.base))

    def get(self, path):
        with self._opener.open(self.base + path, timeout=SECONDS) as answer:
            return answer.read().decode()

    def post(self, path, **fields):
        fields["proof"] = re.search(r'name="proof" value="([^"]+)"', self.get(path))[1]
        with self._opener.open(self.base + path, urllib.parse.urlencode(fields).encode(), timeout=SECONDS) as answer:
            return answer.read().decode()


def test_a_kill_loses_no_answer_and_the_same_command_and_link_go_on(tmp_path):
    arguments = write_review(tmp_path)
    with running(arguments) as server:
        link = server.links[0]
        browser = Browser(link)
        browser.post("/begin", name="Ada")
        browser.post("/sample/1", choice="1", comment="kept")
        assert "Sample 3 of 4" in browser.post("/sample/2", choice="tie")
        server.send_signal(signal.SIGKILL)
        assert server.wait(SECONDS) == -signal.SIGKILL
    assert [(vote.choice, vote.comment) for vote in Store(tmp_path / "votes.sqlite").votes()] == [
        ("first", "kept"), ("tie", ""),
    ]  # fmt: skip
    with running(arguments, port=urllib.parse.urlsplit(link).port, minutes=1_000_000) as server:
        assert server.links[0] == link
        assert "Sample 4 of 4" in browser.post("/sample/3", choice="2")  # the page that was open still works
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=SECONDS)
        assert server.returncode == 130
        assert "3 answers of 1 judge on 4 samples are in" in err and "the same command continues" in err
        assert "Traceback" not in err and not out


def test_each_judge_gets_a_link_and_the_time_can_be_bounded(tmp_path, trifacet):
    arguments = [*write_review(tmp_path), "--judge", "Ada", "--judge", "Bob", "--port", "0", "--for", "0.002"]
    code, out, err = trifacet(*arguments)
    links = dict(re.findall(r"^(\w+): http://127.0.0.1:\d+/\?token=(\S+)$", out, re.MULTILINE))
    assert code == 0 and list(links) == ["Ada", "Bob"] and links["Ada"] != links["Bob"]
    assert "0 answers of 0 judges on 4 samples" in err


def test_summary_and_export_of_a_store(tmp_path, trifacet):
    from trifacet.review.pairs import read_review

    write_review(tmp_path)
    review = read_review(tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "test.jsonl", names=NAMES)
    store = Store(tmp_path / "votes.sqlite", review)
    for judge, choice in (("[b]Ada", "first"), ("Bob", "tie")):
        store.begin(judge, sees=True)
        for number in range(3):
            store.vote(f"s{number}", judge, "A", choice, saw=True)
    store.close()
    place = ("review", "--store", tmp_path / "votes.sqlite")
    code, out, _ = trifacet(*place, "--summary", "--export", tmp_path / "votes.csv", "--json", tmp_path / "s.json")
    assert code == 0 and f"{NAMES[0]} against {NAMES[1]}: 3 of 4 samples judged" in out and "[b]Ada" in out
    assert re.search(r"majority per sample +3 +0.0 \[0.0, 0.0\] +100.0", " ".join(out.split("│")))
    assert "Krippendorff's alpha, ordinal" in out
    assert "no sample has a majority for a side" in out and "0 % of 3 samples alike" in out
    assert f"win is for {NAMES[0]}, lose for {NAMES[1]}" in out
    document = json.loads((tmp_path / "s.json").read_text())
    assert document["judges"][0]["judge"] == "[b]Ada" and document["agreement"]["alpha_nominal"]["value"] < 0
    rows = list(csv.DictReader((tmp_path / "votes.csv").open(newline="")))
    assert len(rows) == 6 and {row["winner"] for row in rows} == {NAMES[0], "tie"}
    code, out, _ = trifacet(*place, "--export", "-")
    assert code == 0 and [json.loads(line)["sample"] for line in out.splitlines()] == ["s0", "s1", "s2"] * 2
    code, out, _ = trifacet(*place, "--json", "-")
    assert code == 0 and json.loads(out) == document


VOTES = {  # of each sample the answers with the text of A first; "!": one that the judge has changed since
    "s0": ["first", "first", "second"],
    "s1": ["second", "!first", "second", "tie"],
    "s2": ["first", "second"],
    "s3": ["tie", "tie", "first"],
    "s4": ["skip", "second"],
    "s5": ["skip"],
    "s6": ["first", "tie", "second", "second", "first"],
    "s7": ["first"],
}


def test_votes_become_preference_pairs_that_a_run_reads(tmp_path, trifacet):
    """The majority of the last answers; ties, splits and samples without an answer are no pair."""
    from trifacet.data.settings import Data
    from trifacet.data.source import source_of
    from trifacet.review.pairs import read_review

    command = write_review(tmp_path, len(VOTES) + 1)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    same = json.loads((tmp_path / "b.jsonl").read_text().splitlines()[7])["text"]
    (tmp_path / "a.jsonl").write_text(
        "\n".join([*lines[:7], json.dumps({"id": "s7", "text": f" {same} "}), *lines[8:]])
    )
    files = [tmp_path / name for name in ("a.jsonl", "b.jsonl", "test.jsonl")]
    store = Store(tmp_path / "votes.sqlite", read_review(*files, names=NAMES))
    for sample, choices in VOTES.items():
        judge = -1
        for choice in choices:
            judge += not choice.startswith("!")
            store.begin(f"judge {judge}", sees=True)
            store.vote(sample, f"judge {judge}", "A", choice.removeprefix("!"), saw=True)
            if choice.startswith("!"):
                store.vote(sample, f"judge {judge}", "B", "first", saw=True)  # the text of B after all
    store.close()
    code, out, err = trifacet(*command, "--export", tmp_path / "pairs.jsonl", "--to", "preferences")
    assert (code, out) == (0, "") and "3 preference pairs in" in err
    left = ("3 tied or without a majority", "2 without a vote", "1 whose texts have the same words")
    assert all(f"left out: {told}" in err for told in left), err
    source = source_of(Data(root=str(tmp_path), preference="pairs.jsonl"), tmp_path, "preference")
    pairs = {sample.id: sample for sample in source.read()}
    assert {name: (pair.response[:5], pair.rejected_responses[0][:5]) for name, pair in pairs.items()} == {
        "s0": ("alpha", "omega"), "s1": ("omega", "alpha"), "s4": ("omega", "alpha"),
    }  # fmt: skip
    assert (source.images / pairs["s0"].image).is_file() and pairs["s0"].context == "Post 0 <b>&"
    assert pairs["s1"].extra == {
        "votes": {"chosen": 2, "tie": 1, "rejected": 0}, "chosen_model": NAMES[1], "rejected_model": NAMES[0],
    }  # fmt: skip
    code, _, err = trifacet(*command, "--export", tmp_path / "x.csv", "--to", "preferences")
    assert code == 2 and "name it .jsonl, .json or .parquet" in err
    (tmp_path / "sub").mkdir()
    code, _, told = trifacet(*command, "--export", tmp_path / "sub" / "x.parquet", "--to", "preferences")
    assert code == 0 and f"image paths are relative to {tmp_path}: say so by data.images" in told
    assert "image paths" not in trifacet(*command, "--export", tmp_path / "y.json", "--to", "preferences")[2]
    elsewhere = Data(root=str(tmp_path / "sub"), preference="x.parquet", images=str(tmp_path))
    assert [one.id for one in source_of(elsewhere, tmp_path, "preference").read()] == list(pairs)
    code, out, err = trifacet("review", "export", *command[1:], "--to", "preferences")
    assert (code, out) == (0, (tmp_path / "pairs.jsonl").read_text()) and "in standard output" in err
    code, out, _ = trifacet("review", "export", "--store", tmp_path / "votes.sqlite")
    assert code == 0 and len(out.splitlines()) == sum(map(len, VOTES.values())) + 1  # all votes, the changed one twice
    code, _, err = trifacet("review", "export", "--to", "preferences")
    assert code == 2 and "--to preferences needs the texts" in err
    (tmp_path / "b.jsonl").write_text((tmp_path / "b.jsonl").read_text().replace("omega 0", "another"))
    code, _, err = trifacet(*command, "--export", tmp_path / "x.jsonl", "--to", "preferences")
    assert code == 2 and "this one differs in the texts of the second model" in err
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize(
    ("wins", "losses", "said"),
    [(0, 6, "dpo is preferred"), (6, 0, "sft is preferred"), (0, 5, "no difference found"), (3, 3, "no difference")],
)
def test_the_verdict_names_the_side_that_the_sign_test_tells_from_chance(tmp_path, trifacet, wins, losses, said):
    """Six of six have p = 1 / 32, five of five 1 / 16; a tie of the sides favours none."""
    from trifacet.review.pairs import read_review

    write_review(tmp_path, wins + losses)
    files = (tmp_path / f"{name}.jsonl" for name in ("a", "b", "test"))
    store = Store(tmp_path / "votes.sqlite", read_review(*files, names=("sft", "dpo")))
    store.begin("Ada", sees=True)
    for place in range(wins + losses):
        store.vote(f"s{place}", "Ada", "A", "first" if place < wins else "second", saw=True)
    store.close()
    code, out, _ = trifacet("review", "--store", tmp_path / "votes.sqlite", "--summary")
    assert code == 0 and said in out and f"sft has the majority of {wins} samples, dpo of {losses};" in out


def test_the_summary_of_a_single_sample_has_no_interval(tmp_path, trifacet):
    from trifacet.review.pairs import read_review

    write_review(tmp_path)
    review = read_review(tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "test.jsonl", names=NAMES)
    store = Store(tmp_path / "votes.sqlite", review)
    for judge in ("Ada", "Bob"):
        store.begin(judge, sees=True)
        store.vote("s0", judge, "A", "first", saw=True)
    store.close()
    code, out, _ = trifacet("review", "--store", tmp_path / "votes.sqlite", "--summary")
    assert code == 0 and re.search(r"majority per sample +1 +100\.0 +0\.0 +0\.0 *\n", out.replace("│", ""))
    assert re.search(r"pairs of judges that agree +1\.000 *\n", out.replace("│", ""))


def test_bad_input_is_one_line(tmp_path, trifacet):
    command = write_review(tmp_path)
    store = tmp_path / "votes.sqlite"
    for arguments, told in [
        (["review", command[1]], "give both models' texts and their test set"),
        (["review", *command[1:3], command[1], *command[3:]], "one argument too many"),
        (["review", "--summary", "--store", tmp_path / "none.sqlite"], "no such store"),
        (["review", *command[1:3], "--summary"], "read the store alone"),
        ([*command, "--judge", "Ada", "--judge", "ADA"], "each judge's once"),
        ([*command, "--judge", " "], "--judge takes a name"),
        ([*command, "--host", "192.0.2.1", "--port", "0"], "cannot listen at 192.0.2.1"),
        (["review", "--export", "votes.xls", "--store", store], "name it .jsonl or .csv"),
        (["review", "--export", "-", "--summary", "--store", store], "would mix on standard output"),
        (["review", tmp_path / "a.jsonl", tmp_path / "a.jsonl", *command[3:]], "both models are called 'a'"),
        (["review", "x=nowhere.jsonl", *command[2:]], "no such file"),
    ]:
        code, out, err = trifacet(*arguments)
        assert code == 2 and not out and told in err, err
        assert "Traceback" not in err and err.count("\n") <= 2


def test_a_missing_package_is_told_with_what_to_install(tmp_path, trifacet, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "fastapi":
            raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")
        return real(name, *arguments, **named)

    command = write_review(tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    code, _, err = trifacet(*command)
    assert code == 2 and "needs fastapi, which is not installed; pip install 'trifacet[review]'" in err


def test_opening_it_to_others_is_warned_of_and_images_that_are_missing_are_told(tmp_path, trifacet, monkeypatch):
    from trifacet.web import server

    real = server.bind
    monkeypatch.setattr(server, "bind", lambda host, port: real("127.0.0.1", port))  # a test opens nothing to others
    monkeypatch.setattr(server, "serve", lambda app, bound, **given: None)
    command = write_review(tmp_path)
    (tmp_path / "2.jpg").unlink()
    code, out, err = trifacet(*command, "--host", "0.0.0.0", "--port", "0")
    assert code == 0 and re.fullmatch(r"http://[^/]+:\d+/\?token=[\w-]+\n", out)
    assert "whoever has a link can read the posts and vote" in err
    assert "1 of 4 samples have an image that cannot be shown; the first is sample 's2'" in err
    assert "whoever has a link" not in trifacet(*command, "--port", "0")[2]
