"""Small documents of every packed kind, as the programs write them, for the tests of this folder."""

import io
import json
import zipfile

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000 1f15c4890000000a49444154789c6360000002000154a24f5d"
    "0000000049454e44ae426082".replace(" ", "")
)
WP = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
PIC = "http://schemas.openxmlformats.org/drawingml/2006/picture"
DC = "http://purl.org/dc/elements/1.1/"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
DECORATIVE = (
    '<a:extLst><a:ext uri="{C183D7F6-B498-43B3-948B-1728B52AA6E4}"><adec:decorative '
    'xmlns:adec="http://schemas.microsoft.com/office/drawing/2017/decorative" val="1"/></a:ext></a:extLst>'
)
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'


def zipped(members, level=6, stored=()):
    """A zip archive with fixed time stamps; ``members`` are names to texts or bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6))
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=level)
    return file.getvalue()


def relations(*rows):
    outside = ' TargetMode="External"'
    inner = "".join(
        f'<Relationship Id="{name}" Type="{R}/{kind}" Target="{target}"{outside * ("://" in target)}/>'
        for name, kind, target in rows
    )
    return f'{HEAD}<Relationships xmlns="{RELS}">{inner}</Relationships>'


def _attribute(name, value):
    if value is None:
        return ""
    for char, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\n", "&#10;")):
        value = value.replace(char, escape)
    return f' {name}="{value}"'


def drawing(number, alt, *, decorative=False, link="", embed="rPic"):
    """A picture of Word's. ``alt`` None: without a description."""
    inside = ('<a:hlinkClick r:id="rLink"/>' if link else "") + (DECORATIVE if decorative else "")
    start = f'<wp:docPr id="{number}" name="Picture {number}"{_attribute("descr", alt)}'
    named = f"{start}>{inside}</wp:docPr>" if inside else f"{start}/>"
    names = '<pic:nvPicPr><pic:cNvPr id="0" name="x"/></pic:nvPicPr>'
    blip = f'<pic:pic>{names}<pic:blipFill><a:blip r:embed="{embed}"/></pic:blipFill></pic:pic>'
    graphic = f"<a:graphic><a:graphicData>{blip}</a:graphicData></a:graphic>"
    return f"<w:r><w:drawing><wp:inline>{named}{graphic}</wp:inline></w:drawing></w:r>"


def paragraph(inner, style=""):
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    runs = inner if inner.startswith("<") else f"<w:r><w:t>{inner}</w:t></w:r>"
    return f"<w:p>{properties}{runs}</w:p>"


def word(*paragraphs, level=6, extra=None):
    body = "".join(paragraphs)
    styles = (
        f'<w:styles xmlns:w="{W}"><w:docDefaults><w:rPr><w:lang w:val="de-DE"/></w:rPr></w:docDefaults>'
        '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="Beschriftung"><w:name w:val="caption"/></w:style></w:styles>'
    )
    document = (
        f'{HEAD}<w:document xmlns:w="{W}" xmlns:wp="{WP}" xmlns:a="{A}" xmlns:r="{R}" xmlns:pic="{PIC}" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:v="urn:schemas-microsoft-com:vml">'
        f"<w:body>{body}</w:body></w:document>"
    )
    members = {
        "[Content_Types].xml": HEAD + "<Types/>",
        "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
        "word/document.xml": document,
        "word/_rels/document.xml.rels": relations(
            ("rPic", "image", "media/image1.png"), ("rStyles", "styles", "styles.xml"),
            ("rLink", "hyperlink", "https://example.org/more"),
        ),
        "word/styles.xml": styles,
        "docProps/core.xml": f'<c:core xmlns:c="x" xmlns:dc="{DC}"><dc:title>Bericht</dc:title></c:core>',
        "word/media/image1.png": PIXEL,
    }  # fmt: skip
    return zipped(members | (extra or {}), level)


def slide_picture(number, alt, *, decorative=False):
    start = f'<p:cNvPr id="{number}" name="P{number}"{_attribute("descr", alt)}'
    named = f"{start}>{DECORATIVE}</p:cNvPr>" if decorative else f"{start} />"
    return (
        f"<p:pic><p:nvPicPr>{named}<p:cNvPicPr/><p:nvPr/></p:nvPicPr>"
        '<p:blipFill><a:blip r:embed="rPic"/></p:blipFill></p:pic>'
    )


def slides(*pictures, title="Quarter", words="We grew."):
    slide = (
        f'{HEAD}<p:sld xmlns:p="{P}" xmlns:a="{A}" xmlns:r="{R}"><p:cSld><p:spTree>'
        '<p:sp><p:nvSpPr><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr>'
        f'<p:txBody><a:p><a:r><a:rPr lang="en-GB"/><a:t>{title}</a:t></a:r></a:p></p:txBody></p:sp>'
        f"<p:sp><p:txBody><a:p><a:r><a:t>{words}</a:t></a:r></a:p></p:txBody></p:sp>"
        f"{''.join(pictures)}</p:spTree></p:cSld></p:sld>"
    )
    ids = '<p:sldIdLst><p:sldId id="256" r:id="s1"/></p:sldIdLst>'
    main = f'<p:presentation xmlns:p="{P}" xmlns:r="{R}">{ids}</p:presentation>'
    return zipped(
        {
            "_rels/.rels": relations(("r1", "officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": main,
            "ppt/_rels/presentation.xml.rels": relations(("s1", "slide", "slides/slide1.xml")),
            "ppt/slides/slide1.xml": slide,
            "ppt/slides/_rels/slide1.xml.rels": relations(("rPic", "image", "../media/image1.png")),
            "ppt/media/image1.png": PIXEL,
        }
    )


def outbox(*attachments, content="<p>At the sé.<br>With <b>Ada</b></p>"):
    """A Mastodon export with a post of these attachments' names."""
    items = [
        {"type": "Document", "mediaType": "image/jpeg", "url": f"/media/{number}.jpg", "name": name, "blurhash": "U/x"}
        for number, name in enumerate(attachments)
    ]
    note = {"type": "Note", "summary": None, "content": content, "contentMap": {"en": content}, "attachment": items}
    whole = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": "outbox.json",
        "type": "OrderedCollection",
        "orderedItems": [{"type": "Create", "object": note}, {"type": "Announce", "object": "https://example.org/1"}],
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def table(*rows, delimiter=",", quoted=False, ending="\r\n"):
    """A CSV file with these (image, alt, note) rows."""

    def cell(text):
        needed = quoted or any(char in text for char in f'{delimiter}"\r\n')
        return '"' + text.replace('"', '""') + '"' if needed else text

    lines = [("image", "alt", "note"), *rows]
    return "".join(delimiter.join(map(cell, line)) + ending for line in lines).encode()


def page(*pictures, title="Chapter", doctype='<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "x.dtd">\n'):
    """A page of a book; ``pictures`` are what stands in its paragraphs."""
    body = "\n".join(f"<p>Before&nbsp;it {one} after it.</p>" for one in pictures)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr">\n'
        f"<head><title>{title}</title></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )


def epub(*pages, level=6, extra=None, spine=None, version="3.0"):
    """A book; the first page is read last."""
    names = [f"text/p{number}.xhtml" for number in range(len(pages))]
    order = range(len(pages)) if spine is None else spine
    items = "".join(
        f'<item id="i{number}" href="{name}" media-type="application/xhtml+xml"/>' for number, name in enumerate(names)
    )
    refs = "".join(f'<itemref idref="i{number}"/>' for number in order)
    package = (
        f'<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="{version}">'
        f'<metadata xmlns:dc="{DC}">'
        f"<dc:title>A book</dc:title><dc:language>fr</dc:language></metadata>"
        f'<manifest>{items}<item id="img" href="img/a.png" media-type="image/png"/></manifest>'
        f"<spine>{refs}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    members = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OPS/book.opf": package}
    members |= {f"OPS/{name}": text for name, text in zip(names, pages, strict=True)}
    members |= {"OPS/img/a.png": PIXEL}
    return zipped(members | (extra or {}), level, stored=("mimetype", "OPS/img/a.png"))


def img(alt, src="../img/a.png", end=" /"):
    return f'<img{_attribute("alt", alt)} src="{src}"{end}>'


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cdata(text):
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def rss(*alts, write=cdata, media=None, ending="\n", encoding="UTF-8"):
    """A feed with an entry for each alt-text."""
    items = "".join(_item(number, alt, write) for number, alt in enumerate(alts))
    about = "" if media is None else f"<media:content url='m.jpg' medium='image'>{media}</media:content>\n"
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/">\n<channel><title>Blog</title><language>de</language>\n'
        f"{items}{about}</channel>\n</rss>\n"
    )
    return text.replace("\n", ending).encode(encoding, "xmlcharrefreplace")


def _item(number, alt, write):
    html = f"<p>Intro {img(alt, f'{number}.png', '')} &amp; end</p>"
    enclosure = "<enclosure url='e.png' type='image/png' length='1'/>"
    return f"<item>\n<title>Entry {number}</title>\n<description>{write(html)}</description>\n{enclosure}\n</item>\n"


def wxr(*items):
    """An export of WordPress's."""
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<!-- This is a WordPress eXtended RSS file -->\n'
        '<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="http://wordpress.org/export/1.2/">\n'
        "<channel>\n\t<title>Site</title>\n\t<language>en-GB</language>\n\t<wp:wxr_version>1.2</wp:wxr_version>\n"
        f"{''.join(items)}</channel>\n</rss>\n"
    ).encode()


def wp_item(number, kind, *, content="", title="A post", parent=0, url="", alt=None):
    fields = {"post_id": number, "post_parent": parent, "post_type": cdata(kind)}
    fields |= {"attachment_url": cdata(url)} if url else {}
    told = "".join(f"\t\t<wp:{name}>{value}</wp:{name}>\n" for name, value in fields.items())
    metas = [("_wp_attached_file", "2026/01/a.jpg")] + ([] if alt is None else [("_wp_attachment_image_alt", alt)])
    told += "".join(
        f"\t\t<wp:postmeta>\n\t\t<wp:meta_key>{cdata(key)}</wp:meta_key>\n"
        f"\t\t<wp:meta_value>{cdata(value)}</wp:meta_value>\n\t\t</wp:postmeta>\n"
        for key, value in metas
    )
    return (
        f"\t<item>\n\t\t<title>{cdata(title)}</title>\n\t\t<content:encoded>{cdata(content)}</content:encoded>\n"
        f"\t\t<excerpt:encoded>{cdata('')}</excerpt:encoded>\n{told}\t</item>\n"
    )


def wp_image(alt, number=5, settings=""):
    return (
        f'<!-- wp:image {{"id":{number}{settings}}} -->\n<figure class="wp-block-image">'
        f"{img(alt, f'https://example.org/{number}.jpg', '/')}</figure>\n<!-- /wp:image -->"
    )


def bluesky(*alts, text="At the sé", way="records"):
    images = [
        {"alt": alt, "image": {"$type": "blob", "ref": {"$link": f"bafk{number}"}, "mimeType": "image/jpeg"}}
        for number, alt in enumerate(alts)
    ]
    post = {
        "$type": "app.bsky.feed.post", "text": text, "langs": ["en"],
        "embed": {"$type": "app.bsky.embed.images", "images": images},
    }  # fmt: skip
    if way == "records":
        return json.dumps({"records": [{"uri": "at://x/1", "value": post}], "cursor": "c"}, ensure_ascii=False).encode()
    post["embed"] = {"$type": "app.bsky.embed.recordWithMedia", "media": post["embed"], "record": {}}
    lines = [json.dumps({"$type": "app.bsky.feed.like"}), json.dumps(post, separators=(",", ":"), ensure_ascii=False)]
    return "".join(line + "\n" for line in lines).encode()
