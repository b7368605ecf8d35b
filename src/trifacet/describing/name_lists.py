"""English words by which names are told from other words in descriptions of pictures.

Invariant: all are in small letters; no list decides alone (``names``).
"""

from __future__ import annotations

import regex

NO_WORDS = frozenset(
    regex.findall(
        r"[\w&-]+",
        "maria paris",
    )
)  # WordNet's plural of "mare", a genus: in pictures names
# Words with capitals that name nobody.
NOBODY = frozenset(
    regex.findall(
        r"[\w&-]+",
        "i monday tuesday wednesday thursday friday saturday sunday january february march april may june july "
        "august september october november december christmas halloween easter tv led suv dj atm vr pc dvd cd qr "
        "usb bbq diy ok id ad vs ufo ceo faq pdf url html css api ui am pm hd uv nfl gps",
    )
)
# Common words of pictures that the dictionary lacks, or has as names only.
COMMON = frozenset(
    regex.findall(
        r"[\w&-]+",
        "alt-text artwork barista bicyclist cheeseburger donut doughnut beanie bokeh closeup collage emoji firepit "
        "flatlay frisbee guacamole gif hashtag headshot hoodie infographic kayak laptop latte meme mockup ottoman "
        "pergola photobomb pixelated playlist polaroid pizzas screenshot selfie skateboard skateboarder "
        "skateboarding skatepark skier smartphone snowboard snowboarder snowboarding someone something spaghetti "
        "storefront streetlight sushi taco thumbnail toddler treehouse umpire urinal vs webpage website wetsuit "
        "whiteboard wii wildflower women yoga zucchini onto",
    )
)
# Given names that are words too, and hardly ever stand bare in a description as such.
GIVEN = frozenset(
    regex.findall(
        r"[\w&-]+",
        "amber april bill chase christian daisy dawn dean drew earl faith frank glen grace grant heath holly hope "
        "hunter iris ivy jack jade jasmine joy june lily mark mason may nick olive pat pearl penny ray robin rose "
        "ruby sue victoria violet",
    )
)
# Others that stand bare as words too: names only where they begin a sentence and do something.
RARELY = frozenset(regex.findall(r"\w+", "autumn bob brandy carol chuck crystal ginger heather jordan summer will"))
# What descriptions begin with, bare: "Woman holds a cup". As names they are rare.
SUBJECTS = frozenset(
    regex.findall(
        r"[\w&-]+",
        "airplane animal baby baseball bear bird boat book boy bread bride building bus cake car cat chair chart "
        "child city clock cow couple crowd diagram dog door drawing elephant family food fruit girl giraffe goat "
        "graph group hand horse house kid kitchen kite lady lamb lamp lion logo man map model motorcycle mountain "
        "people person photo photograph pizza plane plant plate player poster rain road room runner screenshot "
        "sheep sign skier snow street sun surfer table team tower train tree truck water wave wine woman worker "
        "writer zebra",
    )
)
COLOURS = frozenset(
    regex.findall(
        r"[\w&-]+",
        "amber black brown gray green grey jade olive pearl red rose ruby violet white yellow",
    )
)
AS_SUBJECT = frozenset(
    regex.findall(
        r"[\w&-]+",
        "is was has who had can will does smiles looks wears says holding wearing smiling",
    )
)
BESIDE = frozenset(
    regex.findall(
        r"[\w&-]+",
        "and & with in at on by near",
    )
)
