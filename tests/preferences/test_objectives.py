"""The objectives' values and gradients against plain scalar math, and what they log."""

import math
import re
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_objectives import (
    BETA,
    LINKED,
    MANY,
    NO_POST,
    ONE,
    Tables,
    lengths,
    own,
    plain,
    plain_gradient,
    run,
    sigma,
)
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.preferences.facets import CHOSEN, CORNERS, Cell, Facet
from trifacet.preferences.losses import facet_balance, lead_term, link_loss, make_plan, objective_loss
from trifacet.preferences.objectives import OBJECTIVES, AnchorTerm, PairTerm, resolve_objective

# --- values and gradients ---------------------------------------------------------------------------------------

LN2 = math.log(2)


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ("dpo", LN2),
        ("mdpo", 3 * LN2),
        ("mfpo", 3 * LN2),
        ("mcm-dpo", 2.8 * LN2),
        ("mcm-dpo-joint", LN2),
        ("mcm-dpo-anchored", 3.8 * LN2),
        (LINKED["ipo"], (1 / (2 * BETA)) ** 2),
        (LINKED["joint ipo"], (1 / (2 * BETA)) ** 2),
        (LINKED["hinge"], 0.7),
        (LINKED["smoothed"], LN2),
        (LINKED["smoothed hinge"], 1.0),
        (LINKED["offset"], math.log(1 + math.exp(0.3))),
        (LINKED["anchor"], 2 * math.log(1 + math.exp(0.4))),
    ],
)
def test_value_where_policy_is_reference(objective, value):
    output, _ = run(OBJECTIVES[objective] if isinstance(objective, str) else objective, [ONE, ONE], same=True)
    assert output.loss.item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("versions_S", [[ONE], [ONE, NO_POST], [MANY, ONE, NO_POST]], ids=["one", "mixed", "many"])
@pytest.mark.parametrize("objective", [*OBJECTIVES.values(), *LINKED.values()], ids=[*OBJECTIVES, *LINKED])
def test_loss_and_gradient_are_those_of_plain_math(objective, versions_S):
    if not any(objective.cells(versions) for versions in versions_S):
        pytest.skip("no term applies")
    output, gradient = run(objective, versions_S)
    loss, slope = plain(objective, versions_S)
    assert output.loss.item() == pytest.approx(loss, rel=1e-6)
    expected = plain_gradient(slope, versions_S)
    assert expected.abs().max() > 1e-4  # an agreement of zeros would show nothing
    assert (gradient - expected).abs().max() < 1e-6 * max(expected.abs().max().item(), 1)


corner_names = st.sampled_from([str(corner) for corner in CORNERS])
linked = {
    "weight": st.sampled_from([0.0, 0.2, 1.0, 1.5]),
    "link": st.sampled_from(["sigmoid", "hinge", "ipo"]),
    "offset": st.sampled_from([0.0, 0.25, -0.5]),
}
terms = st.one_of(
    st.fixed_dictionaries({"kind": st.just("pair"), "preferred": corner_names, "over": corner_names, **linked}).filter(
        lambda term: term["preferred"] != term["over"]
    ),
    st.fixed_dictionaries({"kind": st.just("anchor"), "corner": corner_names, **linked}),
    st.fixed_dictionaries(
        {"kind": st.just("list"), "facet": st.sampled_from(list(Facet)), "weight": st.sampled_from([0.0, 0.7])}
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("list"),
            "order": st.lists(corner_names, min_size=2, max_size=5, unique=True),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("nll"), "corner": corner_names, "weight": st.sampled_from([0.0, 0.4])}),
)


@searched(50)
@given(
    st.lists(terms, min_size=1, max_size=4).filter(lambda drawn: any(term.get("weight", 1) for term in drawn)),
    st.lists(st.sampled_from([ONE, NO_POST, MANY]), min_size=1, max_size=3),
    st.sampled_from([0.1, 0.5]),
)
def test_any_objective_is_plain_math(drawn, versions_S, beta):
    objective = own(*({"name": f"t{k}", **term} for k, term in enumerate(drawn)), beta=beta)
    if not any(objective.cells(versions) for versions in versions_S):
        return
    output, gradient = run(objective, versions_S)
    loss, slope = plain(objective, versions_S)
    assert output.loss.item() == pytest.approx(loss, rel=1e-5, abs=1e-7)
    expected = plain_gradient(slope, versions_S)
    assert torch.allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@given(st.floats(-30, 30), st.sampled_from([0.05, 0.1, 1.0]))
def test_the_slope_of_dpo_is_closed(h, beta):
    ratio = torch.tensor(h, dtype=torch.float64, requires_grad=True)
    link_loss("sigmoid", ratio, beta=beta).backward()
    assert ratio.grad.item() == pytest.approx(-beta * sigma(-beta * h), rel=1e-9)


def test_sigmoid_survives_large_margins():
    ratio = torch.tensor([-1e5, 1e5], requires_grad=True)
    loss = link_loss("sigmoid", ratio, beta=0.1)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([1e4, 0])
    assert ratio.grad.tolist() == pytest.approx([-0.1, 0])


def test_a_batch_is_the_mean_of_its_samples():
    for name in ("mdpo", "mcm-dpo", "mcm-dpo-joint"):
        objective, versions_S = OBJECTIVES[name], [ONE, NO_POST, MANY]
        together, _ = run(objective, versions_S)
        alone = []
        for sample, versions in enumerate(versions_S):
            cells = [(sample, cell) for cell in objective.cells(versions)]
            policy, reference = Tables(3, 0).logps(cells), Tables(3, 1).logps(cells)
            plan = make_plan(objective, [versions])
            alone.append(objective_loss(objective, policy, reference, lengths(cells), plan).loss.item())
        assert together.loss.item() == pytest.approx(sum(alone) / 3, rel=1e-6)


# --- how objectives relate --------------------------------------------------------------------------------------


def test_mcm_dpo_with_rpo_alone_is_dpo():
    definition = OBJECTIVES["mcm-dpo"].model_dump()
    for term in definition["terms"]:
        term["weight"] = 1.0 if term["name"] == "rpo" else 0.0
    only_rpo = resolve_objective(definition)
    assert only_rpo.corners == OBJECTIVES["dpo"].corners  # what weighs nothing is not even scored
    for versions_S in ([ONE, ONE], [MANY, NO_POST]):
        (zeroed, gradient), (dpo, expected) = run(only_rpo, versions_S), run(OBJECTIVES["dpo"], versions_S)
        assert zeroed.loss == dpo.loss
        assert torch.equal(gradient, expected)
        assert zeroed.metrics.keys() == dpo.metrics.keys()


def test_mcm_dpo_joint_of_one_term_is_dpo():
    joint = resolve_objective({"base": "mcm-dpo-joint", "drop": ["vpo", "cpo", "vrpo", "crpo", "vcpo", "mtpo"]})
    (output, gradient), (dpo, expected) = run(joint, [ONE, NO_POST]), run(OBJECTIVES["dpo"], [ONE, NO_POST])
    assert output.loss.item() == pytest.approx(dpo.loss.item())
    assert torch.allclose(gradient, expected)


def test_the_weights_are_the_papers():
    expected = {
        "response": 1.0, "image": 0.5, "context": 0.5, "image+response": 0.2, "context+response": 0.2,
        "image+context": 0.2, "image+context+response": 0.2,
    }  # fmt: skip
    for name in ("mcm-dpo", "mcm-dpo-joint"):
        objective = OBJECTIVES[name]
        assert {str(term.over): term.weight for term in objective.terms} == expected
        assert all(term.preferred == CHOSEN for term in objective.terms)
        assert objective.beta == BETA
    mdpo = OBJECTIVES["mdpo"]
    assert [(type(term), term.weight) for term in mdpo.terms] == [(PairTerm, 1), (PairTerm, 1), (AnchorTerm, 1)]
    assert [str(term.over) for term in mdpo.terms[:2]] == ["response", "image"]
    assert mdpo.terms[2].corner == CHOSEN
    assert mdpo.terms[2].offset == 0


@pytest.mark.parametrize("corner", [str(corner) for corner in CORNERS])
def test_a_corner_against_itself_says_nothing_and_is_refused(corner):
    with pytest.raises(TrifacetError, match=f"'preferred' and 'over' are both {re.escape(corner)}"):
        resolve_objective({"name": "own", "terms": [{"name": "a", "preferred": corner, "over": corner}]})


def test_every_corner_can_meet_every_other_corner():
    for preferred, over in permutations(CORNERS, 2):
        objective = own({"name": "a", "preferred": str(preferred), "over": list(over.rejected)})
        assert set(objective.corners) == {preferred, over}
        loss, _ = plain(objective, [ONE])
        assert run(objective, [ONE])[0].loss.item() == pytest.approx(loss, rel=1e-6)


def test_versions_of_a_facet_that_both_corners_reject_are_not_crossed():
    objective = own({"name": "a", "preferred": "response", "over": "image+response"})
    cells = objective.cells({Facet.IMAGE: 1, Facet.CONTEXT: 0, Facet.RESPONSE: 2})
    assert cells == [Cell(0, 0, 1), Cell(0, 0, 2), Cell(1, 0, 1), Cell(1, 0, 2)]
    plan = make_plan(objective, [{Facet.IMAGE: 1, Facet.RESPONSE: 2}])
    assert list(zip(plan.first_P.tolist(), plan.second_P.tolist(), strict=True)) == [(0, 2), (1, 3)]
    assert plan.share_P.tolist() == [0.5, 0.5]


def test_several_rejected_versions_are_averaged():
    objective = own({"name": "a", "over": "response"}, {"name": "b", "over": "image", "weight": 0.5})
    logp = {Cell(): -3.0, Cell(response=1): -4.0, Cell(response=2): -7.0, Cell(image=1): -2.0, Cell(image=2): -9.0}
    versions = {Facet.IMAGE: 2, Facet.CONTEXT: 0, Facet.RESPONSE: 2}
    cells = objective.cells(versions)
    assert set(cells) == set(logp)
    policy = torch.tensor([logp[cell] for cell in cells])
    plan = make_plan(objective, [versions])
    output = objective_loss(objective, policy, torch.zeros(5), torch.ones(5), plan)

    def term(cell):
        return math.log(1 + math.exp(-BETA * (logp[Cell()] - logp[cell])))

    first = (term(Cell(response=1)) + term(Cell(response=2))) / 2
    second = (term(Cell(image=1)) + term(Cell(image=2))) / 2
    assert output.loss.item() == pytest.approx(first + 0.5 * second)
    assert output.metrics["loss/a"].item() == pytest.approx(first)
    assert output.metrics["rewards/margins/a"].item() == pytest.approx(BETA * (1 + 4) / 2)
    assert output.metrics["rewards/accuracies/b"].item() == 0.5
    assert output.metrics["logps/rejected"].item() == pytest.approx(-5.5)


def test_terms_without_their_versions_are_left_out():
    separate, joint = OBJECTIVES["mcm-dpo"], OBJECTIVES["mcm-dpo-joint"]
    without_context = ["cpo", "crpo", "vcpo", "mtpo"]
    for objective in (separate, joint):
        reduced = resolve_objective({"base": objective.name, "drop": without_context})
        (output, gradient), (expected, wanted) = run(objective, [NO_POST]), run(reduced, [NO_POST])
        assert output.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
        assert torch.allclose(gradient, wanted)
        assert not any(metric.endswith("/cpo") for metric in output.metrics)
    value = run(separate, [NO_POST], same=True)[0].loss.item()
    assert value == pytest.approx((1.0 + 0.5 + 0.2) * LN2)  # rpo, vpo, vrpo
    assert run(joint, [NO_POST], same=True)[0].loss.item() == pytest.approx(LN2)  # its weights add up to one again


def test_a_sample_to_which_no_term_applies_adds_nothing():
    objective = own({"name": "a", "over": "context"}, {"name": "b", "over": "context+response"}, combine="joint")
    output, gradient = run(objective, [NO_POST, ONE])
    assert output.loss.item() == pytest.approx(plain(objective, [NO_POST, ONE])[0])
    assert torch.isfinite(gradient).all()
    assert not gradient[0].any()


def test_only_what_is_needed_is_scored():
    assert OBJECTIVES["dpo"].cells(MANY) == [Cell(), Cell(response=1), Cell(response=2)]
    assert OBJECTIVES["dpo"].rejected_facets == (Facet.RESPONSE,)
    assert OBJECTIVES["mdpo"].rejected_facets == (Facet.IMAGE, Facet.RESPONSE)
    assert len(OBJECTIVES["mcm-dpo"].cells(ONE)) == 8
    assert OBJECTIVES["sft"].cells(ONE) == [Cell()]
    assert not OBJECTIVES["sft"].needs_reference


def test_no_reference_is_refused_where_one_is_needed():
    cells = [(0, cell) for cell in OBJECTIVES["dpo"].cells(ONE)]
    logps, plan = Tables(1, 0).logps(cells), make_plan(OBJECTIVES["dpo"], [ONE])
    with pytest.raises(ValueError, match="reference"):
        objective_loss(OBJECTIVES["dpo"], logps, None, lengths(cells), plan)
    sft = OBJECTIVES["sft"]
    output = objective_loss(sft, logps[:1], None, lengths(cells[:1]), make_plan(sft, [ONE]))
    assert output.loss.item() == pytest.approx(-logps[0].item() / 2)


# --- metrics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dpo", "mdpo", "mcm-dpo", "mcm-dpo-joint"])
def test_metrics_are_those_of_the_field(name):
    """TRL's definitions: rewards are beta * (policy - reference); accuracy counts chosen > rejected."""
    objective, versions_S = OBJECTIVES[name], [ONE] * 8
    metrics = run(objective, versions_S)[0].metrics
    chosen, rejected = ([(s, cell) for s in range(8)] for cell in (Cell(), Cell(response=1)))
    policy, reference = Tables(8, 0), Tables(8, 1)
    chosen_rewards = BETA * (policy.logps(chosen) - reference.logps(chosen))
    rejected_rewards = BETA * (policy.logps(rejected) - reference.logps(rejected))
    expected = {
        "rewards/chosen": chosen_rewards.mean(),
        "rewards/rejected": rejected_rewards.mean(),
        "rewards/margins": (chosen_rewards - rejected_rewards).mean(),
        "rewards/accuracies": (chosen_rewards > rejected_rewards).double().mean(),
        "logps/chosen": policy.logps(chosen).mean(),
        "logps/rejected": policy.logps(rejected).mean(),
    }
    assert 0 < expected["rewards/accuracies"] < 1
    for metric, value in expected.items():
        assert metrics[metric].item() == pytest.approx(value.item(), rel=1e-6), metric
        assert not metrics[metric].requires_grad
    for term in objective.terms:
        assert f"loss/{term.name}" in metrics
        assert f"rewards/margins/{term.name}" in metrics


def test_how_far_the_policy_moved_is_logged_per_token_of_given_responses():
    objective, versions_S = OBJECTIVES["mcm-dpo"], [ONE] * 8
    metrics = run(objective, versions_S)[0].metrics
    policy, reference = Tables(8, 0), Tables(8, 1)
    for side, cell in (("chosen", Cell()), ("rejected", Cell(response=1))):
        cells = [(s, cell) for s in range(8)]
        moved = (policy.logps(cells) - reference.logps(cells)) / lengths(cells)
        assert metrics[f"log_ratio/{side}"].item() == pytest.approx(moved.mean().item(), rel=1e-5)
    spoilt = policy.logps([(s, Cell(image=1)) for s in range(8)]).mean()
    assert metrics["logps/rejected/vpo"].item() == pytest.approx(spoilt.item(), rel=1e-6)


def test_the_text_and_image_margins_are_told_apart_where_there_are_both():
    listed = own({"name": "t", "kind": "list", "facet": "response"}, {"name": "i", "kind": "list", "facet": "image"})
    both = {"rpo": "vpo", "t": "i"}
    for objective, of_text in ((OBJECTIVES["mdpo"], "rpo"), (OBJECTIVES["mfpo"], "rpo"), (listed, "t")):
        metrics = {name: value.item() for name, value in run(objective, [MANY] * 8)[0].metrics.items()}
        text, image = metrics[f"rewards/margins/{of_text}"], metrics[f"rewards/margins/{both[of_text]}"]
        assert text != image
        balance = facet_balance(objective, metrics)
        assert balance.keys() == {"rewards/text_minus_image", "rewards/text_over_image"}
        assert balance["rewards/text_minus_image"] == pytest.approx(text - image)
        assert balance["rewards/text_over_image"] == pytest.approx(text / image)
    for objective in (OBJECTIVES["dpo"], own({"name": "v", "over": "image"}), OBJECTIVES["sft"]):
        assert facet_balance(objective, run(objective, [ONE])[0].metrics) == {}


def test_nothing_is_divided_by_an_image_margin_that_is_all_but_nothing():
    for image in (0.0, 0.009, -0.009):
        margins = {"rewards/margins/rpo": 0.5, "rewards/margins/vpo": image}
        assert facet_balance(OBJECTIVES["mfpo"], margins) == {"rewards/text_minus_image": 0.5 - image}
    assert facet_balance(OBJECTIVES["mfpo"], {**margins, "rewards/margins/vpo": -0.25})["rewards/text_over_image"] == -2


# --- lists ------------------------------------------------------------------------------------------------------

THREE = {Facet.IMAGE: 2, Facet.CONTEXT: 0, Facet.RESPONSE: 1}


@pytest.mark.parametrize("facet", list(Facet))
def test_a_list_of_two_is_the_pair_with_the_sigmoid(facet):
    pair, listed = own({"name": "a", "over": facet.value}), own({"name": "a", "kind": "list", "facet": facet.value})
    ordered = own({"name": "a", "kind": "list", "order": ["chosen", facet.value]})
    (expected, wanted), *lists = (run(objective, [ONE, NO_POST, ONE]) for objective in (pair, listed, ordered))
    for output, gradient in lists:
        assert output.loss.item() == pytest.approx(expected.loss.item(), rel=1e-12)
        assert torch.allclose(gradient, wanted, rtol=1e-12)
        assert output.metrics.keys() == expected.metrics.keys()
        for name, value in expected.metrics.items():
            assert output.metrics[name].item() == pytest.approx(value.item(), rel=1e-12), name


def test_a_list_of_n_begins_at_the_logarithm_of_all_its_orders():
    for images in range(1, 6):
        versions = {Facet.IMAGE: images, Facet.CONTEXT: 0, Facet.RESPONSE: 1}
        objective = own({"name": "a", "kind": "list", "facet": "image"})
        zeros = torch.zeros(images + 1)
        output = objective_loss(objective, zeros, zeros, zeros + 2, make_plan(objective, [versions]))
        assert output.loss.item() == pytest.approx(math.log(math.factorial(images + 1)), rel=1e-6)


def test_the_orders_of_a_list_are_a_distribution():
    """exp(-loss) summed over all orders of the same cells is 1: the likelihood of Plackett and Luce."""
    logps = torch.tensor([-3.0, -1.0, -14.0, 2.0], dtype=torch.float64)
    corners = ["chosen", "response", "context", "image"]
    total = 0.0
    for order in permutations(corners):
        objective = own({"name": "a", "kind": "list", "order": list(order)}, beta=0.3)
        assert [str(cell.corner) for cell in objective.cells(ONE)] == corners
        total += math.exp(-objective_loss(objective, logps, logps * 0, logps * 0 + 2, make_plan(objective, [ONE])).loss)
    assert total == pytest.approx(1, rel=1e-6)  # shares are float32


def test_a_list_is_told_by_neighbours_in_order_and_by_the_best_against_the_rest():
    objective = own({"name": "a", "kind": "list", "facet": "image"}, beta=0.5)
    plan = make_plan(objective, [THREE, ONE])
    assert (plan.first_P.tolist(), plan.second_P.tolist()) == ([0, 1, 3], [1, 2, 4])
    logps = torch.tensor([-1.0, -5.0, -2.0, -4.0, -6.0])
    metrics = objective_loss(objective, logps, torch.zeros(5), torch.full((5,), 2), plan).metrics
    assert metrics["rewards/accuracies/a"].item() == pytest.approx((1 / 2 + 1) / 2)
    margin = 0.5 * ((-1 - (-5 - 2) / 2) + (-4 + 6)) / 2
    assert metrics["rewards/margins/a"].item() == pytest.approx(margin)
    assert metrics["rewards/chosen"].item() == pytest.approx(0.5 * (-1 - 4) / 2)
    assert (metrics["rewards/chosen"] - metrics["rewards/rejected"]).item() == pytest.approx(margin)
    assert metrics["logps/rejected/a"].item() == pytest.approx(((-5 - 2) / 2 - 6) / 2)


def test_a_list_survives_large_and_equal_rewards():
    objective = own({"name": "a", "kind": "list", "facet": "image"}, beta=1.0)
    for values, loss in (([1e5, 0.0, -1e5], 0.0), ([-1e5, 0.0, 1e5], 3e5), ([7.0, 7.0, 7.0], math.log(6))):
        logps = torch.tensor(values, requires_grad=True)
        output = objective_loss(objective, logps, torch.zeros(3), torch.ones(3), make_plan(objective, [THREE])).loss
        output.backward()
        assert output.item() == pytest.approx(loss, abs=1e-6)
        assert torch.isfinite(logps.grad).all()


def test_an_objective_without_lists_has_none_of_their_parts():
    assert make_plan(OBJECTIVES["mcm-dpo"], [ONE, MANY]).choices is None


def test_mfpo_is_mdpo_under_its_own_name():
    for versions_S in ([ONE], [MANY, ONE, NO_POST]):
        (mfpo, gradient), (mdpo, expected) = run(OBJECTIVES["mfpo"], versions_S), run(OBJECTIVES["mdpo"], versions_S)
        assert mfpo.loss == mdpo.loss
        assert torch.equal(gradient, expected)


def test_a_tie_is_no_success():
    metrics = run(OBJECTIVES["mcm-dpo"], [ONE, ONE], same=True)[0].metrics
    assert {metrics[f"rewards/accuracies/{term.name}"].item() for term in OBJECTIVES["mcm-dpo"].terms} == {0.0}
    assert metrics["rewards/accuracies"] == metrics["rewards/margins"] == metrics["rewards/chosen"] == 0


def test_weighted_term_losses_add_up():
    output, _ = run(OBJECTIVES["mcm-dpo-anchored"], [ONE, MANY])
    total = sum(term.weight * output.metrics[f"loss/{term.name}"] for term in OBJECTIVES["mcm-dpo-anchored"].terms)
    assert output.loss.item() == pytest.approx(total.item(), rel=1e-6)


def test_the_lead_is_the_response_term():
    assert lead_term(OBJECTIVES["mcm-dpo"]).name == "rpo"
    turned = own({"name": "v", "over": "image"}, {"name": "r", "over": "response"})
    assert lead_term(turned).name == "r"
    assert lead_term(own({"name": "v", "over": "image"}, {"name": "c", "over": "context"})).name == "v"
    assert lead_term(OBJECTIVES["sft"]) is None
