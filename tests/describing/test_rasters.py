"""The pictures of places: every kind of source, and what can't be read in one line."""

import base64
import gzip
import io
import zipfile
from urllib.parse import quote

import pytest
from PIL import Image, features

from trifacet.base.errors import DataError
from trifacet.base.images import load_image
from trifacet.building.settings import Network
from trifacet.describing.place import Picture
from trifacet.describing.rasters import Rasters, _svg_text

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><rect width="20" height="10" fill="#00f"/></svg>'


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    Image.new("RGB", (20, 10), "red").save(root / "a.png")
    return root


def shown(root, picture, document="index.html", **options):
    rasters = Rasters(root, **options)
    return load_image(root, rasters.name(rasters.seen(picture, root / document)))


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_file_is_shown_as_it_is_and_another_with_the_same_bytes_under_one_name(site):
    (site / "b").mkdir()
    (site / "b" / "copy.png").write_bytes((site / "a.png").read_bytes())
    rasters = Rasters(site)
    seen = [rasters.seen(Picture("file", name, name), site / "i.html") for name in ("a.png", "b/copy.png")]
    assert [rasters.name(one) for one in seen] == ["a.png", "a.png"] and seen[0].digest == seen[1].digest


def test_data_urls_members_of_archives_and_first_frames(site):
    data = Picture("data", f"data:image/png;base64,{base64.b64encode(png()).decode()}")
    assert shown(site, data).getpixel((3, 3)) == (255, 0, 0)
    with zipfile.ZipFile(site / "book.epub", "w") as book:
        book.writestr("OEBPS/a.png", png())
    assert shown(site, Picture("file", "a.png", "OEBPS/a.png"), "book.epub").size == (20, 10)
    with pytest.raises(DataError, match=r"OEBPS/b\.png.*not in the archive"):
        shown(site, Picture("file", "b.png", "OEBPS/b.png"), "book.epub")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(site / "moves.gif", save_all=True, append_images=frames[1:])
    assert shown(site, Picture("file", "moves.gif", "moves.gif")).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif(site):
    Image.new("RGB", (20, 10), "red").save(site / "a.avif")
    assert shown(site, Picture("file", "a.avif", "a.avif")).size == (20, 10)
    (site / "torn.avif").write_bytes((site / "a.avif").read_bytes()[:150])
    with pytest.raises(DataError, match=r"torn\.avif.*AVIF"):
        shown(site, Picture("file", "torn.avif", "torn.avif"))


def test_heic(site):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 32), "red")).save(site / "a.heic")
    assert shown(site, Picture("file", "a.heic", "a.heic")).size == (64, 32)


def test_drawings_inline_packed_and_in_addresses(site):
    pytest.importorskip("resvg_py")
    (site / "a.svg").write_text(SVG)
    (site / "a.svgz").write_bytes(gzip.compress(SVG.encode()))
    (site / "wide.svg").write_bytes(SVG.encode("utf-16"))
    for picture in (
        Picture("svg", SVG),
        Picture("data", f"data:image/svg+xml,{quote(SVG)}"),
        *(Picture("file", name, name) for name in ("a.svg", "a.svgz", "wide.svg")),
    ):
        image = shown(site, picture)
        assert image.size == (1024, 512) and image.getpixel((5, 5)) == (0, 0, 255)


def test_a_drawing_that_is_a_page_of_a_book(site):
    pytest.importorskip("resvg_py")
    with zipfile.ZipFile(site / "book.epub", "w") as book:
        book.writestr("OEBPS/cover.svg", SVG)
    assert shown(site, Picture("svg", "OEBPS/cover.svg", "OEBPS/cover.svg"), "book.epub").size == (1024, 512)


def test_a_drawing_loads_nothing_but_itself(site):
    resvg = pytest.importorskip("resvg_py")
    inside = SVG.replace('<rect width="20" height="10" fill="#00f"/>', f'<image href="{site}/a.png" width="20"/>')
    assert shown(site, Picture("svg", inside)).getpixel((5, 5)) == (255, 255, 255)
    loaded = Image.open(io.BytesIO(bytes(resvg.svg_to_bytes(svg_string=inside, background="#ffffff"))))
    assert loaded.convert("RGB").getpixel((5, 5)) == (255, 0, 0)  # without what we take out it would be


@pytest.mark.parametrize(
    "text",
    [
        '<image href="/etc/passwd"/>', "<image xlink:href = 'http://x/y.png'/>", '<use href="other.svg#a"/>',
        '<image HREF="&#47;etc/passwd"/>', '<feImage href="//x/y"/>',
    ],
)  # fmt: skip
def test_what_leads_out_of_a_drawing_is_taken_out(text):
    assert 'href=""' in _svg_text(f"<svg>{text}</svg>".encode()).replace(" ", "").lower()
    kept = '<svg><use href="#a"/><image href="data:image/png;base64,AAAA"/></svg>'
    assert _svg_text(kept.encode()) == kept


@pytest.mark.parametrize("bomb", ["uses", "tall", "deep"])
def test_a_drawing_that_would_take_the_machine_down_is_a_line(site, bomb):
    pytest.importorskip("resvg_py")
    ten = ["".join(f'<use href="#l{n - 1}"/>' for _ in range(10)) for n in range(1, 10)]
    levels = "".join(f'<g id="l{n}">{uses}</g>' for n, uses in enumerate(ten, start=1))
    start = '<svg xmlns="http://www.w3.org/2000/svg" '
    text = {
        "uses": f'{start}viewBox="0 0 9 9"><defs><rect id="l0" width="1" height="1"/>{levels}</defs></svg>',
        "tall": f'{start}width="1" height="1000000"><rect width="1" height="1000000"/></svg>',
        "deep": f'{start}viewBox="0 0 9 9">{"<g>" * 200_000}{"</g>" * 200_000}</svg>',
    }[bomb].replace("</defs>", '</defs><use href="#l9"/>')
    with pytest.raises(DataError, match="inline SVG"):
        shown(site, Picture("svg", text))


def test_entities_are_refused():
    with pytest.raises(DataError, match="entities"):
        _svg_text(b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>')


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (Picture("file", "../out.png", "../out.png"), r"out\.png.*outside"),
        (Picture("file", "none.png", "none.png"), r"none\.png"),
        (Picture("file", "/x/none.png"), r"none\.png.*--root"),
        (Picture("remote", "https://example.org/a.png"), r"example\.org.*--remote"),
        (Picture("data", "data:image/png;base64,"), "holds nothing"),
        (Picture("none", ""), "no file"),
        (Picture("file", "x", "text.png"), r"text\.png.*known format"),
        (Picture("file", "x", "torn.png"), r"torn\.png.*damaged"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_picture_and_the_cause(site, picture, told):
    (site / "text.png").write_text("hello")
    (site / "torn.png").write_bytes(png()[:50])
    with pytest.raises(DataError, match=told) as error:
        shown(site, picture)
    assert "\n" not in str(error.value)


def test_a_link_out_of_the_root_is_not_followed(site, tmp_path):
    (tmp_path / "secret.png").write_bytes(png())
    (site / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="outside"):
        shown(site, Picture("file", "link.png", "link.png"))


def test_a_remote_picture_is_fetched_by_the_downloads_rules(site):
    with pytest.raises(DataError, match="address not allowed"):
        shown(site, Picture("remote", "http://127.0.0.1:9/a.png"), network=Network(tries=1))
