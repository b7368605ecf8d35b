"""What words are exchanged for: those of a group stand for each other, and plain words by their part of speech.

Invariant: the words of a group are of one kind and form, in lower case, and each of them is clearly another word than
most others of its group. English; days and months in German, French and Spanish too.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

GroupKind = Literal["number", "day", "month", "name", "origin"]


class Group(NamedTuple):
    """Words that stand for each other; ``plural`` is what may be put behind each of them."""

    kind: GroupKind
    words: tuple[str, ...]
    plural: str = ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _group(kind: GroupKind, words: str, plural: str = "") -> Group:
    return Group(kind, _words(words), plural)


GROUPS = (
    _group("day", "monday tuesday wednesday thursday friday saturday sunday", "s"),
    _group("day", "mon tue wed thu fri sat sun"),
    _group("day", "montag dienstag mittwoch donnerstag freitag samstag sonntag", "s"),
    _group("day", "lundi mardi mercredi jeudi vendredi samedi dimanche", "s"),
    _group("day", "lunes martes miércoles jueves viernes"),
    _group("day", "sábado domingo", "s"),
    _group(
        "month",
        "january february march april may june july august september october november december",
    ),
    _group("month", "jan feb mar apr jun jul aug sep oct nov dec"),
    _group(
        "month",
        "januar februar märz april mai juni juli august september oktober november dezember",
    ),
    _group("month", "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    _group("month", "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
    _group("number", "two three four five six seven eight nine ten eleven twelve"),
    _group("number", "twenty thirty forty fifty sixty seventy eighty ninety"),
    _group("number", "third fourth fifth sixth seventh eighth ninth tenth"),
    _group(
        "name",
        "anna alice clara diana ellen emily grace hannah helen irene jane julia karen laura linda lucy maria martha "
        "mary nancy olivia paula rachel ruth sarah sophie susan teresa vera barbara catherine charlotte elizabeth "
        "emma eva ida isabella jessica margaret rebecca victoria",
    ),
    _group(
        "name",
        "adam albert alan andrew arthur brian charles christopher daniel david edward ernest frank frederick george "
        "gregory harold henry hugo ian jack jacob james john joseph kevin leon louis martin matthew michael nathan "
        "oliver oscar patrick paul peter philip ralph richard robert samuel simon stephen theodore thomas victor "
        "vincent walter william",
    ),
    _group(
        "name",
        "anderson baker bennett brown campbell carter clark coleman cooper davis edwards evans fletcher foster garcia "
        "gibson hamilton harrison hemingway henderson hughes jackson jenkins johnson kennedy lawson lewis marshall "
        "miller mitchell morgan murphy nelson parker peterson phillips reynolds richardson robinson rogers russell "
        "sanders shaw smith stewart sullivan taylor thompson turner walker watson williams wilson",
    ),
    _group(
        "name",
        "amsterdam athens atlanta bangalore barcelona bengaluru berlin boston brisbane brussels budapest cairo chicago "
        "copenhagen dallas delhi denver detroit dublin edinburgh florence geneva glasgow hamburg helsinki houston "
        "istanbul jakarta kyoto lima lisbon liverpool london madrid manchester manila melbourne miami milan montreal "
        "moscow mumbai munich nairobi naples nashville orlando osaka oslo oxford paris philadelphia phoenix portland "
        "prague rome seattle seoul singapore stockholm sydney tokyo toronto vancouver venice vienna warsaw zurich",
    ),
    _group(
        "name",
        "argentina australia austria belgium bolivia brazil bulgaria cambodia canada chile china colombia cuba denmark "
        "ecuador egypt england ethiopia finland france germany ghana greece hungary iceland india indonesia ireland "
        "israel italy jamaica japan kenya malaysia mexico morocco nepal netherlands nigeria norway pakistan peru "
        "poland portugal romania scotland senegal spain sweden switzerland tanzania thailand turkey ukraine vietnam "
        "wales",
    ),
    _group(
        "origin",
        "african american argentinian australian austrian belgian brazilian british canadian chinese cuban danish "
        "dutch egyptian english ethiopian finnish french german greek hungarian icelandic indian indonesian irish "
        "israeli italian jamaican japanese korean lebanese malaysian mexican moroccan nepalese nigerian norwegian "
        "persian peruvian polish portuguese russian scottish spanish swedish swiss thai turkish ukrainian vietnamese "
        "welsh",
    ),
)

# Words that mean something else too: a day or month beside a number or another day, or behind one of these.
UNSURE = frozenset(_words("mon wed fri sat sun may march mar jan dec jun mai mars mayo august"))
BEFORE_DATES = frozenset(
    _words("on in every since until till by from to this next last each of early late mid am im le en du el de au")
)

Part = Literal["noun", "nouns", "adjective", "verb"]

_NOUNS = (
    "bag bed bow box cat cup dog fan hat jar key map owl pan pen pot rug toy van "
    "apple arch bank bear bell bird boat book boot cake cap card chair clock cloud coat coin crown desk door drum duck "
    "farm field flag flower fork frog gate goat guide hill horse house island jacket kettle kite lamp leaf lemon "
    "letter lion market meadow mirror moon mountain nest ocean orange oven paint palm pear pencil piano pillow pocket "
    "pond puzzle rabbit ribbon ring river road rocket roof rope salad sandal school shoe shop sofa song spoon star "
    "stone story street sugar table ticket tiger tower train tree tulip tunnel valley village violin wagon wall "
    "wheel window winter adventure blanket calendar carpet cinema concert curtain diamond dinner elephant engine "
    "envelope forest garden guitar hammer harbour holiday hospital keyboard kingdom ladder lantern lobster magazine "
    "mattress medicine museum mushroom necklace notebook painting parrot passport pavement picture platform postcard "
    "potato pyramid sandwich sculpture sentence sparrow station teacher telephone theatre tomato umbrella volcano "
    "waterfall wardrobe"
)
_ADJECTIVES = (
    "big blue bold calm clean cold cool dark deep dry empty fast flat free fresh full good grey happy hard heavy high "
    "hot huge kind large late light little long loud low modern narrow new odd old open pink plain proud quiet rare "
    "red rich round rough sad sharp short shy silent slow small smooth soft strong sweet tall tender thick thin tiny "
    "urban warm weak wet white wide wild wise young ancient bitter broken classic clever common electric elegant "
    "famous frozen gentle golden hidden hollow honest hungry magical natural northern original personal popular "
    "precious purple rural secret serious simple special standard terrible typical vegetarian wooden wonderful"
)
_VERBS = (
    "ask bake blow build buy call catch climb cook dance draw dream drink drive eat enter fill fix fly follow grow "
    "help hide hold jump keep laugh leave learn lift listen love make meet move open paint plant play pull push read "
    "remember ride run save sell send share shine sing sit sleep smile stop swim take talk teach travel turn visit "
    "wait walk wash watch win work write"
)
PLAIN: dict[Part, tuple[str, ...]] = {
    "noun": _words(_NOUNS),
    "nouns": tuple(
        f"{word}{'es' if word.endswith(('x', 'ch', 'sh', 'ss')) else 's'}"
        for word in _words(_NOUNS)
        if not word.endswith(("y", "f", "to", "no"))
    ),
    "adjective": _words(_ADJECTIVES),
    "verb": _words(_VERBS),
}
