"""Documents that are damaged in any way are read, or are one line; an edit of one is what it says, or is refused."""

import io
import random
import zipfile

import packed_documents as made
import pytest

from trifacet.base.errors import DataError
from trifacet.describing.formats import bluesky, epub, feed, mastodon, pictures, slides, table, word, wordpress
from trifacet.describing.place import Edit

COVER = f'<!-- wp:cover {{"alt":"x"}} --><div>{made.img("")}</div><!-- /wp:cover -->'
DOCUMENTS = {
    "a.docx": (word, made.word(made.paragraph("Zahlen", "berschrift1"), made.paragraph(made.drawing(1, "A dog")),
                               made.paragraph(made.drawing(2, None, decorative=True, link="x")), level=0)),
    "a.pptx": (slides, made.slides(made.slide_picture(1, "A dog"), made.slide_picture(2, None, decorative=True))),
    "a.epub": (epub, made.epub(made.page(made.img("A dog"), made.img(None)), level=0)),
    "a.xml": (feed, made.rss("A dog", "x", media="<media:description>m</media:description>")),
    "b.xml": (feed, made.rss("A dog", "x", write=made.escaped)),
    "w.xml": (wordpress, made.wxr(made.wp_item(1, "post", content=COVER + made.wp_image("A dog")),
                                  made.wp_item(2, "attachment", url="u.png", alt="A hen"))),
    "outbox.json": (mastodon, made.outbox("A dog", None)),
    "b.jsonl": (bluesky, made.bluesky("A dog", "x", way="lines")),
    "a.csv": (table, made.table(("a.png", "A dog", 'b "q"'), ("b.png", "", "x,y"))),
    "a.jsonl": (table, b'{"image": "a", "alt": "A dog"}\n{"image": "b"}\n'),
    "a.png.alt.txt": (pictures, b"A dog\n"),
}  # fmt: skip


def damaged(data, draw):
    """A copy with some bytes changed, left out, doubled, or put elsewhere."""
    made = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at, length = draw.randrange(len(made) + 1), draw.choice([1, 1, 2, 8, 60])
        piece = bytes(made[at : at + length])
        match draw.randrange(6):
            case 0 if at < len(made):
                made[at] ^= 1 << draw.randrange(8)
            case 1:
                del made[at : at + length]
            case 2:
                made[at:at] = piece
            case 3:
                made[at : at + length] = draw.choice(
                    [b"<", b">", b'"', b"&", b"]]>", b"\0", b"\xff\xfe", b"<!--", b"{", b"]"]
                )
            case 4:
                other = draw.randrange(len(made) + 1)
                made[other:other] = piece
            case 5:
                del made[at:]
    return bytes(made)


def damaged_within(data, draw):
    """An archive with a damaged member, or that is damaged itself."""
    if not data.startswith(b"PK") or draw.random() < 0.3:
        return damaged(data, draw)
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = draw.choice([name for name in members if name.endswith(("ml", "rels", "opf"))])
    return made.zipped(members | {name: damaged(members[name], draw)})


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("many", [60, pytest.param(3000, marks=pytest.mark.endurance)])
def test_damaged_documents_are_read_or_are_one_line(name, many):
    module, whole = DOCUMENTS[name]
    draw, read = random.Random(f"{name}{many}"), 0
    for _ in range(many):
        data = damaged_within(whole, draw)
        try:
            places = list(module.FORMAT.places(data, name))
            read += bool(places)
            free = [place for place in places if not place.fixed]
            edits = {place.key: Edit(f"text {number}") for number, place in enumerate(free)}
            after = module.FORMAT.edited(data, name, edits)
            told = [place.alt for place in module.FORMAT.places(after, name)]
            assert told == [edits[place.key].alt if place.key in edits else place.alt for place in places]
        except DataError as error:
            assert len(str(error).splitlines()) == 1
    assert read > many // 20
