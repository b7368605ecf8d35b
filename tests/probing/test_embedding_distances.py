"""Planes and distances of embeddings, held to other ways to the same numbers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from searching import searched

from trifacet.base.errors import DataError
from trifacet.probing import embeddings as embeddings_module
from trifacet.probing.embeddings import distance_measures, principal_plane, silhouette
from trifacet.probing.summing import embeddings_of
from trifacet.probing.vectors import Vectors, read_vectors, write_vectors
from trifacet.statistics.significance import percentile_interval

IDS = [f"s{number}" for number in range(9)]


@pytest.fixture
def clouds():
    rng = np.random.default_rng(3)
    generated = rng.normal(size=(9, 30)) + 1000.0
    return generated, generated + rng.normal(size=(9, 30)) * 0.3 + 0.5


def test_equal_texts_have_distance_nought(clouds):
    measures = distance_measures(IDS, clouds[0], clouds[0].copy())
    assert {name: measures[name].value for name in ("euclidean", "cosine", "centroids")} == {
        "euclidean": 0.0, "cosine": 0.0, "centroids": 0.0,
    }  # fmt: skip
    assert percentile_interval(measures["centroids"], draws=50, level=0.95, seed=1) == (0.0, 0.0)
    assert measures["spread"].value > 1
    assert silhouette(clouds[0], clouds[0].copy()) < 0.01


def test_distances_are_those_of_their_definitions(clouds):
    generated, reference = clouds
    measures = distance_measures(IDS, generated, reference)
    pairs = list(zip(generated, reference, strict=True))
    assert measures["euclidean"].value == pytest.approx(np.mean([np.linalg.norm(a - b) for a, b in pairs]))
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    assert measures["cosine"].value == pytest.approx(1 - np.mean(cosines), abs=1e-12)
    assert measures["centroids"].value == pytest.approx(np.linalg.norm(generated.mean(0) - reference.mean(0)))
    about = reference - reference.mean(0)
    assert measures["spread"].value == pytest.approx(np.sqrt((about**2).sum(1).mean()))
    drawn = np.array([0, 0, 1, 5, 5, 5, 6, 7, 8])  # resampled sums are the measures of the resampled set
    weights = np.bincount(drawn, minlength=9)[None].astype(float)
    again = distance_measures(list(range(9)), generated[drawn], reference[drawn])
    for name in ("euclidean", "cosine", "centroids"):
        assert measures[name].resampled(weights)[0] == pytest.approx(again[name].value, rel=1e-9), name
    assert measures["spread"].resampled(weights)[0] == pytest.approx(np.sqrt((about[drawn] ** 2).sum(1).mean()))


def test_silhouette_is_the_mean_of_its_definition(clouds):
    generated, reference = clouds
    points, label = np.vstack(clouds), np.repeat([0, 1], 9)
    values = []
    for at in range(18):
        apart = np.linalg.norm(points - points[at], axis=1)
        a = apart[label == label[at]].sum() / 8
        b = apart[label != label[at]].mean()
        values.append((b - a) / max(a, b))
    assert silhouette(generated, reference) == pytest.approx(np.mean(values), abs=1e-6)
    assert silhouette(generated, reference + 1000) > 0.99
    assert silhouette(generated[:1], reference[:1]) is None


def test_the_silhouette_is_the_same_a_few_points_at_a_time(clouds, monkeypatch):
    whole = silhouette(*clouds)
    for most in (1, 18 * 5, 18 * 7):  # one, five and seven points at a time, which end within a cloud
        monkeypatch.setattr(embeddings_module, "DISTANCES_AT_ONCE", most)
        assert silhouette(*clouds) == pytest.approx(whole, abs=1e-9)


@searched(30)
@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 99))
def test_the_plane_explains_what_its_coordinates_vary(count, width, seed):
    points = np.random.default_rng(seed).normal(size=(count, width)) * np.arange(1, width + 1)
    plane = principal_plane(points)
    flat = plane.flat(points)
    assert np.allclose(flat.mean(0), 0, atol=1e-9)
    assert np.allclose(flat.var(0) / points.var(0).sum(), plane.explained)
    assert plane.explained[0] >= plane.explained[1]
    others = np.linalg.eigvalsh(np.atleast_2d(np.cov(points.T)))[::-1]
    assert plane.explained[0] == pytest.approx(others[0] / others.sum())


def test_points_that_do_not_vary_have_a_plane():
    plane = principal_plane(np.ones((4, 3)))
    assert plane.explained == (0.0, 0.0)
    assert (plane.flat(np.ones((4, 3))) == 0).all()


def test_vectors_come_back_as_they_were_and_nothing_else_is_read(clouds, tmp_path):
    path = tmp_path / "v.safetensors"
    generated, reference = (half.astype(np.float32) for half in clouds)
    write_vectors(Vectors("sft", tuple(IDS), generated, reference), path)
    back = read_vectors(path)
    assert (back.model, back.ids) == ("sft", tuple(IDS))
    assert np.array_equal(back.generated_Sd, generated)
    assert np.array_equal(back.reference_Sd, reference)
    for ids in (IDS[:3], [*IDS[:8], IDS[0]]):
        write_vectors(Vectors("sft", tuple(ids), generated, reference), path)
        for wrong in (path, tmp_path / "none"):
            with pytest.raises(DataError, match=r"v\.safetensors|none"):
                read_vectors(wrong)
    sound = {"generated": generated, "reference": reference}
    names = json.dumps(list(IDS))
    for states, ids in (
        (sound, "[" * 5000),
        (sound, json.dumps(dict.fromkeys(IDS))),
        ({name: half.astype(np.int64) for name, half in sound.items()}, names),
        ({name: half * np.float32(1e30) for name, half in sound.items()}, names),
    ):
        save_file(states, path, metadata={"model": "sft", "ids": ids})
        with pytest.raises(DataError, match="holds no vectors"):
            read_vectors(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="holds no vectors"):
        read_vectors(path)


def test_the_centres_of_equal_clouds_have_an_interval_with_a_width():
    rng = np.random.default_rng(1)
    generated, reference = (rng.normal(size=(60, 40)).astype(np.float32) for _ in range(2))
    ids = tuple(map(str, range(60)))
    distances = embeddings_of(Vectors("a", ids, generated, reference), [], 60, 17).distances
    for name in distances:
        low, high = distances[name].interval
        assert high - low > 0.01 * distances[name].value, name


def test_the_spread_has_an_interval_about_it_at_the_width_of_real_models():
    rng = np.random.default_rng(4)
    generated, reference = (rng.normal(size=(40, 4096)).astype(np.float32) for _ in range(2))
    spread = embeddings_of(Vectors("a", tuple(map(str, range(40))), generated, reference), [], 40, 17).distances[
        "spread"
    ]
    low, high = spread.interval
    others = [np.sqrt(rng.normal(size=(40, 4096)).var(axis=0).sum()) for _ in range(100)]  # of other samples
    assert low < spread.value < high
    assert high - low == pytest.approx(4 * np.std(others), rel=0.5)


def test_the_order_of_the_samples_changes_no_interval():
    rng = np.random.default_rng(2)
    generated, reference = (rng.normal(size=(30, 8)).astype(np.float32) for _ in range(2))
    own = Vectors("a", tuple(f"s{number}" for number in range(30)), generated, reference)
    distances = embeddings_of(own, [], 30, 17).distances
    turned = embeddings_of(own.of(own.ids[::-1]), [], 30, 17).distances
    for name, distance in distances.items():
        assert turned[name].interval == pytest.approx(distance.interval, rel=1e-9), name


def test_a_joint_plane_holds_the_samples_that_all_models_have(clouds):
    whole = Vectors("sft", tuple(IDS), *(half.astype(np.float32) for half in clouds))
    part, turned = whole.of(["s7", "s2", "s4"]), whole.of(["s1", "s4", "s8", "s2"])
    joint = embeddings_of(part, [whole, turned], 9, 17).joint
    assert [[pair.id for pair in cloud.points] for cloud in joint.models] == [["s2", "s4"]] * 3
    assert joint.models[0].points == joint.models[1].points == joint.models[2].points  # their states are the same
    assert embeddings_of(part, [whole.of(["s0"])], 9, 17).joint is None
