"""The votes of a review as preference data: what people chose against what they did not.

Invariant: a pair says what most of a sample's judges said, by the rule of the summary's majority; what is left out is
counted with its reason.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from trifacet.data.records import PreferenceSample
from trifacet.review.pairs import Review, ReviewPair
from trifacet.review.store import Store
from trifacet.review.summary import OUTCOMES, majority


def preference_samples(store: Store, review: Review) -> tuple[list[PreferenceSample], dict[str, int]]:
    """A sample for each of the review's that has a majority for one text, in its order; how many are left out, and why.

    Of each judge the last answer counts, and a skip is none. The text with more votes than the other, and than there
    are ties, is chosen. ``extra`` holds the votes, and whose texts they are.

    Raises:
        TrifacetError: the store holds another review.
    """
    store.require(review)
    votes: dict[str, Counter[str]] = {}
    for vote in store.votes():
        if vote.counts and vote.outcome is not None:
            votes.setdefault(vote.sample, Counter())[vote.outcome] += 1
    samples, left = [], Counter[str]()
    for pair in review.pairs:
        counted = votes.get(pair.id, Counter())
        if why := _why_not(pair, counted):
            left[why] += 1
        else:
            samples.append(_sample(pair, counted, review.names))
    return samples, dict(left)


def _why_not(pair: ReviewPair, counted: Counter[str]) -> str:
    if not counted:
        return "without a vote"
    if pair.same:
        return "whose texts have the same words"
    if _majority(counted) == "tie":
        return "tied or without a majority"
    return "" if all(text.strip() for text in pair.texts) else "with an empty text"


def _majority(counted: Counter[str]) -> str:
    return OUTCOMES[int(majority(np.array([[counted[one] for one in OUTCOMES]], dtype=np.float64)).argmax())]


def _sample(pair: ReviewPair, counted: Counter[str], names: tuple[str, str]) -> PreferenceSample:
    better, worse = (0, 1) if _majority(counted) == "win" else (1, 0)
    of_side = (counted["win"], counted["lose"])
    told = {"chosen": of_side[better], "tie": counted["tie"], "rejected": of_side[worse]}
    return PreferenceSample(
        id=pair.id,
        image=pair.pictures[0] if pair.pictures else None,
        more_images=pair.pictures[1:],
        context=pair.context,
        prompt=pair.prompt,
        response=pair.texts[better],
        rejected_responses=(pair.texts[worse],),
        extra={"votes": told, "chosen_model": names[better], "rejected_model": names[worse]},
    )
