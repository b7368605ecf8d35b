"""Words whose period belongs to them.

**Invariant:** every entry is lower case and without its period.
"""

# However they are written.
ALWAYS = frozenset(
    """
    a adj adm adv al ala alex apr ariz assn asst atty aug ave b bhd bldg blvd brig bros c calif capt cf cie cmdr co col
    colo conn corp cos cpl ct d dak dec dept det dr drs e elec ens esq est etc ext f feb fla fri ft g ga gen gov govs h
    hon i inc ind insp intl invt j jan jos jr jul jun k kan kans ky l lt ltd m maj mar md mich minn mlle mme
    mo mon mont mr mrs ms msgr mt n natl neb nev nov o oct okla p penn pfc ph plc pres
    prof pvt q r rd rep reps rev rt s sen sens sep sept seq sfc sgt spc sq sr st ste supt sys t tel tenn
    thu tue tues u univ v va vs vt w wed wis wisc wm wyo x y z
    """.split()
)
# Not in capitals.
NOT_IN_CAPITALS = frozenset("mfg mtg ppte ppty pte ptes pty ptys".split())
# Only where they begin with a capital: in small letters these are words of their own.
WITH_CAPITAL = frozenset("ark az del ill la mass miss ore pa tex wash".split())
