"""How many invented names the check of suggestions lets through, and how many right texts it withholds.

    python bench/alt_names.py [--texts FILE]   # FILE: a right text a line, or COCO's captions as JSON

Invented: every name of ``NAMES`` and ``FRESH`` in every sentence of ``SENTENCES``, with a page around that lacks it.
Right: the same sentences with the name told by the page, sentences without any name, and the texts of the file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trifacet.describing.names import Known, invented

NAMES = (
    "Ada Lovelace|Maria|Emma|Noah|Fatima|Wei|Priya|Kwame|Sergio|Zoë|O'Brien|Anna-Lena|Rose|Lily|Grace|Mark|Bill|"
    "Jack|Paris|Lisbon|Brooklyn Bridge|Golden Gate Bridge|Eiffel Tower|Vltava|Kyoto|Ohio|Microsoft|Starbucks|"
    "Nike|iPhone|Lego|Toyota Corolla|Taylor Swift|Einstein|Zorblatt|Bobati|NASA|McDonald's|Big Ben|Mount Fuji|"
    "Dakota|Chelsea|Sydney|Victoria|Hunter|Autumn|Summer|Brandy|Robin|Crystal|Heather|Ginger|Carol|Bob|Frank|"
    "Chuck|Pat|Will|Jordan|Georgia|China|Turkey|Amazon|Apple|Target|Gap|Shell|Tesla|Adobe|Oracle|Windows|"
    "Facebook|YouTube|Central Park|Red Square|Times Square|Black Sea|Old Faithful|Statue of Liberty|White House|"
    "Yusuf|Siobhan|Xi Jinping|Nguyen|Olga|Björk|Coca-Cola|IKEA|eBay|T-Mobile|Hollywood|Wembley|Mona Lisa|"
    "Harry Potter|Batman|Mickey Mouse|Santa Claus|Miles Davis|Stone|Baker|Elena|Hiroshi|Amara|Diego|Ingrid|"
    "Mohammed|Saoirse|Tomasz|Angel|Dolly|Sunny|Sandy|Barry|Drew|Faith|Pierce|Wren|Jasper|Skye|Orchid Hotel|"
    "Prague|Nairobi|Nile|Alps|Rhine|Broadway|Manhattan|Big Sur|Long Island|Salt Lake City|Great Wall|Taj Mahal|"
    "Niagara Falls|Samsung|Pepsi|Ford|Dell|Visa|Delta|Puma|Twitter|Zoom|Subway|Patagonia|Red Bull|Burger King|"
    "Ronaldo|Mozart|Pikachu|Snow White|Spider-Man|Queen Elizabeth|Pope Francis|Boston Red Sox|Manchester United|"
    "Greenpeace|Unicef|Yale|Mars|Venus"
).split("|")
FRESH = (  # that the rules were not made with
    "Clara|Igor|Chloe|Rajesh|Abebe|Sven|Mei Lin|Guadalupe|Cliff|Honey|Buddy|Rusty|Misty|Reed|Clay|Peter Pan|"
    "Basil|Melody|Destiny|Storm|Oslo|Bali|Sahara|Andes|Danube|Wall Street|Brighton|Reading|Bath|Nice|Cork|"
    "Orange County|Bay Area|Angkor Wat|Stonehenge|Sony|Fanta|Jaguar|Lotus|Orange|Chase|Uber|Slack|Signal|Discord|"
    "Pinterest|Chipotle|Sprite|Monster|Messi|Bach|Elsa|Hulk|Flash|Prince William|Dalai Lama|New York Giants|"
    "Arsenal|Oxfam|Harvard|Saturn|Mercury"
).split("|")
SENTENCES = {
    "en": (
        "{} stands beside a red bicycle.",
        "A photograph of {} at sunset.",
        "Two dogs run along the beach near {}.",
        "A woman, {}, holds a birthday cake.",
        "People cross the street. {} is behind them.",
        "A white cup on a table from {}",
        "{}'s blue door with a brass handle",
        "A poster about {} hangs on a brick wall.",
        "A Red Bicycle Beside {} At Night",
        "the man in the green shirt is {}",
    ),
    "fr": ("{} tient un gâteau rouge.", "Une femme devant {} le soir.", "Photo de {} avec deux chiens."),
    "es": ("{} sostiene un pastel.", "Una mujer delante de {} por la noche.", "El perro de {} corre por la playa."),
    "nl": ("{} houdt een taart vast.", "Een vrouw voor {} in de avond."),
    "pl": ("{} trzyma czerwony tort.", "Kobieta stoi przed {} wieczorem."),
    "ru": ("{} держит красный торт.", "Женщина стоит перед {} вечером."),
}
PLAIN = {
    "en": (
        "A red bicycle leans against a white wall.|Two dogs run along the beach at sunset.|"
        "White flowers in a blue vase.|Brown dog with a tennis ball in its mouth.|Green hills under a cloudy sky.|"
        "Rose petals on a wooden table.|A woman in a black dress sings on a stage.|"
        "Bar chart of sales by month; March is the highest.|"
        "Screenshot of a settings page with three switches.|Four purple stars on the beach.|A bowl of soup with basil.|"
        "Close-up of a bee on a sunflower.|Children play football in the snow on a Sunday.|A sign in front of a hotel.|"
        "Map of bus routes through the old town.|Hand-drawn hearts and arrows on a whiteboard.|"
        "Empty glass next to a lamp.|An elderly man reads a newspaper on a park bench.|"
        "Christmas tree with silver balls.|Home|Go to the start page"
    ).split("|"),
    "fr": ("Une femme en robe rouge devant une maison.", "Deux chiens courent sur la plage.", "Le gâteau est rouge."),
    "es": ("Una mujer con un vestido rojo.", "Dos perros corren por la playa.", "El pastel está en la mesa."),
}  # fmt: skip
PAGE = "Our autumn fair. What there was to see, eat and hear on the second weekend."


def report(texts: list[str]) -> None:
    """Print both shares."""
    for what, names in (("the rules were made with", NAMES), ("they were not", FRESH)):
        texts_of = [
            (one.format(name), language) for language, group in SENTENCES.items() for name in names for one in group
        ]
        let = [text for text, language in texts_of if not invented(text, Known([PAGE]), language)]
        print(f"invented names, those that {what}: {len(texts_of)} texts, {len(let)} let through")
        print("\n".join(f"  {text}" for text in let[:40]))
    withheld, told = [], 0
    for language, sentences in SENTENCES.items():
        for name in NAMES:
            for sentence in sentences:
                told += 1
                text = sentence.format(name)
                if found := invented(text, Known([PAGE, f"With {name} in it"]), language):
                    withheld.append(f"{text} ({', '.join(found)})")
    print(f"names that the page has: {told} texts, {len(withheld)} withheld")
    print("\n".join(f"  {text}" for text in withheld[:20]))
    plain = [(text, language) for language, group in PLAIN.items() for text in group]
    for what, group in (("without names", plain), ("of the file", [(text, "") for text in texts])):
        words, many = Counter[str](), 0
        for text, language in group:
            found = invented(text, Known([PAGE]), language)
            many += bool(found)
            words.update(found)
        if group:
            print(f"{what}: {len(group)} texts, {many} withheld ({100 * many / len(group):.1f} %)")
            print("  " + ", ".join(f"{word} {count}" for word, count in words.most_common(60)))


def read(path: Path) -> list[str]:
    """The texts of a file."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if path.suffix not in (".json", ".gz"):
        return [line for line in data.decode("utf-8").splitlines() if line.strip()]
    found: list[str] = []

    def visit(value: object) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                if key in ("caption", "refs") and isinstance(one, str):
                    found.append(one)
                else:
                    visit(one)
        elif isinstance(value, list):
            for one in value:
                found.append(one) if isinstance(one, str) and one.count(" ") > 3 else visit(one)

    visit(json.loads(data))
    return found


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--texts", type=Path, help="right texts")
    given = options.parse_args()
    report(read(given.texts) if given.texts else [])
