"""Which scripts the default engine reads, and how often it passes nonsense off as words: ``python bench/lettering_scripts.py``.

Lines of signs in DejaVu Sans (and in other fonts, for scripts that it lacks: ``--font tha=Garuda.ttf``), each at
several sizes, plain and on a noisy ground. Of scripts that the engine knows, a line that is not given is a false alarm;
of others, any text is nonsense. With ``--pictures FOLDER`` it also prints, for each picture, the lines that were judged
unreadable although recognised with a confidence of .5 or more, to be looked at.
The sentences are others than those by which the test's constants were chosen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trifacet.lettering.engines.rapid import Rapid
from trifacet.lettering.files import picture_files
from trifacet.lettering.settings import Reading

DEJAVU = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
SIZES = (12, 20, 34)
KNOWN = {
    "eng": ("Please take a number", "Sold out until Monday", "HARVEST FESTIVAL", "Two for 7.50", "Wet paint", "Lost dog: call 555 0142"),
    "deu": ("Heute Ruhetag", "Frühstück ab 7:30 Uhr", "ACHTUNG STUFE", "Bücher für Kinder", "Süßes Gebäck", "Bürgersteig räumen"),
    "fra": ("Soldes d'été", "Fermé le lundi", "SORTIE DE SECOURS", "Crêpes et galettes", "À louer", "Théâtre du Châtelet"),
    "spa": ("Prohibido fumar", "Mañana hay fiesta", "¡BIENVENIDOS!", "Niños gratis", "Café con leche 1,80 €", "Avenida de España"),
    "pol": ("Wyjście awaryjne", "Śniadania od siódmej", "APTEKA", "Żurek domowy 12 zł", "Nie dotykać", "Ulica Długa"),
    "tur": ("Çıkış", "Sıcak çay 10 TL", "DİKKAT KAYGAN", "Öğrenci girişi", "Satılık ev", "Kapalıçarşı"),
}  # fmt: skip
CHINESE = ("请勿吸烟", "今日特价", "欢迎光临", "前方施工", "儿童公园", "洗手间在左边")
OTHER = {
    "rus": ("Не курить", "Распродажа до понедельника", "ВЫХОД", "Детский парк", "Горячий чай 80 руб", "Улица Пушкина"),
    "bul": ("Пушенето забранено", "Изход", "Прясно мляко", "ВНИМАНИЕ СТЪЛБА", "Детска площадка", "Улица Шипка"),
    "ell": ("Απαγορεύεται το κάπνισμα", "Έξοδος κινδύνου", "ΦΑΡΜΑΚΕΙΟ", "Ζεστός καφές 2,50", "Παιδική χαρά", "Οδός Ερμού"),
    "heb": ("אסור לעשן", "יציאת חירום", "קפה חם", "גן ילדים", "מכירה עד יום שני", "רחוב הרצל"),
    "ara": ("ممنوع التدخين", "مخرج الطوارئ", "قهوة ساخنة", "حديقة الأطفال", "تخفيضات كبيرة", "شارع النيل"),
    "hye": ("Չծխել", "Ելք", "Տաք սուրճ", "Մանկական այգի", "ԴԵՂԱՏՈՒՆ", "Աբովյան փողոց"),
    "kat": ("ნუ მოსწევთ", "გასასვლელი", "ცხელი ყავა", "საბავშვო ბაღი", "აფთიაქი", "რუსთაველის გამზირი"),
    "tha": ("ห้ามสูบบุหรี่", "ทางออกฉุกเฉิน", "กาแฟร้อน", "สนามเด็กเล่น", "ลดราคา", "ถนนสุขุมวิท"),
    "hin": ("धूम्रपान निषेध", "आपातकालीन निकास", "गरम चाय", "बच्चों का पार्क", "भारी छूट", "गांधी मार्ग"),
}  # fmt: skip


def page(lines: tuple[str, ...], font: str, size: int, *, noisy: bool) -> tuple[Image.Image, list[float]]:
    """The lines one below the other, and the height of each one's middle."""
    letters = ImageFont.truetype(font, size)
    step = int(size * 2.4)
    width, height = max(int(letters.getlength(line)) for line in lines) + 60, step * len(lines) + 30
    draw = np.random.default_rng(size)
    ground = Image.new("RGB", (width, height), "white")
    if noisy:
        coarse = Image.fromarray(draw.integers(110, 255, (6, 6, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float)
        ground = Image.fromarray(np.clip(smooth + draw.normal(0, 10, smooth.shape), 0, 255).astype(np.uint8))
    pen, middles = ImageDraw.Draw(ground), []
    for number, line in enumerate(lines):
        pen.text((30, 15 + step * number), line, font=letters, fill=(25, 20, 60))
        _, upper, _, lower = pen.textbbox((30, 15 + step * number), line, font=letters)
        middles.append((upper + lower) / 2)
    return ground, middles


def outcomes(engine: Rapid, lines: tuple[str, ...], font: str) -> Iterator[tuple[str, str, int, bool]]:
    """Each line, what was read there, at what size, on what ground."""
    for size in SIZES:
        for noisy in (False, True):
            picture, middles = page(lines, font, size, noisy=noisy)
            found = engine.read(picture)
            for line, middle in zip(lines, middles, strict=True):
                here = [one.text for one in found.lines if one.box[1] <= middle <= one.box[3]]
                yield line, " ".join(here), size, noisy


def report(engine: Rapid, fonts: dict[str, str]) -> None:
    """A row for each language."""
    known = KNOWN | ({"chi_sim": CHINESE} if "chi_sim" in fonts else {})
    print("| letters | lines | read | word for word |\n|---|---|---|---|")
    for language, lines in known.items():
        found = list(outcomes(engine, lines, fonts.get(language, DEJAVU)))
        given, right = sum(bool(text) for _, text, _, _ in found), sum(line == text for line, text, _, _ in found)
        print(f"| {language} | {len(found)} | {given} | {right} |", flush=True)
    print("\n| letters | lines | given as words | such as |\n|---|---|---|---|")
    for language, lines in OTHER.items():
        if language in ("tha", "hin") and language not in fonts:
            continue
        found = list(outcomes(engine, lines, fonts.get(language, DEJAVU)))
        nonsense = [text for _, text, _, _ in found if text]
        print(f"| {language} | {len(found)} | {len(nonsense)} | {', '.join(nonsense[:3])} |", flush=True)


def refused(settings: Reading, folder: Path) -> None:
    """The recognised lines of pictures that are judged unreadable, and each picture's status."""
    engine = Rapid(settings)
    given: list[tuple[str, float, tuple[float, ...]]] = []
    recognised = engine._recognised

    def noting(shown):
        for one in recognised(shown):
            given.append((one.candidate.text, one.candidate.confidence, shown.quad(one.quad)[0]))
            yield one

    engine._recognised = noting  # type: ignore[method-assign]
    read = all_lines = 0
    for path in picture_files([folder]):
        given.clear()
        with Image.open(path) as picture:
            found = engine.read(picture.convert("RGB"))
        kept = {line.quad[0] for line in found.lines if line.quad}
        lost = [(text, round(sure, 2)) for text, sure, at in given if at not in kept and sure >= 0.5 and text.strip()]
        read, all_lines = read + len(found.lines), all_lines + len(found.lines) + len(lost)
        print(
            path.name[-14:],
            found.status,
            f"{len(found.lines)} lines, {len(found.unreadable)} unreadable",
            lost,
            flush=True,
        )
    print(f"{all_lines - read} of {all_lines} recognised lines refused")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--font", action="append", default=[], metavar="LANGUAGE=FILE")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if given.pictures:
        refused(Reading(), given.pictures)
    else:
        report(Rapid(Reading()), dict(one.split("=", 1) for one in given.font))


if __name__ == "__main__":
    main()
