"""The story of one sample of ``trifacet evolve`` on the terminal.

Invariant: every text that comes from samples, recipes or models passes through ``common.plain`` before it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trifacet.base.progress import Terminal
from trifacet.cli.common import out, plain

_LONGEST = 2000  # characters of one text
_COLOURS = {"accepted": "bold green", "refused": "bold red", "malformed": "bold yellow"}


def print_story(story: Mapping[str, Any], console: Terminal = out) -> None:
    """Tell what became of a sample, round by round, as ``evolving.document.explain`` gives it."""
    console.tell((_short(story["id"]), "bold"))
    sample = story["sample"]
    if sample is None:
        console.print("  The sample cannot be read any more.")
    else:
        for name in ("image", "prompt", "context"):
            if sample[name]:
                console.print(f"  {name}: {_short(sample[name])}", soft_wrap=True)
        for reference in sample["references"]:
            console.print(f"  reference: {_short(reference)}", soft_wrap=True)
    for told in story["rounds"]:
        _print_round(told, console)
    last = story["rounds"][-1]
    if last["round"] < story["asked"] and last["fate"] and last["fate"]["accepted"]:
        console.print("It has an accepted answer, so that later rounds leave it out unless rounds.hard_only is false.")


def _print_round(told: Mapping[str, Any], console: Terminal) -> None:
    fate = told["fate"]
    what = plain(fate["what"]) if fate else "not done yet"
    why = f": {plain(fate['why'])}" if fate and fate["why"] else ""
    console.tell((f"Round {told['round']}", "bold"), f": {what}{why} (part {told['part']})")
    parents = {said["revised"]: (one["answer"], said) for one in told["answers"] for said in one["feedback"]}
    for one in told["answers"]:
        _print_answer(one, parents.get(one["answer"]), console)
    for pair in told["pairs"]:
        _print_pair("pair, left out to balance lengths" if pair["left_out"] else "pair", pair, console)
    for pair in told["feedback_pairs"]:
        _print_pair("pair of feedback", pair, console)


def _print_answer(one: Mapping[str, Any], parent: tuple[int, Mapping[str, Any]] | None, console: Terminal) -> None:
    verdict = one["verdict"]
    outcome = (
        verdict["outcome"] if verdict else f"no candidate: {one['problem']}" if one["problem"] else "not judged yet"
    )
    source = (
        f", of answer {parent[0]}" if parent else f", of answer {one['parent']}" if one["parent"] is not None else ""
    )
    console.tell(f"  {one['answer']} {plain(one['origin'])}{source}: ", (plain(outcome), _COLOURS.get(outcome, "bold")))
    if parent:
        seen = " (saw the reference)" if parent[1]["saw_reference"] else ""
        console.print(f"      feedback{seen}: {_short(parent[1]['text'])}", soft_wrap=True)
    console.print(f"      {_short(one['text']) or 'nothing'}", soft_wrap=True)
    if not verdict:
        return
    if verdict["votes"] > 1:
        console.print(f"      {verdict['accepted']} of {verdict['votes']} votes accept")
    for name in dict.fromkeys([*verdict["conditions"], *verdict["reasons"]]):
        held = verdict["conditions"].get(name)
        told = "" if held is None else " held" if 2 * held > verdict["votes"] else " failed"
        reason = verdict["reasons"].get(name)
        console.print(f"      {plain(name)}{told}" + (f": {_short(reason)}" if reason else ""), soft_wrap=True)
    if verdict["raw"]:
        console.print(f"      the verifier said: {_short(verdict['raw'])}", soft_wrap=True)


def _print_pair(title: str, pair: Mapping[str, Any], console: Terminal) -> None:
    answers = pair["extra"].get("answers")
    named = f", answer {answers[0]} over {answers[1]}" if isinstance(answers, list) and len(answers) == 2 else ""
    console.tell((f"  {title}", "bold"), f" {_short(str(pair['id']))}{named}")
    console.print(f"      chosen: {_short(str(pair['chosen']))}", soft_wrap=True)
    for text in pair["rejected"]:
        console.print(f"      rejected: {_short(str(text))}", soft_wrap=True)


def _short(text: str) -> str:
    return plain(text if len(text) <= _LONGEST else text[:_LONGEST] + " …")
