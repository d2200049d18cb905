"""Static checks of a lexicon that need the normaliser or the dictionary: what loads may still be unwise."""

from collections.abc import Container, Iterator

from lexicons.load import Lexicon
from lexicons.pattern import PatternError
from lexicons.schema import Rule
from screening import tokenise
from screening.detect.patterns import SlotPattern
from screening.detect.phrases import Automaton
from screening.normalise.clean import clean_text
from screening.normalise.fold import Folder

COMMON_WORD = 30
"""A dictionary word counted this often is common enough to hide a phrase in ordinary talk."""

_SUGGESTS = ("rudeness.", "shirking")


def problems(lexicon: Lexicon, only: Container[str] | None = None) -> Iterator[str]:
    """One line for each thing to mend, naming rule and field; `only` looks at the rules with these ids."""
    everywhere = [rule for rule in lexicon.rules if rule.status != "retired"]
    live = everywhere if only is None else [rule for rule in everywhere if rule.id in only]
    yield from _rule_forms(live, lexicon)
    if only is None:
        yield from _set_forms(lexicon)
    yield from _duplicates(live, everywhere, lexicon)
    yield from _inside_words(live, lexicon)
    for rule in live:
        if rule.signal.startswith(_SUGGESTS) and rule.suggestion is None:
            yield f"rule {rule.id!r}: `suggestion` is missing; {rule.signal} rules offer a polite alternative"
        if rule.pattern is not None and rule.fold == "sound":
            yield f'rule {rule.id!r}: `fold` = "sound" works on phrases; name homophones of a pattern in a word set'
        if rule.fold == "sound" and any(len(phrase) < 3 for phrase in rule.any_of):
            yield f'rule {rule.id!r}: `fold` = "sound" needs phrases of three characters or more'


def _rule_forms(rules: list[Rule], lexicon: Lexicon) -> Iterator[str]:
    for rule in rules:
        for phrase in rule.any_of:
            clean = clean_text(phrase).clean
            if clean != phrase:
                yield f"rule {rule.id!r}: phrase {phrase!r} is written otherwise in the clean view: {clean!r}"
        patterns = [rule.pattern, rule.after.pattern if rule.after else None, *rule.unless]
        for pattern in filter(None, patterns):
            if clean_text(pattern).clean != pattern:
                yield f"rule {rule.id!r}: pattern {pattern!r} is written otherwise in the clean view"
            try:
                SlotPattern(pattern, lexicon.sets).triggers()
            except PatternError as error:
                yield f"rule {rule.id!r}: {error}"


def _set_forms(lexicon: Lexicon) -> Iterator[str]:
    for name, forms in lexicon.sets.items():
        for form in forms:
            if clean_text(form).clean != form:
                yield f"word set {name!r}: {form!r} is written otherwise in the clean view: {clean_text(form).clean!r}"
        if len(set(forms)) != len(forms):
            yield f"word set {name!r}: a form stands twice"


def _duplicates(rules: list[Rule], everywhere: list[Rule], lexicon: Lexicon) -> Iterator[str]:
    folder = Folder(lexicon.writings)
    seen: dict[tuple[str, str], Rule] = {}
    asked = {rule.id for rule in rules}
    signals = {rule.signal for rule in rules}
    for rule in sorted(everywhere, key=lambda rule: rule.id in asked):
        if rule.after or rule.position or rule.repeats or rule.signal not in signals:
            continue
        for phrase in rule.any_of:
            key = (rule.signal, folder.fold(phrase).text)
            other = seen.setdefault(key, rule)
            if other is not rule and rule.id in asked:
                yield f"rule {rule.id!r}: phrase {phrase!r} stands already in rule {other.id!r} (after folding)"


def _inside_words(rules: list[Rule], lexicon: Lexicon) -> Iterator[str]:
    exposed = [(r, p) for r in rules if not r.whole_word for p in r.any_of if len(p) <= 4]
    phrases = sorted({phrase for _, phrase in exposed})
    common = tokenise.common_words(COMMON_WORD)
    inside: dict[str, list[str]] = {}
    for line, ids in Automaton(phrases).scan("\n".join(common) + "\n").items():
        for i in ids:
            if common[line] != phrases[i]:
                inside.setdefault(phrases[i], []).append(common[line])
    for rule, phrase in exposed:
        unless = [SlotPattern(text, lexicon.sets) for text in rule.unless]
        bare = [word for word in inside.get(phrase, ()) if not any(_covers(u, word, phrase) for u in unless)]
        if bare:
            shown = "、".join(bare[:6])
            yield f"rule {rule.id!r}: phrase {phrase!r} stands inside common words ({shown}); add `whole_word` or `unless`"


def _covers(slot: SlotPattern, word: str, phrase: str) -> bool:
    at = word.find(phrase)
    return any(start < at + len(phrase) and at < end for start, end in slot.spans(word))
