"""Languages that are written with letters other than Latin, Chinese and Japanese ones, by Tesseract's codes.

Vietnamese is among them: of its 134 letters with marks PP-OCRv6 knows but those that other languages have too.
"""

import re

OTHER_LETTERS = frozenset(
    re.findall(
        r"\S+",
        "rus ukr bel bul mkd srp kaz kir mon tgk uzb_cyrl aze_cyrl ell grc heb yid ara fas urd pus snd uig kur_ara syr "
        "div hin mar nep san ben asm guj pan ori tam tel kan mal sin tha lao khm mya bod dzo kat hye amh tir kor "
        "kor_vert chr vie script/Cyrillic script/Greek script/Hebrew script/Arabic script/Devanagari script/Bengali "
        "script/Gujarati script/Gurmukhi script/Kannada script/Malayalam script/Tamil script/Telugu script/Sinhala "
        "script/Thai script/Lao script/Khmer script/Myanmar script/Tibetan script/Georgian script/Armenian "
        "script/Ethiopic script/Hangul script/Hangul_vert script/Cherokee script/Syriac script/Thaana "
        "script/Vietnamese",
    )
)
