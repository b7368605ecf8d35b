"""Names of files instead of texts: paths, what cameras, phones, programs and sites call an image by themselves.

Invariant: only a name that is nothing else is found: a number behind "Picture" is one, words behind it make a text.
Every pattern is asked of texts of a bounded length.
"""

from __future__ import annotations

import re

import regex

from trifacet.lint.rule import Case

_LONGEST = 4096  # characters of a path
_LONGEST_GIVEN = 200  # of what a program gives
_ENDING = (
    r"\.(?:jpe?g|jfif|png|apng|gif|webp|svgz?|bmp|tiff?|hei[cf]|avif|jxl|ico|psd|eps|pdf|dng|cr2|nef|mp4|mov|m4v|webm)"
)
_PATH = regex.compile(
    rf"\S++(?<={_ENDING})|(?:\S++ ){{1,4}}+\S++(?<={_ENDING})",  # one word that ends so, or a few: "my cat 2.jpg"
    regex.IGNORECASE,
)
_SCREENSHOT = (
    r"screen[ -]?shot|screen[ -]?recording|screen[ -]?cast|screen[ -]?capture|clean ?shot|snipaste|greenshot|flameshot"
    r"|lightshot|sharex|snagit|scr|bildschirmfoto|capture d['’]écran|captura de (?:pantalla|tela|ecrã)|schermafbeelding"
    r"|schermata|istantanea schermo|skärm(?:avbild|bild)|skjermbilde|skærmbillede|näyttökuva|zrzut ekranu|képernyőkép"
    r"|snímek obrazovky|captură de ecran|ekran (?:görüntüsü|alıntısı|resmi)|ảnh chụp màn hình|снимок экрана"
    r"|знімок екрана|στιγμιότυπο οθόνης|スクリーンショット|截屏|截图|屏幕截图|螢幕截圖|螢幕快照|스크린샷|화면 캡처"
    r"|لقطة شاشة|צילום מסך|ภาพหน้าจอ|स्क्रीनशॉट"
)
_CAMERA = (  # with three digits at least
    r"_?(?:img|dscn?|dscf|dsci|dcim|cimg|kimg|imgp|hpim|pict|pxl|gopr|dji|mvi|mvimg|vid|fb_img|sdc|wp|p(?=\d{5}))"
    r"|signal|received|snapchat"
)
_PROGRAM = (
    r"(?:pasted|inserted|generated|chatgpt|gemini)[ _-]image|image|img|picture|photo|pic|grafik|graphic|bild|immagine"
    r"|imagen?|imagem|afbeelding|obrázek|obraz|billede|bilde|kuva|kép|resim|foto|рисунок|изображение|图片|圖片|图像|画像"
    r"|그림|이미지|صورة|תמונה|untitled(?: design)?|unbenannt|sans titre|senza titolo|sin título|unnamed|unknown"
    r"|downloads?|file|scan|slide|folie|diapositiv[ea]|frame|group|rectangle|ellipse|vector|layer|artboard|asset"
    r"|mask group|component|shape|firefly|midjourney|whatsapp (?:image|video)|photo on|fullsizerender"
)
_GIVEN = regex.compile(
    # Behind the word there is nothing but numbers, a time, and what is put between them.
    rf"(?:(?:{_CAMERA})(?=[\W_]*+(?:\d{{3}}|\d\d\D))|(?:{_SCREENSHOT}|{_PROGRAM})(?=[^\d]{{0,30}}\d))"
    r"(?:[\d\s_.,:;()@×+#-]++|(?:at|on|from|um|om|alle|a las|às|kl|в|[ap]\.?m\.?|x|wa|copy|kopie|copia|copie|edited"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|오전|오후|上午|下午|午前|午後)(?!\p{L}))*+"
    rf"|(?:{_SCREENSHOT}|{_PROGRAM})[ _-]\d{{8}}[-_]\S++"  # a date and what the program adds
    r"|fullsizerender|dall[·-]?e \d{4}-\d\d-\d\d .*"
    r"|(?:shutterstock|i-?stock(?:photo)?|adobestock|depositphotos|gettyimages|dreamstime|pexels(?:-[\w-]+)?)[-_]\d{4,}+\S*+"
    r"|(?=\S*[^\W_]_[^\W_]+_[^\W_])[\w-]++"  # joined by underscores
    r"|0\d{2,}+|\d{5}-\d{8,10}|\d{6,}+[\d_-]*+(?:_[a-z])?"
    r"|(?=[a-f]*+\d)(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    regex.IGNORECASE,
)
_RANDOM = re.compile(r"(?=(?:\D*\d){4})(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9_-]{16,}")
_PART = re.compile(r"[-_]+")
_SIZE = re.compile(r"\d{2,5}x\d{2,5}")
_OF_FILES = re.compile(
    r"image|img|banner|hero|logo|icon|thumb|thumbnail|photo|pic|picture|bg|background|header|slide|screenshot|scaled"
)


def file_name(case: Case) -> str | None:
    """The text where it is a name that a file has."""
    name = case.plain.strip("\"'“”()[]<>")
    if len(name) >= _LONGEST:
        return None
    stem = _address(case.image).rpartition("/")[2].rpartition(".")[0]
    joined = re.search(r"_|-.*-", name)  # one word may be a file's name and a description
    is_stem = joined is not None and name.casefold() == stem.casefold()
    path = name if " " in name else _address(name)
    return name[:80] if is_stem or _PATH.fullmatch(path) or _is_given(name) else None


def _address(text: str) -> str:
    """Without the query."""
    return re.split(r"[?#]", text, maxsplit=1)[0]


def _is_given(name: str) -> bool:
    if len(name) > _LONGEST_GIVEN:
        return False
    return bool(_GIVEN.fullmatch(name) or _RANDOM.fullmatch(name)) or (" " not in name and _is_slug(name.lower()))


def _is_slug(name: str) -> bool:
    """Words joined by hyphens, with a size or number as sites put it: "birdy-480x590-1", "hero-image-2"."""
    parts = _PART.split(name)
    numbers = [part for part in parts if part.isdecimal()]
    if any(_SIZE.fullmatch(part) for part in parts) and len(parts) > 1:
        return True
    if numbers and any(_OF_FILES.fullmatch(part) for part in parts):
        return True
    return 2 < len(parts) > len(numbers) and any(len(number) >= 5 for number in numbers)
