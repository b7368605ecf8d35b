"""The knobs of the world of posts: what a mistake gets, and what they add up to."""

import pytest
from pydantic import ValidationError

from trifacet.data.post_settings import REJECTED, USERS, Posts
from trifacet.data.settings import World


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"texts": {"clean": 0.5, "wrong": 0.4}}, "the shares sum to 0.9; change them so that they sum to 1"),
        ({"texts": {"claen": 1}}, "unknown kind 'claen'; did you mean 'clean'?"),
        ({"texts": "clean"}, "should be a mapping such as {clean: 1.0}"),
        ({"rejected": {"clean": 1}}, "unknown kind 'clean'; there are generic, verbose, no-name"),
        ({"tempts": {"place": 1}}, "unknown kind 'place'; there are colour, shape, count, thing"),
        ({"tempts": {}}, "the shares sum to 0;"),
        ({"tempts": {"colour": float("nan")}}, "the shares sum to nan;"),
        ({"tempts": {"colour": True}}, "should be a valid number"),
        ({"tempts": {"colour": -1, "shape": 2}}, "greater than or equal to 0"),
        ({"kinds": {"four": 1}}, "'four' kinds of things do not fit; a picture holds one, two or three"),
        ({"kinds": {"one": 0.5, "two": 0.2}}, "the shares sum to 0.7"),
        ({"post_alone": {"count": 0.5}}, "unknown kind 'count'; there are colour, shape"),
        ({"in_both": {"name": 0.5}}, "unknown kind 'name'; there are colour, shape, count"),
        ({"post_alone": {"colour": 0.7}, "in_both": {"colour": 0.4}}, "sum to 1.1; 1 is the most"),
        ({"texts": {"clean": 1}, "noise": 0.5}, "give texts such a kind"),
        ({"texts": {"clean": 1}, "chosen_noise": 0.5}, "give texts such a kind"),
        ({"tempting": 1.1}, "less than or equal to 1"),
        ({"near_colours": "much"}, "valid number"),
        ({"clauses": 5}, "less than or equal to 4"),
        ({"chat": 1.5}, "valid integer"),
        ({"chatt": 1}, "chatt"),
    ],
)
def test_a_mistake_is_named_with_its_cure(knobs, message):
    with pytest.raises(ValidationError) as caught:
        Posts.model_validate(knobs)
    assert message in str(caught.value)


def test_other_worlds_have_no_such_knobs():
    assert World(kind="things").posts == Posts()
    with pytest.raises(ValidationError, match="knobs of kind posts, and kind is things"):
        World.model_validate({"kind": "things", "posts": {"tempting": 0.1}})


def test_noise_scales_the_faults_of_supervised_texts_alone():
    assert Posts().users == USERS and Posts().rejected == REJECTED
    quiet, loud = Posts(noise=0.0).users, Posts(noise=0.9).users
    assert quiet["clean"] == 1 and sum(quiet.values()) == pytest.approx(1)
    assert loud["clean"] == pytest.approx(0.1) and sum(loud.values()) == pytest.approx(1)
    assert loud["generic"] / loud["wrong"] == pytest.approx(USERS["generic"] / USERS["wrong"])
    assert "clean" not in Posts().faults and sum(Posts().faults.values()) == pytest.approx(1)
    assert Posts(texts={"clean": 1.0}).faults == {}
