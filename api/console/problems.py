"""What the checks of rules say, in the visitor's words."""

import re
from collections.abc import Iterable

from api.console.live import Problem
from api.console.words import Words
from api.routes.rules_models import ProblemView

_SAID = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"`id` is made of", "id"),
        (r"`signal` '.*' is none", "signal"),
        (r"`speaker` '.*' does not fit", "speaker"),
        (r"give either `any_of` or `pattern`", "either"),
        (r"a phrase stands twice in `any_of`", "twice"),
        (r"phrase '(?P<phrase>.*)' is short;", "short"),
        (r"phrase '(?P<phrase>.*)' is written otherwise in the clean view: '(?P<clean>.*)'", "phrase_written"),
        (r"pattern '.*' is written otherwise in the clean view", "pattern_written"),
        (r"phrase '(?P<phrase>.*)' stands already in rule '(?P<rule>.*)' \(after folding\)", "stands_already"),
        (r"phrase '(?P<phrase>.*)' stands inside common words \((?P<words>.*)\);", "inside_words"),
        (r".*holds no fixed part to look for", "no_fixed_part"),
        (r".*word set \{(?P<name>.*?)\} does not exist", "no_set"),
        (r".*matches the empty text", "matches_nothing"),
        (r".*may match (?P<longest>\d+) characters; the limit is (?P<limit>\d+)", "too_long"),
        (r".*unbounded repetition", "unbounded"),
        (r".*repetition up to (?P<high>\S+); the limit is (?P<limit>\d+)", "repeats_too_often"),
        (r".*a repetition inside a repetition", "repetition_inside"),
        (r".*(?:inline flags are not|is not part of the language)", "not_in_language"),
        (r".*not a pattern: (?P<reason>.*)", "no_pattern"),
        (r"`(?:after|position|repeats)\.\w+` must be 1 or more", "from_one"),
        (r"`references` is empty", "references"),
        (r"a retired rule needs `reason`", "reason"),
        (r"`hit` is empty", "no_hit"),
        (r"`miss` needs at least two", "two_misses"),
        (r"hit '(?P<text>.*)' must mark", "mark"),
        (r"miss '(?P<text>.*)' must not be marked", "no_mark"),
        (r"hit '(?P<text>.*)': «(?P<quote>.*)» is not found \(found: nothing\)", "not_found"),
        (r"hit '(?P<text>.*)': «(?P<quote>.*)» is not found \(found: (?P<others>.*)\)", "found_otherwise"),
        (r"hit '(?P<text>.*)': finds «(?P<quote>.*)» too", "found_too"),
        (r"miss '(?P<text>.*)' is hit at «(?P<quote>.*)»", "miss_hit"),
        (r"no hit shows the phrase '(?P<phrase>.*)'", "phrase_unshown"),
        (r"no hit shows the branch '(?P<branch>.*)' of the pattern", "branch_unshown"),
        (r"context line '(?P<line>.*)' must begin with (?P<speakers>.*) and ：", "context"),
        (r"`suggestion` is missing", "no_suggestion"),
        (r"suggestion slot \{(?P<slot>.*)\} is unknown; there are: (?P<slots>.*)", "slot"),
        (r"its suggestion raises (?P<signal>\S+) by rule '(?P<rule>.*)'", "suggestion_raises"),
        (r'`fold` = "sound" works on phrases', "sound_phrases"),
        (r'`fold` = "sound" needs phrases of three', "sound_three"),
        (r"is larger than (?P<limit>\d+) bytes", "too_large"),
    )
)


def shown(found: Iterable[ProblemView], t: Words) -> list[Problem]:
    """The problems of one rule beside the fields of its form."""
    return [Problem(one.field or "", said(one.message, t)) for one in found]


def said(message: str, t: Words) -> str:
    """A message of the checks; as it stands where the catalogue has no sentence for it."""
    for pattern, key in _SAID:
        match = pattern.match(message)
        if match is not None:
            places = match.groupdict()
            if key == "suggestion_raises":
                places["signal"] = t(f"signal.{places['signal']}")
            return t(f"rule_problem.{key}", **places)
    return message
