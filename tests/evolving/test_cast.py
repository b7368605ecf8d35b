"""Who plays the roles: one base for all, log-probs by tries, prompts and identities."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model

from trifacet.base.errors import TrifacetError
from trifacet.data.writing import Written
from trifacet.demo.endpoint_server import ScriptedEndpoint, last_text
from trifacet.engine.scoring import TrieScorer
from trifacet.evolving.asked import question
from trifacet.evolving.cast import Cast
from trifacet.models import sharing
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model, save_model

TEXTS = [["a red kite", "two dogs and their friend"], ["Ada", "Ada", "near the wall"], [], ["a red kite"]]


@pytest.fixture(scope="module")
def adapters(answering, tmp_path_factory):
    """Two adapters on the checkpoint, as a round's trainings leave them."""
    folders = []
    for number in (1, 2):
        loaded = load_model(answering, device="cpu")
        torch.manual_seed(number)
        adapted = get_peft_model(
            loaded.model, LoraConfig(r=2, target_modules=r".*language_model.*\.[qv]_proj", init_lora_weights=False)
        )
        folders.append(tmp_path_factory.mktemp("adapters") / str(number))
        save_model(adapted, loaded.processor, folders[-1], WayOfAsking(prompt="Say."))
    return folders


def texts_of(cast, role, samples, images, seed=5) -> list[Written]:
    return cast.writer(role, seed=seed).write(samples, images, draws=2)


def test_one_base_serves_all_and_each_writes_as_if_alone(evolve_recipe, adapters, questions, shown, monkeypatch):
    loads = []
    real = sharing.load_model
    monkeypatch.setattr(sharing, "load_model", lambda *args, **options: loads.append(args) or real(*args, **options))
    generator, reviser = adapters
    with Cast(evolve_recipe(), {"generator": generator, "reviser": reviser}) as cast:
        found = {}
        for role in ("generator", "verifier", "reviser", "generator"):
            said = texts_of(cast, role, questions, shown)
            assert found.setdefault(role, said) == said
    assert len(loads) == 1
    texts = [{text.text for text in said} for said in found.values()]
    assert all(one != other for one in texts for other in texts if one is not other)
    for role, checkpoint in (("generator", generator), ("reviser", reviser), ("verifier", None)):
        with Cast(evolve_recipe(), {"generator": checkpoint}) as alone:
            assert texts_of(alone, "generator", questions, shown) == found[role]


def test_log_probs_are_those_of_texts_scored_one_by_one(evolve_recipe, adapters, questions, shown):
    from trifacet.base.images import load_image
    from trifacet.engine.reference import score_batches
    from trifacet.engine.scoring import Encoded, collate
    from trifacet.preferences.facets import Cell

    with Cast(evolve_recipe(), {"generator": adapters[0]}) as cast:
        before = texts_of(cast, "generator", questions, shown)
        found = cast.log_probs("generator", questions, TEXTS)
        assert texts_of(cast, "generator", questions, shown) == before  # it writes on as before
        of_base = cast.log_probs("verifier", questions, TEXTS)
    loaded = load_model(adapters[0], device="cpu")
    encoder = WayOfAsking(prompt="Answer.", max_length=1200).encoder(loaded.family)
    scorer = TrieScorer(loaded.model, loaded.family)
    for sample, texts, values, others in zip(questions, TEXTS, found, of_base, strict=True):
        assert len(values) == len(texts)
        pictures = [loaded.family.read(load_image(shown, name)) for name in sample.pictures]
        for text, value, other in zip(texts, values, others, strict=True):
            paths, _ = encoder.paths(
                encoder.asked(sample), [sample.context], [text], pictures, [list(range(len(pictures)))], [Cell()]
            )
            batch = collate([Encoded(tuple(paths), tuple(pictures))], loaded.family, 0, rows="path")
            (logps,) = score_batches(scorer, [batch], torch.device("cpu"))
            assert value == pytest.approx(float(logps[0] / batch.lengths_C[0]), abs=1e-4)
            assert abs(value - other) > 1e-3


def test_pictures_go_through_the_encoder_once_for_all_their_texts(evolve_recipe, questions, monkeypatch):
    with Cast(evolve_recipe()) as cast:
        encoder, seen = cast.encoder("generator"), []
        real = encoder.family.features
        monkeypatch.setattr(
            encoder.family, "features", lambda model, **images: seen.append(images) or real(model, **images)
        )
        cast.log_probs("generator", questions[:2], [["a kite", "a dog", "Ada"], ["two", "three"]])
    assert [len(images["pixel_values"]) for images in seen] == [2]


def test_texts_that_do_not_fit_have_no_log_probs(evolve_recipe, questions):
    with Cast(evolve_recipe(data={"max_length": 60})) as cast:
        (short,), (long,) = cast.log_probs("generator", questions[:2], [["a"], ["a red kite " * 40]])
    assert short < 0 and math.isnan(long)


def test_where_memory_does_not_suffice_half_is_scored_at_a_time(evolve_recipe, questions, monkeypatch):
    texts = [["a red kite", "Ada"], ["two dogs"], ["near the wall"], ["Ada"]]
    with Cast(evolve_recipe(roles={"generator": {"batch_size": 4}})) as cast:
        whole = cast.log_probs("generator", questions, texts)
        forward, sizes = TrieScorer.forward, []

        def for_two(self, batch):
            sizes.append(len(batch.lengths_C))
            if len(batch.lengths_C) > 3:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return forward(self, batch)

        monkeypatch.setattr(TrieScorer, "forward", for_two)
        halves = cast.log_probs("generator", questions, texts)
    assert sizes == [5, 3, 2]
    for one, other in zip(whole, halves, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_a_question_that_does_not_fit_gets_no_text_and_says_why(evolve_recipe, questions, shown):
    long = questions[1].model_copy(update={"prompt": "Where is it? " * 60})
    asked = [questions[0], long, *questions[2:]]
    with Cast(evolve_recipe(data={"max_length": 200})) as cast:
        writer, told = cast.writer("generator"), []
        texts = writer.write(asked, shown, draws=2, done={("q0", 1), ("q1", 0)}, on_written=told.extend)
        others = writer.write([questions[0], *questions[2:]], shown, draws=2)
        assert [(text.id, text.draw) for text in texts] == [
            ("q0", 0), ("q1", 1), ("q2", 0), ("q2", 1), ("q3", 0), ("q3", 1)]  # fmt: skip
        assert texts[1] == Written("q1", "", 0, 0, draw=1, ended=False, problem="too long")
        assert [text for text in texts if text.id != "q1"] == [
            text for text in others if (text.id, text.draw) != ("q0", 1)
        ]
        assert sorted(told, key=texts.index) == texts
        with pytest.raises(TrifacetError, match=r"sample 'q2'.*no image file"):
            writer.write([long, questions[2].model_copy(update={"image": "gone.png"})], shown)


def test_an_endpoint_has_no_encoder_and_no_log_probs(evolve_recipe, endpoint_file, questions):
    with ScriptedEndpoint(last_text) as endpoint:
        recipe = evolve_recipe(roles={"verifier": {"endpoint": endpoint_file(endpoint)}})
        with Cast(recipe, {"verifier": None}) as cast:
            assert cast.encoder("verifier") is None and not cast.is_local("verifier")
            assert cast.encoder("generator") is not None
            with pytest.raises(TrifacetError, match=r"roles.verifier: an endpoint gives no log-probs"):
                cast.log_probs("verifier", questions, TEXTS)
        assert endpoint.calls.received == 0


def test_an_endpoint_is_asked_in_the_words_of_a_model_of_this_machine(evolve_recipe, endpoint_file, questions, shown):
    asked = []

    def says(messages):
        asked.append(messages)
        return "Ada"

    sample = questions[1].model_copy(update={"extra": {"system": "Be brief.", "lettering": ["KITE"]}})
    with ScriptedEndpoint(says) as endpoint:
        recipe = evolve_recipe(
            roles={"generator": {"endpoint": endpoint_file(endpoint)}},
            data={"lettering": "prompt", "lettering_label": "Words:", "context_label": "Post:"},
        )
        cast = Cast(recipe)
        cast.writer("generator").write([sample], shown)
        expected = cast.encoder("verifier").user_text(cast.encoder("verifier").asked(sample), sample.context)
    ((system, user),) = asked
    told = 'Where is it?\nWords:\n"KITE"\nPost:\nTwo dogs near the harbour'
    assert (system["content"], last_text([user])) == ("Be brief.", told)
    assert expected == told


def test_a_tiny_model_out_of_nothing_is_refused(evolve_recipe, answering, adapters):
    tiny = {"model": {"path": None, "tiny": {"hidden_size": 32}}}
    with pytest.raises(TrifacetError, match=r"model.tiny: the generator needs a model that can answer; give"):
        Cast(evolve_recipe(**tiny))
    roles = {name: {"model": str(answering)} for name in ("generator", "reviser")} | {
        "verifier": {"model": str(adapters[0])}
    }
    with Cast(evolve_recipe(**tiny, roles=roles)) as cast:
        assert cast.encoder("reviser").prompt == "Answer."  # the recipe's: nothing is on record
        assert cast.encoder("verifier").prompt == "Say."  # its own
    with Cast(evolve_recipe(roles=roles), {"verifier": adapters[0]}) as cast:
        assert cast.encoder("verifier").prompt == "Answer."  # trained here


def test_identities_say_what_texts_depend_on_and_no_more(evolve_recipe, adapters, answering, tmp_path, endpoint_file):
    import shutil

    recipe = evolve_recipe(sampling={"top_p": 0.5})
    one = Cast(recipe, {"reviser": adapters[0]})
    assert one.identity("generator")["weights"] == Cast(recipe).identity("generator")["weights"]
    assert one.identity("reviser")["weights"] != one.identity("generator")["weights"]
    assert (one.identity("generator")["top_p"], "top_p" in one.identity("reviser")) == (0.5, False)
    assert set(one.identity("reviser")["prompts"]) == {"feedback", "revision"}
    assert one.identity("generator")["prompts"] == {}
    elsewhere = shutil.copytree(answering, tmp_path / "copy")
    moved = evolve_recipe(sampling={"top_p": 0.5}, model={"path": str(elsewhere)})
    assert Cast(moved).identity("generator") == one.identity("generator")
    assert str(tmp_path) not in str(Cast(moved).identity("generator"))
    prompt = tmp_path / "feedback.txt"
    prompt.write_text("---\n{instruction} {answer}\n{context}\n{reference}")
    told = Cast(evolve_recipe(roles={"reviser": {"prompt": str(tmp_path)}})).identity("reviser")["prompts"]
    ours = one.identity("reviser")["prompts"]
    assert told["feedback"] != ours["feedback"] and told["revision"] == ours["revision"]
    with ScriptedEndpoint(last_text) as endpoint:
        spoken = Cast(evolve_recipe(roles={"reviser": {"endpoint": endpoint_file(endpoint)}})).identity("reviser")
    assert (spoken["endpoint"], "weights" in spoken) == ("scripted", False)


def test_prompts_of_ones_own_say_which_they_are(evolve_recipe, tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("---\n{instruction}\n{context}")
    with pytest.raises(TrifacetError, match="asked by two prompts; give a folder with"):
        Cast(evolve_recipe(roles={"reviser": {"prompt": str(file)}})).prompt("feedback", "reviser")
    with pytest.raises(TrifacetError, match=r"holds no feedback.txt or revision.txt"):
        Cast(evolve_recipe(roles={"reviser": {"prompt": str(tmp_path)}})).prompt("feedback", "reviser")
    cast = Cast(evolve_recipe(roles={"generator": {"prompt": str(file)}}))
    assert cast.prompt("answer", "generator").text == "---\n{instruction}\n{context}\n"
    assert (cast.answer_prompt, Cast(evolve_recipe()).answer_prompt) == ("answer", None)
    file.write_text("---\n{instruction} {context}")
    with pytest.raises(TrifacetError, match=r"give \{context\} a line of its own"):
        Cast(evolve_recipe(roles={"generator": {"prompt": str(file)}})).prompt("answer", "generator")
    (tmp_path / "revision.txt").write_text("---\n{instruction}")
    with pytest.raises(TrifacetError, match="has to ask for"):
        Cast(evolve_recipe(roles={"reviser": {"prompt": str(tmp_path)}})).prompt("revision", "reviser")


def test_prompts_of_the_package_hold_what_they_say(questions):
    from trifacet.llm.prompts import load_prompt

    asked = {
        "feedback": {"instruction", "context", "reference", "answer"},
        "revision": {"instruction", "context", "answer", "feedback"},
        "answer": {"instruction", "context"},
        "answer-reference": {"instruction", "context", "reference"},
    }
    for name, fields in asked.items():
        prompt = load_prompt(name)
        assert prompt.placeholders == fields
        for gone in fields:  # each stands on a line of its own, which can be left out
            said = question(questions[0], "x", prompt, {field: None if field == gone else "it" for field in fields})
            assert said.prompt.count("it") == len(fields) - 1
    assert "reference" not in load_prompt("revision").text.lower()
