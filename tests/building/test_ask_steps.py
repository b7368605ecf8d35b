"""The steps that ask a model: what they take over from an answer, and what an answer cannot do."""

import json

import pytest
from asked import asked, tools_in
from hypothesis import given
from hypothesis import strategies as st
from rows_of import table_of

from trifacet.building.recipe import BuildRecipe
from trifacet.building.steps import STEPS
from trifacet.building.steps.grammar import parse_correction, refusal, word_distance
from trifacet.building.steps.rejected_response import parse_alt_text
from trifacet.demo.alttext import clean
from trifacet.demo.endpoint_server import last_text
from trifacet.demo.facts import draw_scene, scene_generator
from trifacet.demo.raw_texts import INJECTIONS
from trifacet.demo.renderer import textured
from trifacet.demo.scribe import Scribe, stated
from trifacet.llm.model import UnparsedError

GRAMMAR, WRITE, VERIFY = STEPS["grammar"], STEPS["rejected-response"], STEPS["verify"]


def corrector(text):
    """A model that has the same correction for everything."""
    return lambda messages: json.dumps({"error": True, "text": text})


def scenes(folder, amount, **columns):
    """Rows of the world with their pictures."""
    root, rows = tools_in(folder).roots["0"], []
    for k in range(amount):
        rng = scene_generator(5, "asked", k)
        scene = draw_scene(rng)
        textured(scene, 128, rng).save(root / f"{k}.png")
        context = f"What a day! All of this is for {scene.name}."
        rows.append({"file": f"0:{k}.png", "context": context, "alt": clean(scene), "split": "preference"} | columns)
    return rows


def outcome(rows, events):
    return [row["id"] for row in rows], [(event["id"], event["verdict"], event["reason"]) for event in events]


# grammar


def test_faults_are_mended_and_nothing_else_is(tmp_path):
    table = table_of(
        {
            "context": "Finaly  finished,\nsee [person] at https://x.example/a?b=1 :-)",
            "alt": "Two rings fro Bobati on teh beech.",
        },
        {"context": "all good here", "alt": "A ring on the beach."},
        {"context": "", "alt": "Thre rings? No: the rings."},
    )
    rows, events = asked(GRAMMAR, table, Scribe(), tmp_path)
    assert [row["alt"] for row in rows][:2] == ["Two rings for Bobati on the beach.", "A ring on the beach."]
    assert rows[0]["context"] == "Finally  finished,\nsee [person] at https://x.example/a?b=1 :-)"
    assert [(event["id"], event["field"], event["verdict"]) for event in events] == [
        ("r0", "context", "change"),
        ("r0", "alt", "change"),
    ]


def test_a_text_without_end_is_neither_sent_nor_compared_and_the_row_s_other_text_is(tmp_path):
    table = table_of({"context": "teh " * 1500, "alt": "Two rings on teh beach."})
    sent = []
    scribe = Scribe()
    rows, events = asked(GRAMMAR, table, lambda messages: sent.append(1) or scribe(messages), tmp_path)
    assert (rows[0]["context"], rows[0]["alt"]) == ("teh " * 1500, "Two rings on the beach.")
    assert len(sent) == 1
    assert {(one["field"], one["reason"]) for one in events} == {
        ("context", "text too long to be checked"),
        ("alt", "grammar corrected"),
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("A", "correction changes too much"),  # an order that stood in the post was obeyed
        ("Ten old words were here and now there are quite others in their place.", "correction changes too much"),
        ("[person] and I walked to teh old mill by the river. https://spam.example", "correction changes a link"),
        ("Bobati and I walked to the old mill by the river.", "correction changes a placeholder"),
    ],
)
def test_a_correction_that_goes_too_far_is_refused_and_told(tmp_path, answer, reason):
    post = {"context": "[person] and I walked to teh old mill by the river."}
    rows, events = asked(GRAMMAR, table_of(post), corrector(answer), tmp_path)
    assert rows[0]["context"] == post["context"]
    assert [(event["verdict"], event["reason"], event["after"]) for event in events] == [("note", reason, answer)]


@pytest.mark.parametrize(
    "answer", ["", "Sure! It is fine.", '{"error": true, "text": " "}', '{"error": "no", "text": ""}']
)
@pytest.mark.parametrize("on_problem", ["keep", "drop"])
def test_an_answer_that_cannot_be_used_leaves_the_text_and_is_counted(tmp_path, answer, on_problem):
    table = table_of({"alt": "Two rings on teh beach."})
    rows, events = asked(GRAMMAR, table, lambda messages: answer, tmp_path, on_problem=on_problem)
    assert [row["alt"] for row in rows] == ["Two rings on teh beach."] * (on_problem == "keep")
    assert [event["reason"] for event in events] == ["grammar not checked"]
    assert events[0]["detail"]["problem"] in ("empty", "unparsed")


def test_only_the_fields_asked_for_are_looked_at(tmp_path):
    table = table_of({"context": "teh post", "alt": "teh alt"})
    rows, _ = asked(GRAMMAR, table, Scribe(), tmp_path, fields=["alt"])
    assert (rows[0]["context"], rows[0]["alt"]) == ("teh post", "the alt")


words = st.lists(st.sampled_from("abcde"), max_size=12)


@given(words, words)
def test_the_distance_is_levenshteins(a, b):
    nltk = pytest.importorskip("nltk")
    assert word_distance(a, b) == word_distance(b, a) == nltk.edit_distance(a, b)


@given(
    st.lists(st.tuples(st.sampled_from(["wind", "sea", "boat"]), st.booleans()), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0]),
)
def test_what_passes_changes_no_more_than_the_share(marked, share):
    before = " ".join(word for word, _ in marked)
    after = " ".join(word + "s" * changed for word, changed in marked)
    changed, allowed = sum(changed for _, changed in marked), share * len(marked)
    passed = refusal(before, after, share) is None
    assert passed or changed > allowed
    assert not passed or changed < allowed + 1  # rounded up to whole words


def test_case_and_punctuation_are_no_change_of_words():
    assert refusal("i saw it yesterday its late", "I saw it yesterday. Its late!", 0.0) is None


def test_answers_are_read_strictly():
    assert parse_correction('{"error": false, "text": ""}').text is None
    for text in ('{"error": false}', '{"text": "x"}', '{"error": true, "text": null}', '{"error": true, "text": ""}'):
        with pytest.raises(UnparsedError):
            parse_correction(text)
    assert parse_alt_text('{"alt_text": " two\\n rings "}') == "two rings"
    for text in ('{"alt_text": "..."}', '{"alt_text": ["a"]}', "two rings"):
        with pytest.raises(UnparsedError):
            parse_alt_text(text)


# rejected responses


def test_preference_rows_get_a_rejected_response_and_others_do_not(tmp_path):
    rows = scenes(tmp_path, 6)
    rows[1]["split"], rows[2]["split"], rows[3]["split"] = "sft", "test", None
    rows[4]["rejected_responses"] = ["given by the source"]
    rows, events = asked(WRITE, table_of(*rows), Scribe(), tmp_path)
    has = [row["rejected_responses"] for row in rows]
    assert has[1] is has[2] is None
    assert has[4] == ["given by the source"]
    for k in (0, 3, 5):
        assert len(has[k]) == 1
        assert has[k][0] != rows[k]["alt"]
    assert {event["id"] for event in events} == {"r0", "r3", "r5"}


def test_a_repeated_alt_text_is_no_rejected_one(tmp_path):
    answer = json.dumps({"alt_text": "  two RINGS, on the beach"})
    table = table_of({"alt": "Two rings on the beach."})
    rows, events = asked(WRITE, table, lambda messages: answer, tmp_path, image=False)
    assert rows[0]["rejected_responses"] is None
    assert [(event["verdict"], event["reason"]) for event in events] == [("note", "no rejected text written")]


def test_the_image_is_shown_where_it_is_asked_for(tmp_path):
    seen = []

    def answer(messages):
        seen.append(
            [part["type"] for part in messages[-1]["content"]] if isinstance(messages[-1]["content"], list) else []
        )
        return json.dumps({"alt_text": "something"})

    asked(WRITE, table_of(*scenes(tmp_path, 1)), answer, tmp_path, image=True)
    asked(WRITE, table_of(*scenes(tmp_path, 1, context="other")), answer, tmp_path, image=False)
    assert "image_url" in seen[0]
    assert "image_url" not in seen[1]


def test_an_image_that_is_gone_fails_its_row_alone(tmp_path):
    rows = scenes(tmp_path, 2)
    rows[0]["file"] = "0:gone.png"
    for step in (WRITE, VERIFY):
        kept, events = asked(step, table_of(*rows), Scribe(), tmp_path)
        assert [row["id"] for row in kept] == ["r1"]
        assert ("r0", "fail", "image cannot be opened") in outcome(kept, events)[1]


# verify


def judge(*letters):
    """A judge that answers the orders (alt-text first, rejected first) so; ``WORSE`` is what a writer writes."""

    def answer(messages):
        text = last_text(messages)
        if "Text A" not in text:
            tried = text.count("written") + 1
            return json.dumps({"alt_text": f"written {tried}"})
        return json.dumps({"better": letters['Text A: "Good' not in text]}) if letters else ""

    return answer


REASONS = {
    ("A", "A"): "judge's answer depends on the order",
    ("B", "B"): "judge's answer depends on the order",
    ("A", "tie"): "judge's answer depends on the order",
    ("B", "A"): "judge prefers the rejected text",
    ("tie", "tie"): "judge sees a tie",
    (): "judge's answer cannot be read",
}
PAIR = {"context": "Post.", "alt": "Good text.", "rejected_responses": ["Bad text."], "split": "preference"}


@pytest.mark.parametrize("letters", REASONS, ids=str)
def test_a_pair_that_no_judgement_confirms_is_dropped_after_the_attempts(tmp_path, letters):
    rows, events = asked(VERIFY, table_of(PAIR), judge(*letters), tmp_path, image=False, attempts=3)
    assert rows == []
    (event,) = events
    assert (event["verdict"], event["reason"]) == ("drop", REASONS[letters])
    attempts = event["detail"]["attempts"]
    assert [attempt["text"] for attempt in attempts] == ["Bad text.", "written 1", "written 2"]
    assert all([order["first"] for order in attempt["orders"]] == ["alt-text", "rejected"] for attempt in attempts)


def test_a_confirmed_pair_stays_with_its_judgements(tmp_path):
    rows, events = asked(VERIFY, table_of(PAIR), judge("A", "B"), tmp_path, image=False)
    assert rows[0]["rejected_responses"] == ["Bad text."]
    assert [event["verdict"] for event in events] == ["note"]
    (attempt,) = events[0]["detail"]["attempts"]
    assert [order["prefers"] for order in attempt["orders"]] == ["alt-text", "alt-text"]


def test_the_text_is_written_anew_by_the_writer_and_the_new_one_is_judged(tmp_path):
    def picky(messages):
        text = last_text(messages)
        assert "Text A" in text  # the judge is never asked to write
        worst, first = "awful" in text, 'Text A: "Good' in text
        return json.dumps({"better": ("A" if first else "B") if worst else "tie"})

    def writer(messages):
        text = last_text(messages)
        assert '"Bad text.' in text  # it is shown what has been tried
        return json.dumps({"alt_text": "awful" if "mild" in text else "mild"})

    options = {"image": False, "writer": "other", "siblings": [("other", writer)]}
    rows, events = asked(VERIFY, table_of(PAIR), picky, tmp_path, **options)
    assert rows[0]["rejected_responses"] == ["awful"]
    assert [(event["verdict"], event["field"]) for event in events] == [("change", "rejected_responses")]
    assert [attempt["text"] for attempt in events[0]["detail"]["attempts"]] == ["Bad text.", "mild", "awful"]
    rows, events = asked(VERIFY, table_of(PAIR), picky, tmp_path, **options, attempts=2)
    assert rows == []


def test_of_several_rejected_texts_those_that_are_confirmed_stay(tmp_path):
    def answer(messages):
        text = last_text(messages)
        good, first = "worst" in text, 'Text A: "Good' in text
        return json.dumps({"better": ("A" if first else "B") if good else "tie"})

    pair = PAIR | {"rejected_responses": ["meh", "worst"]}
    rows, _ = asked(VERIFY, table_of(pair), answer, tmp_path, image=False)
    assert rows[0]["rejected_responses"] == ["worst"]


def test_no_text_at_all_is_a_reason_of_its_own(tmp_path):
    table = table_of(PAIR | {"rejected_responses": None})
    rows, events = asked(VERIFY, table, lambda messages: "", tmp_path, image=False)
    assert rows == []
    assert [(event["reason"], len(event["detail"]["attempts"])) for event in events] == [
        ("no rejected text written", 3)
    ]


def test_a_reason_names_the_status_of_an_endpoint_that_will_not_have_the_question(tmp_path):
    def refusing(messages):
        raise ValueError("no more today")  # the endpoint answers 400

    status = "rejected by the endpoint (400)"
    _, events = asked(VERIFY, table_of(PAIR), refusing, tmp_path, image=False, attempts=1)
    assert [event["reason"] for event in events] == [f"judge's answer cannot be read: {status}"]
    _, events = asked(VERIFY, table_of(PAIR | {"rejected_responses": None}), refusing, tmp_path, image=False)
    assert [event["reason"] for event in events] == [f"no rejected text written: {status}"]
    _, events = asked(WRITE, table_of(PAIR | {"rejected_responses": None}), refusing, tmp_path, image=False)
    assert [event["reason"] for event in events] == [f"no rejected text written: {status}"]
    _, events = asked(GRAMMAR, table_of({"alt": "Teh."}), refusing, tmp_path)
    assert [(event["reason"], event["detail"]["answer"]) for event in events] == [
        (f"grammar not checked: {status}", "400: no more today")
    ]


@pytest.mark.parametrize("hidden", ["\x00", "\x1b[2J", "\x9b", "\u202e", "\u2066", "\x7f"])
def test_control_characters_in_an_answer_reach_no_row_and_are_counted(tmp_path, hidden):
    def answer(messages):
        texts = {"error": True, "text": f"The boat.{hidden}"} if "error" in last_text(messages) else None
        return json.dumps(texts or {"alt_text": f"something{hidden} else"})

    bare = PAIR | {"rejected_responses": None}
    rows, events = asked(WRITE, table_of(bare), answer, tmp_path, image=False)
    assert rows[0]["rejected_responses"] is None
    assert [(event["reason"], event["detail"]["problem"]) for event in events] == [
        ("no rejected text written", "unparsed")
    ]
    rows, events = asked(GRAMMAR, table_of({"alt": "Teh boat."}), answer, tmp_path)
    assert rows[0]["alt"] == "Teh boat."
    assert events[0]["detail"]["problem"] == "unparsed"


def test_rows_of_other_splits_are_left_alone(tmp_path):
    rows, events = asked(VERIFY, table_of(PAIR | {"split": "sft"}), judge("B", "A"), tmp_path)
    assert (len(rows), events) == (1, [])


def test_a_sound_judge_confirms_the_worlds_pairs_and_a_biased_one_none(tmp_path):
    rows, _ = asked(WRITE, table_of(*scenes(tmp_path, 12)), Scribe(lazy=0.4), tmp_path)
    sound, events = asked(VERIFY, table_of(*rows), Scribe(lazy=0.4), tmp_path)
    assert len(sound) >= 6
    assert any(event["verdict"] == "change" for event in events)  # some were written anew
    assert all(event["reason"] == "judge sees a tie" for event in events if event["verdict"] == "drop")
    for row in sound:
        assert stated(row["rejected_responses"][0]) != stated(row["alt"])  # no rewording of what is right
    (tmp_path / "biased").mkdir()
    scenes(tmp_path / "biased", 12)
    biased, events = asked(VERIFY, table_of(*rows), Scribe(lazy=0.4, position_bias=1.0), tmp_path / "biased")
    assert biased == []
    judged = [attempt for event in events for attempt in event["detail"]["attempts"] if attempt["text"] is not None]
    assert len(judged) >= 12
    assert {attempt["result"] for attempt in judged} == {"judge's answer depends on the order"}


@pytest.mark.parametrize("injection", INJECTIONS)
def test_orders_in_a_post_get_no_pair_kept(tmp_path, injection):
    """A model that obeys what posts say: its answers are the same in both orders, so none of them counts."""
    rows = scenes(tmp_path, 3)
    for row in rows:
        row["context"] += " " + injection
    written, _ = asked(WRITE, table_of(*rows), Scribe(), tmp_path)
    kept, events = asked(VERIFY, table_of(*written), Scribe(obeys_injections=True), tmp_path)
    assert kept == []
    assert {event["reason"] for event in events} <= {
        "judge's answer depends on the order",
        "no rejected text written",
    }
    proofread, _ = asked(GRAMMAR, table_of(*rows), Scribe(obeys_injections=True), tmp_path)
    assert [row["context"] for row in proofread] == [row["context"] for row in rows]


def test_faults_of_the_endpoint_change_nothing(tmp_path):
    rows = scenes(tmp_path, 8)
    for row in rows[::2]:
        row["context"] = row["context"].replace("for", "fro")
    found = []
    for name, faults in (("sound", 0.0), ("faulty", 0.2)):
        folder = tmp_path / name
        scenes(folder, 8)
        table = table_of(*rows)
        for step in (GRAMMAR, WRITE, VERIFY):
            kept, _ = asked(step, table, Scribe(lazy=0.3), folder, faults=faults, reparse=4)
            table = table_of(*kept)
        found.append(table)
    assert found[0].num_rows >= 6
    assert found[0].equals(found[1])


# recipes


def test_a_recipe_needs_what_the_steps_need():
    base = {"sources": [{"path": "x.jsonl"}], "models": {"m": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}}}
    with pytest.raises(ValueError, match="needs rejected responses: put 'rejected-response' or 'misread' before it"):
        BuildRecipe.model_validate(base | {"steps": [{"verify": {"image": False}}]})
    with pytest.raises(ValueError, match="needs files"):
        BuildRecipe.model_validate(base | {"steps": ["rejected-response"]})
    BuildRecipe.model_validate(
        base | {"steps": [{"rejected-response": {"image": False}}, {"verify": {"image": False}}]}
    )
