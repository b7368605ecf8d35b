"""The steps that find images and drop moving ones, on real files and a real server."""

import json

import pyarrow as pa
import pytest
from image_server import moving, noisy_jpeg, picture, serving

from trifacet.base.errors import TrifacetError
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import ROWS, RowBatch
from trifacet.building.settings import Network
from trifacet.building.step import Tools
from trifacet.building.steps import images, static_image


@pytest.fixture
def tools(tmp_path):
    (tmp_path / "in").mkdir()
    network = Network.model_validate({"allow_private": True, "per_host": 1000.0})
    roots = {"0": tmp_path / "in", "1": tmp_path / "other", "downloaded": tmp_path / "out" / "images"}
    return Tools(seed=1, folder=tmp_path / "out", roots=roots, max_pixels=90_000, network=network)


def table(*rows):
    blank = {"source": 0, "source_row": 1, "context": "c", "alt": "a"}
    return pa.Table.from_pylist([{"row": n, "id": f"r{n}", **blank, **row} for n, row in enumerate(rows)], schema=ROWS)


def run(step, tools, rows, **parameters):
    batch = RowBatch(rows if isinstance(rows, pa.Table) else table(*rows), 1, step.name)
    step.apply(batch, step.parameters(**parameters), tools)
    kept, events = batch.result()
    assert kept.schema == ROWS
    return kept.to_pylist(), {event["id"]: (event["verdict"], event["reason"]) for event in events.to_pylist()}, events


def test_local_and_downloaded_images_get_their_facts_and_can_be_opened(tmp_path, tools):
    (tmp_path / "in" / "a b:c.jpg").write_bytes(picture(size=(50, 20), format="JPEG"))
    (tmp_path / "in" / "wrong.jpg").write_bytes(picture("green"))
    with serving() as server:
        url = server.give("/x", picture("blue", (64, 32), "WEBP"))
        rows = [
            {"image": "a b:c.jpg", "more_images": ["wrong.jpg", url]},
            {"image": url},
            {"image": url.replace("http", "HTTP"), "source": 1},
        ]
        kept, events, _ = run(images.STEP, tools, rows)
        assert server.asked["/x"] <= 2, "once for each spelling"
    assert not events
    first, second, third = kept
    assert first["file"] == "0:a b:c.jpg"
    assert first["more_files"] == ["0:wrong.jpg", second["file"]]
    assert [(row["width"], row["height"], row["format"], row["frames"]) for row in kept] == [
        (50, 20, "JPEG", 1), (64, 32, "WEBP", 1), (64, 32, "WEBP", 1),
    ]  # fmt: skip
    assert second["file"] == third["file"] and second["file"].startswith("downloaded:")
    for row in kept:
        for file in [row["file"], *(row["more_files"] or [])]:
            assert tools.image(file).size
        assert len(row["sha256"]) == 64


def test_every_failure_has_its_reason_and_the_rest_goes_on(tmp_path, tools):
    folder = tmp_path / "in"
    jpeg = noisy_jpeg()
    (tmp_path / "secret.png").write_bytes(picture())
    (folder / "fine.png").write_bytes(picture())
    (folder / "words.png").write_bytes(b"<html></html>")
    (folder / "cut.jpg").write_bytes(jpeg[:-2000])
    (folder / "big.png").write_bytes(picture(size=(301, 300)))
    (folder / "sub").mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "round").symlink_to(folder / "round")
    cases = {
        "fine.png": None,
        "none.png": "image file missing",
        "sub": "image file missing",
        "n\0l.png": "image file missing",
        "x" * 5000: "image file missing",
        "round": "image file missing",
        "../secret.png": "image path leaves its folder",
        str(tmp_path / "secret.png"): "image path leaves its folder",
        "link.png": "image path leaves its folder",
        "words.png": "not an image",
        "cut.jpg": "image damaged",
        "big.png": "image too large",
        "data:image/png;base64,xx": "address not allowed",
        "file:///etc/passwd": "address not allowed",
    }
    kept, events, full = run(images.STEP, tools, [{"image": name} for name in cases])
    assert [row["image"] for row in kept] == ["fine.png"]
    assert [events.get(f"r{n}", (None, None)) for n in range(len(cases))] == [
        ("fail", reason) if reason else (None, None) for reason in cases.values()
    ]
    assert {event["before"] for event in full.to_pylist()} == set(cases) - {"fine.png"}
    assert json.loads(full.to_pylist()[-1]["detail"])["problem"] == "not http or https"
    assert str(tmp_path) not in "".join(event["detail"] or "" for event in full.to_pylist()), "where it was built"


def test_a_further_image_that_cannot_be_used_fails_the_row_and_is_named(tmp_path, tools):
    (tmp_path / "in" / "fine.png").write_bytes(picture())
    kept, events, full = run(images.STEP, tools, [{"image": "fine.png", "more_images": ["none.png"]}])
    assert not kept and events == {"r0": ("fail", "image file missing")}
    assert full.to_pylist()[0]["before"] == "none.png"


def test_rows_without_an_image_leave_or_stay(tools):
    assert run(images.STEP, tools, [{"image": None}])[1] == {"r0": ("drop", "no image")}
    kept, events, _ = run(images.STEP, tools, [{"image": None}], missing="keep")
    assert kept[0]["file"] is None and not events


def test_what_is_decided_does_not_depend_on_the_parts(tmp_path, tools):
    names = []
    for n in range(6):
        names.append(f"{n}.png")
        (tmp_path / "in" / names[-1]).write_bytes(picture((n, 0, 0)) if n % 3 else b"no")
    whole = table(*({"image": name} for name in names))
    kept, events, _ = run(images.STEP, tools, whole)
    parts = [run(images.STEP, tools, whole.slice(n, 2)) for n in (4, 0, 2)]
    assert sorted((row for part in parts for row in part[0]), key=lambda row: row["row"]) == kept
    assert {name: event for part in parts for name, event in part[1].items()} == events


def test_moving_pictures_leave_and_stills_stay(tmp_path, tools):
    files = {
        "m.gif": moving("GIF"),
        "m.webp": moving("WEBP"),
        "m.png": moving("PNG"),
        "pages.tiff": moving("TIFF"),
        "camera.jpg": moving("MPO"),
        "still.gif": picture(format="GIF"),
        "still.png": picture(),
        "called.jpg": moving("GIF"),
    }
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    rows = [{"image": name} for name in files]
    rows.append({"image": "still.png", "more_images": ["m.gif"]})
    rows.append({"image": None})
    kept, events, _ = run(images.STEP, tools, rows, missing="keep")
    assert not events
    kept, events, full = run(static_image.STEP, tools, pa.Table.from_pylist(kept, schema=ROWS))
    assert [row["image"] for row in kept] == ["camera.jpg", "still.gif", "still.png", None]
    assert {event[0] for event in events.values()} == {"drop"}
    assert [event[1] for event in events.values()] == ["animated image"] * 3 + ["several pages"] + [
        "animated image"
    ] * 2
    assert json.loads(full.to_pylist()[0]["detail"]) == {"format": "GIF"}


def test_a_recipe_needs_images_before_static_image():
    source = {"sources": [{"path": "x.csv"}]}
    BuildRecipe.model_validate(source | {"steps": ["images", "static-image"]})
    with pytest.raises((TrifacetError, ValueError), match="put 'images' before it"):
        BuildRecipe.model_validate(source | {"steps": ["static-image"]})
