"""A family's chat model answers many questions at a time, each as it answers it alone."""

import asyncio
import shutil
import threading

import pytest
import torch
from PIL import Image
from questions import PROMPT
from tiny_families import MAKERS, load_copy

from trifacet.base.errors import TrifacetError
from trifacet.llm import local_endpoint
from trifacet.llm.books import Books
from trifacet.llm.chat_model import Asked, ChatModel
from trifacet.llm.model import LanguageModel
from trifacet.llm.settings import Model
from trifacet.models.loading import save_model

TEXTS = ["a red kite over the harbour", "two dogs", "", "their quiet friend near the old wall " * 4]


@pytest.fixture(scope="module")
def folders(family_folders, tmp_path_factory):
    """A family's checkpoint whose answers listen to the request; its generation settings count for nothing."""
    made = {}

    def folder(name):
        if name not in made:
            loaded = load_copy(family_folders(name))
            rng = torch.Generator().manual_seed(5)
            with torch.no_grad():
                for weight in loaded.model.parameters():
                    if weight.ndim == 2:
                        weight.normal_(std=0.2, generator=rng)
            made[name] = tmp_path_factory.mktemp(name) / "model"
            save_model(loaded.model, loaded.processor, made[name])
        return made[name]

    return folder


def opened(photos, *names):
    return [Image.open(photos / name).convert("RGB") for name in names]


def asked(photos):
    """Requests of several pictures, of one, and without; turns of the system and of the model itself."""
    one, two = opened(photos, "1.png"), opened(photos, "3.png", "0.png")
    user = ("user", [None, TEXTS[0]])
    return [
        Asked("a", [user], one, 0.0, 1, 8),
        Asked("b", [("user", [None, TEXTS[3]])], one, 0.0, 1, 3),
        Asked("c", [("user", [None, None, "Which?"])], two, 0.0, 1, 8),
        Asked("d", [("system", ["Be brief."]), ("user", [TEXTS[1]])], [], 0.0, 1, 6),
        Asked("e", [user, ("assistant", [TEXTS[1]]), ("user", ["And?"])], one, 0.0, 1, 8),
    ]


@pytest.mark.parametrize("family", MAKERS)
def test_greedy_answers_are_those_of_transformers(family, folders, photos):
    model = ChatModel(str(folders(family)), "models.judge")
    requests = asked(photos)
    alone = {
        one.key: model.answer(one.turns, one.images, temperature=0, seed=1, longest=one.longest) for one in requests
    }
    a, b, c, d, e = requests
    together = dict(model.answers(iter([[a, b, e], [c], [d]]), pytest.fail, rows=2))
    assert together == alone
    assert len({said.text for said in alone.values()}) > 2
    assert set(model._pictures.encoded.values()) == {1}


def test_what_is_drawn_hangs_on_its_own_request_and_seed(folders, photos):
    model = ChatModel(str(folders("llava")), "models.judge")
    drawn = [one._replace(key=(one.key, seed), temperature=1.0, seed=seed) for one in asked(photos) for seed in (1, 2)]

    def said(groups, rows):
        return dict(model.answers(iter(groups), pytest.fail, rows=rows))

    whole = said([drawn[0:4], drawn[4:6], drawn[6:8], drawn[8:]], 4)
    assert said([[one] for one in drawn[::-1]], 1) == whole
    assert len({answer.text for answer in whole.values()}) == len(drawn)
    cold = [one._replace(temperature=0.0) for one in drawn]
    mixed = [[drawn[0], cold[1]], [cold[2]], [drawn[5]]]
    assert said(mixed, 3) == {one.key: said([[one]], 1)[one.key] for group in mixed for one in group}


def ask(folder, file, questions, *, temperature=0.0, **others):
    """Questions, each of a text and a picture, and the tally."""
    spec = Model(**{"base_url": "local", "model": str(folder), "max_tokens": 8, "reparse": 0} | others)

    async def run():
        async with LanguageModel("judge", spec, books) as model:
            return await asyncio.gather(
                *(model.ask(PROMPT, {"post": text}, str, images=images, temperature=temperature, draw=draw)
                  for text, images, draw in questions), return_exceptions=True
            )  # fmt: skip

    with Books(file) as books:
        return asyncio.run(run()), books.tally("", "judge")


def test_questions_in_flight_are_written_together_and_kept_as_those_that_were_asked_alone(
    folders, photos, tmp_path, monkeypatch
):
    folder, groups = folders("qwen2_vl"), []
    answers = ChatModel.answers
    monkeypatch.setattr(
        ChatModel, "answers",
        lambda self, given, *args, **kw: answers(self, (groups.append(g) or g for g in given), *args, **kw),
    )  # fmt: skip
    questions = [(text, [photos / f"{n}.png"], draw) for n in (0, 1) for text in TEXTS for draw in (0, 1)]
    together, tally = ask(folder, tmp_path / "a.sqlite", questions, temperature=1.0)
    assert tally.sent == tally.answered == 16 and max(map(len, groups)) == 8
    alone, one = ask(folder, tmp_path / "b.sqlite", questions, temperature=1.0, concurrency=1)
    assert [answer.text for answer in alone] == [answer.text for answer in together]
    assert one.sent == 16 and [(a.problem, a.tokens) for a in alone] == [(a.problem, a.tokens) for a in together]
    _, again = ask(folder, tmp_path / "a.sqlite", questions, temperature=1.0)
    assert (again.sent, again.cached) == (0, 16)


def test_what_was_drawn_otherwise_is_another_question_and_greedy_answers_stay(folders, photos, tmp_path, monkeypatch):
    questions = [(text, [photos / "0.png"], 0) for text in TEXTS]
    monkeypatch.setattr(local_endpoint, "DRAWING", "")  # as it was once
    for temperature in (0.0, 1.0):
        ask(folders("llava"), tmp_path / "a.sqlite", questions, temperature=temperature)
    monkeypatch.undo()
    for temperature, cached in ((0.0, 4), (1.0, 0)):
        _, tally = ask(folders("llava"), tmp_path / "a.sqlite", questions, temperature=temperature)
        assert (tally.cached, tally.sent) == (cached, 4 - cached)


def test_a_request_that_the_model_cannot_take_stands_alone_with_its_fault(folders, photos, tmp_path):
    questions = [(text, [photos / "0.png"], 0) for text in (TEXTS[0], "wall " * 3000, TEXTS[1])]
    answers, tally = ask(folders("llava"), tmp_path / "a.sqlite", questions)
    assert [answer.problem == "rejected by the endpoint" for answer in answers] == [False, True, False]
    assert "more than the model's 2048" in answers[1].text and tally.answered == 2


def test_half_as_many_at_a_time_where_memory_does_not_suffice(folders, photos, tmp_path, monkeypatch, caplog):
    questions = [(text, [photos / f"{n}.png"], 0) for n in range(4) for text in TEXTS[:2]]
    enough, _ = ask(folders("llava"), tmp_path / "a.sqlite", questions, temperature=1.0)
    tried, most = [], 2
    read = ChatModel.__init__

    def watched(self, *args):
        read(self, *args)

        def looked_at(module, arguments, named):
            tried.append(len(named["inputs_embeds"]))
            if tried[-1] > most:
                raise torch.OutOfMemoryError("CUDA out of memory")

        self.model.model.language_model.register_forward_pre_hook(looked_at, with_kwargs=True)

    monkeypatch.setattr(ChatModel, "__init__", watched)
    some, tally = ask(folders("llava"), tmp_path / "b.sqlite", questions, temperature=1.0)
    assert some == enough and tally.answered == 8
    assert max(tried) > 2 and caplog.text.count("no memory left for") == 1
    most = 0
    none, _ = ask(folders("llava"), tmp_path / "c.sqlite", questions[:3])
    assert all(isinstance(error, TrifacetError) and "no memory left" in str(error) for error in none)


def test_questions_about_one_picture_are_divided_too_where_memory_does_not_suffice(folders, photos, caplog):
    one = opened(photos, "1.png")
    requests = [Asked(n, [("user", [None, f"{n} {TEXTS[3]}"])], one, 1.0, 1, 6) for n in range(7)]
    model, widths = ChatModel(str(folders("llava")), "models.judge"), []
    enough = dict(model.answers(iter([[each] for each in requests]), pytest.fail, rows=1))

    def looked_at(module, arguments, named):
        widths.append(named["inputs_embeds"].shape[1])
        if widths[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.model.language_model.register_forward_pre_hook(looked_at, with_kwargs=True)
    most = 10**6
    assert dict(model.answers(iter([requests]), pytest.fail, rows=4)) == enough
    together = max(widths)
    assert dict(model.answers(iter([requests[:1]]), pytest.fail, rows=4)) == {0: enough[0]}
    alone = widths[-6]
    assert together > alone + 20
    most = alone + 20
    assert dict(model.answers(iter([requests[:3], [], requests[3:]]), pytest.fail, rows=1)) == enough
    assert caplog.text.count("no memory left for") == 1
    most = 3
    with pytest.raises(TrifacetError, match="no memory left for a single request"):
        dict(model.answers(iter([requests]), pytest.fail, rows=4))


def test_nobody_waits_for_ever_and_what_is_being_written_is_kept(folders, photos, tmp_path, monkeypatch):
    folder = folders("llava")
    begun, go_on = threading.Event(), threading.Event()
    question = ChatModel._question

    def slow(self, asked):
        begun.set()
        go_on.wait(30)
        return question(self, asked)

    monkeypatch.setattr(ChatModel, "_question", slow)
    spec = Model(base_url="local", model=str(folder), max_tokens=4, reparse=0, concurrency=20)

    async def run(books):
        async with LanguageModel("judge", spec, books) as model:
            tasks = [asyncio.create_task(model.ask(PROMPT, {"post": text}, str)) for text in map(str, range(12))]
            await asyncio.to_thread(begun.wait, 30)
            for task in tasks:
                task.cancel()
            asyncio.get_running_loop().call_later(0.2, go_on.set)
        return await asyncio.gather(*tasks, return_exceptions=True)

    with Books(tmp_path / "a.sqlite") as books:
        outcomes = asyncio.run(run(books))
        tally = books.tally("", "judge")
        assert all(isinstance(one, asyncio.CancelledError) for one in outcomes)
        assert 1 <= tally.sent == tally.answered == len(books._file.query("SELECT key FROM answers")) < 12


def test_a_model_that_cannot_be_loaded_is_told_to_all_who_wait(folders, tmp_path):
    folder = shutil.copytree(folders("llava"), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    errors, _ = ask(folder, tmp_path / "a.sqlite", [(text, [], 0) for text in TEXTS])
    assert [type(error) for error in errors] == [TrifacetError] * 4
