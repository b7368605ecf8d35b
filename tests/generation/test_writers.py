"""Whatever writes keeps the same promises: order, draws, and going on from what is done."""

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample
from trifacet.demo.endpoint_server import ScriptedEndpoint, last_text
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.llm.asking import AskedModel
from trifacet.llm.prompts import make_prompt
from trifacet.llm.writer import EndpointWriter

LIMIT = 6


@pytest.fixture(scope="module")
def posts():
    asked = ["Who flies a kite?", "Where?", "How many dogs are there near the old harbour wall?"]
    return [TestSample(id=f"p{n}", image=f"{n}.png", prompt=text) for n, text in enumerate(asked)]


@pytest.fixture(scope="module", params=["family", "local chat model", "endpoint"])
def writer(request, loaded, encoder, tmp_path_factory):
    """Makes a writer that knows nothing yet, with what else it is to have."""
    if request.param == "family":
        settings = Generation(beams=1, temperature=1.0, max_new_tokens=LIMIT, batch_size=2)
        yield lambda: FamilyWriter(loaded.model, encoder, settings)
        return

    def asking(**spec):
        books = tmp_path_factory.mktemp("books") / "answers.sqlite"
        return EndpointWriter(AskedModel(image_side=24, **spec), books, LIMIT, temperature=1.0)

    if request.param == "local chat model":
        yield lambda: asking(base_url="local", model=str(loaded.folder))
        return
    with ScriptedEndpoint(lambda messages: last_text(messages)[::-1]) as endpoint:
        yield lambda: asking(base_url=endpoint.base_url, model="scripted")


@pytest.fixture(scope="module")
def whole(writer, posts, images):
    return writer().write(posts, images, draws=3)


def test_texts_come_in_the_order_of_posts_and_draws(whole, posts):
    assert [(text.id, text.draw) for text in whole] == [(post.id, draw) for post in posts for draw in range(3)]
    assert all(text.text == text.text.strip() and text.prompt_tokens > 0 for text in whole)


def test_draws_differ_where_the_writer_samples(whole, writer):
    texts = {(text.id, text.text) for text in whole}
    scripted = getattr(writer(), "spec", None) and writer().spec.model == "scripted"  # says the same whatever the seed
    assert len(texts) == 3 if scripted else len(texts) > 6


def test_a_text_does_not_depend_on_how_many_are_drawn_or_done(whole, writer, posts, images):
    assert writer().write(posts, images) == [text for text in whole if text.draw == 0]
    done = {(text.id, text.draw) for text in whole[1:8:2]}
    told = []
    rest = writer().write(posts, images, draws=3, done=done, on_written=told.extend)
    assert rest == [text for text in whole if (text.id, text.draw) not in done]
    assert sorted(told, key=whole.index) == rest


def test_two_posts_with_one_id_are_refused(writer, posts, images):
    with pytest.raises(TrifacetError, match="1 ids occur more than once, 'p0' first"):
        writer().write([*posts, posts[0]], images)


def test_a_text_says_whether_it_ended(whole, writer):
    if isinstance(writer(), FamilyWriter):
        assert {text.ended for text in whole} == {text.new_tokens < LIMIT for text in whole}
    else:
        assert all(text.ended == (text.problem != "cut off") for text in whole)


def test_an_endpoint_is_told_a_post_by_its_prompt_and_costs_are_counted_before(tmp_path, images):
    prompt = make_prompt("describe", "Describe.\n---\nPost: {post}")
    post = TestSample(id="a", image="0.png", context='the "old" wall')
    with ScriptedEndpoint(last_text) as endpoint:
        spec = AskedModel(base_url=endpoint.base_url, model="scripted", price={"output": 1e6})
        plain = EndpointWriter(spec, tmp_path / "a.sqlite", LIMIT)
        with pytest.raises(ValueError, match="is no question"):
            plain.write([post], images)
        writer = EndpointWriter(spec, tmp_path / "a.sqlite", LIMIT, words=lambda post: (prompt, {"post": post.context}))
        assert writer.cost([post], images).cost == LIMIT and not (tmp_path / "a.sqlite").exists()
        (text,) = writer.write([post], images)
        assert text.text == 'Post: "the \\"old\\" wall"'
        assert (writer.asked.questions, writer.cost([post], images).cost) == (1, 0)
