"""Runs the examples that stand in the rules and cues: every `hit` at its mark, every `miss` quiet, every phrase shown."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence

import msgspec

from lexicons import pattern as language
from lexicons.load import MARK, Lexicon, example_text
from lexicons.schema import Example, Rule
from screening.detect.reading import Batch
from screening.detect.rules import RuleDetector
from screening.detect.vocabulary import Phrases, Vocabulary
from screening.errors import InputError
from screening.normalise.clean import clean_text
from screening.types import Conversation, Finding, Role, Turn

SLOTS = {"称呼": "王女士", "商户名": "小店", "时限": "今天18点前"}
_SLOT = re.compile(r"\{([^{}]+)\}")
_SPEAKERS: dict[str, Role] = {"客户": "customer", "客服": "agent", "系统": "system", "机器人": "bot"}


def parse_line(line: str) -> Turn:
    """A turn written as 客户：…, 客服：…, 系统：… or 机器人：…; raises `InputError`."""
    speaker, _, text = line.partition("：")
    if not _is_line(line):
        raise InputError(f"context line {line!r} must begin with one of {'、'.join(_SPEAKERS)} and ：")
    return Turn(_SPEAKERS[speaker], text)


def _is_line(line: str) -> bool:
    speaker, mark, _ = line.partition("：")
    return bool(mark) and speaker in _SPEAKERS


def example_conversation(rule: Rule, example: str | Example) -> Conversation:
    """The example as a conversation whose last turn is the judged one."""
    turns = [parse_line(line) for line in (() if isinstance(example, str) else example.context)]
    text = re.sub("[«»]", "", example_text(example))
    turns.append(Turn(rule.speaker, text))
    return Conversation(id=rule.id, turns=tuple(turns))


def marked_spans(text: str) -> list[tuple[int, int]]:
    """Places marked «so», counted in the text without marks."""
    spans, removed = [], 0
    for match in MARK.finditer(text):
        start = match.start() - removed
        spans.append((start, start + len(match[1])))
        removed += 2
    return spans


class ExampleRunner:
    """Runs examples of rules (drafts included) over one lexicon."""

    def __init__(self, lexicon: Lexicon):
        self._lexicon = lexicon
        tried = [msgspec.structs.replace(r, status="active") if r.status == "draft" else r for r in lexicon.rules]
        lexicon = msgspec.structs.replace(lexicon, rules=tuple(tried))
        self._vocabulary = Vocabulary(lexicon)
        self._detector = RuleDetector(lexicon, self._vocabulary)

    def findings(self, conversation: Conversation) -> list[Finding]:
        """Findings of all rules in a conversation."""
        return self._detector.detect(next(Batch([conversation], self._vocabulary).readings()))

    def problems(self, rules: Iterable[Rule]) -> Iterator[str]:
        """What the examples of the given rules show to be wrong, one line each."""
        for rule in rules:
            if rule.status == "retired":
                continue
            bad = [line for e in (*rule.hit, *rule.miss) if not isinstance(e, str) for line in e.context if not _is_line(line)]
            if bad:
                yield from (
                    f"rule {rule.id!r}: context line {line!r} must begin with {'、'.join(_SPEAKERS)} and ：" for line in bad
                )
                continue
            yield from self._hits(rule)
            for example in rule.miss:
                for finding in self._own(rule, example):
                    assert finding.span is not None
                    quote = example_text(example)[finding.span.start : finding.span.end]
                    yield f"rule {rule.id!r}: miss {example_text(example)!r} is hit at «{quote}»"
            if rule.any_of:
                yield from _unshown_phrases(rule)
            else:
                yield from self._unshown_branches(rule)
            yield from self.suggestion_problems(rule)

    def cue_problems(self) -> Iterator[str]:
        """The same for cues, whose examples are whole turns."""
        for cue in self._lexicon.cues:
            entry = Phrases(cue.any_of, cue.pattern, cue.unless, self._lexicon.sets)
            for text in cue.hit:
                if not entry.found(clean_text(text).clean):
                    yield f"cue {cue.id!r}: hit {text!r} is not found"
            for text in cue.miss:
                if entry.found(clean_text(text).clean):
                    yield f"cue {cue.id!r}: miss {text!r} is found"

    def _own(self, rule: Rule, example: str | Example) -> list[Finding]:
        conversation = example_conversation(rule, example)
        last = len(conversation.turns) - 1
        return [f for f in self.findings(conversation) if f.id == rule.id and f.turn == last and f.status != "excused"]

    def _hits(self, rule: Rule) -> Iterator[str]:
        for example in rule.hit:
            text = example_text(example)
            wanted = set(marked_spans(text))
            found = {(f.span.start, f.span.end) for f in self._own(rule, example) if f.span is not None}
            plain = re.sub("[«»]", "", text)
            for start, end in sorted(wanted - found):
                others = "、".join(f"«{plain[a:b]}»" for a, b in sorted(found)) or "nothing"
                yield f"rule {rule.id!r}: hit {text!r}: «{plain[start:end]}» is not found (found: {others})"
            for start, end in sorted(found - wanted):
                yield f"rule {rule.id!r}: hit {text!r}: finds «{plain[start:end]}» too, which is not marked"

    def _unshown_branches(self, rule: Rule) -> Iterator[str]:
        assert rule.pattern is not None
        quotes = [clean_text(m[1]).clean for e in rule.hit for m in MARK.finditer(example_text(e))]
        for branch, rest in language.without_branches(rule.pattern):
            reduced = re.compile(language.expand_sets(rest, self._lexicon.sets))
            if all(reduced.fullmatch(quote) for quote in quotes):
                yield f"rule {rule.id!r}: no hit shows the branch {branch!r} of the pattern"

    def suggestion_problems(self, rule: Rule, but: Container[str] = ()) -> Iterator[str]:
        """What is wrong with the polite alternative that a rule offers: it raises no flag itself, `but` by these rules."""
        if rule.suggestion is None:
            return
        for slot in _SLOT.findall(rule.suggestion):
            if slot not in SLOTS:
                yield f"rule {rule.id!r}: suggestion slot {{{slot}}} is unknown; there are: {'、'.join(SLOTS)}"
        text = _SLOT.sub(lambda m: SLOTS.get(m[1], ""), rule.suggestion)
        for finding in self.findings(Conversation(id="suggestion", turns=(Turn("agent", text),))):
            if finding.status != "excused" and finding.id not in but:
                yield f"rule {rule.id!r}: its suggestion raises {finding.signal} by rule {finding.id!r}"


def _unshown_phrases(rule: Rule) -> Iterator[str]:
    shown = [clean_text(m[1]).clean for e in rule.hit for m in MARK.finditer(example_text(e))]
    for phrase in rule.any_of:
        if not any(phrase in quote for quote in shown):
            yield f"rule {rule.id!r}: no hit shows the phrase {phrase!r}"


def surface_forms(rules: Sequence[Rule], lexicon: Lexicon) -> set[str]:
    """Distinct surface forms that the rules look for: phrases, and the fixed texts of short patterns."""
    forms: set[str] = set()
    for rule in rules:
        forms.update(rule.any_of)
        if rule.pattern is not None:
            forms.update(language.parse(rule.pattern, lexicon.sets).texts(400) or ())
    return forms
