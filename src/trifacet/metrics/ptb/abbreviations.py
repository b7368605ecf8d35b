"""Words whose period belongs to them.

Found by trying every word of up to five letters, and longer ones from lists, on the original. **Invariant:** every
entry is in lower case and without its period, and no abbreviation stands in two lists.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Titles and the like: a name follows. A single letter is one of them.
TITLES = _words(
    """
        a adj adm adv alex asst atty attys ave b brig c calif capt cf cie cmdr col comdr cpl d dept det dr drs
    e elec ens f ft g     gen gov govs h hon i insp invt j jos k l lieut lt m maj messrs mlle mme mr mrs ms
    msgr mt n natl o p pfc ph pres prof     profs pvt q r rep reps rev s sen sens sfc sgt spc st ste supt
    supts t treas u v vs w wm x y z
    """
)
# Those that can end a sentence, too: they win over a longer reading as one word with what follows ("etc.a").
ENDINGS = _words(
    """
        al ala apr ariz assn assoc aug bhd bldg blvd bros co colo conn corp cos ct dak dec esq est etc ext feb
    fla fri ga inc ind     intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct
    okla penn plc rd rt sep sept seq sq sr     sys tel tenn thu thurs tue tues univ va vt wed wis wisc wyo
    """
)
# Not in capitals throughout.
TITLES_NOT_IN_CAPITALS = _words("mfg mtg")
ENDINGS_NOT_IN_CAPITALS = _words("ppte pptes ppty pptys pte ptes pty ptys")
# Only where they begin with a capital: in small letters they are words of their own.
ENDINGS_WITH_CAPITAL = _words("ark az del ill la mass miss ore pa tex wash")
# Only before a number.
BEFORE_A_NUMBER = _words("art ca fig figs no nos op pp prop")
# A single letter before one of these, with a capital, or before a tag is no initial: its period ends the sentence.
BEGINNINGS = _words(
    """
        a about according additionally after an as at but earlier he her here however if in it last many more
    mr. ms. now once one other     our she since so some such that the their then there these they this we
    what when while yet you
    """
)

ALL = (
    TITLES | ENDINGS | TITLES_NOT_IN_CAPITALS | ENDINGS_NOT_IN_CAPITALS | ENDINGS_WITH_CAPITAL | BEFORE_A_NUMBER
)  # fmt: skip
