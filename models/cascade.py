"""The cascade as a detector: the linear tier clears most turns, the encoder judges the rest, the stack weighs all opinions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lexicons.signals import CUSTOMER_SIGNALS
from models import artefact, encoder
from models.encoder import Encoder, Judge, Judgement
from models.features import TurnText, turn_text
from models.inputs import CONTEXT_TURNS, Row
from models.linear import LinearModel
from models.stack import opinions
from screening.detect.reading import Reading
from screening.normalise.clean import clean_text
from screening.report.names import SIGNALS as NAMES
from screening.types import Finding, Role, Span

LINEAR = "linear.npz"
Array = npt.NDArray[np.float32]
_MARK = 0.0
"""Log-odds from which on a token counts as one of the words that show a signal."""
_EVEN = 0.5
"""A rule's flag that all opinions together find less likely than not is excused."""
EXCUSE = "classifier"
_ENDS = "。！？!?；;\n"
_GAP = 3
"""Characters between marked words that still belong to one place."""


class Judged(NamedTuple):
    """One turn that was not cleared: its conversation's number, its own, and each signal's log-odds by each tier."""

    conversation: int
    turn: int
    linear: Array
    encoder: Judgement


class _Asked(NamedTuple):
    """A turn to judge: its conversation's number, its own, what the linear tier sees of it, and whether a rule flags it."""

    conversation: int
    turn: int
    text: TurnText
    flagged: bool


class Cascade:
    """The classifier of one artefact; a `screening.detect.detector.Detector`."""

    def __init__(self, folder: Path = artefact.DEFAULT, encoder_: Judge | None = None, *, unreported: bool = False):
        self.manifest, self.version = artefact.read(folder, unreported=unreported)
        self.name = self.manifest.name
        signals = self.manifest.signals
        self._linear = LinearModel.load(folder / LINEAR, signals)
        self._rows = encoder.row_maker(folder, self.manifest.opening, self.manifest.closing)
        self._encoder = Encoder(folder / encoder.ENCODER) if encoder_ is None else encoder_
        self.engine = self._encoder.engine
        self._columns: dict[Role, list[int]] = {
            "agent": [k for k, signal in enumerate(signals) if signal not in CUSTOMER_SIGNALS],
            "customer": [k for k, signal in enumerate(signals) if signal in CUSTOMER_SIGNALS],
        }

    def detect(self, readings: Sequence[Reading], found: Sequence[Sequence[Finding]]) -> list[list[Finding]]:
        """What was found, scored anew where a rule flags what the classifier answers for, and what only the classifier sees."""
        judged: list[list[Finding]] = [list(findings) for findings in found]
        for own in self.judge(readings, found):
            judged[own.conversation] = self._combined(readings[own.conversation], judged[own.conversation], own)
        return judged

    def judge(self, readings: Sequence[Reading], found: Sequence[Sequence[Finding]]) -> Iterator[Judged]:
        """What both tiers say of every turn that a rule flags or that the linear tier does not clear."""
        for role, asked in self._asked(readings, found).items():
            kept = list(self._not_cleared(role, asked))
            judged = self._encoder.judge_all([self._row(readings[own.conversation], own) for own, _ in kept])
            for (own, linear), judgement in zip(kept, judged, strict=True):
                yield Judged(own.conversation, own.turn, linear, judgement)

    def _not_cleared(self, role: Role, asked: Sequence[_Asked]) -> Iterator[tuple[_Asked, Array]]:
        """First by the one number that most turns are cleared by, then by all signals."""
        if not asked:
            return
        limits = self.manifest.clear[role]
        first = self._first_look(role, [own.text for own in asked])
        kept = [k for k, own in enumerate(asked) if own.flagged or first[k] >= limits.any]
        scores = self._linear.scores([asked[k].text for k in kept])
        for k, linear in zip(kept, scores, strict=True):
            if asked[k].flagged or first[k] + linear[self._columns[role]].max() >= limits.both:
                yield asked[k], linear

    def opinions(self, reading: Reading, findings: Sequence[Finding]) -> tuple[npt.NDArray[np.float64], float, float]:
        """For the last turn, cleared or not: `stack.opinions`, and the two numbers that the linear tier clears it by."""
        last = len(reading.conversation.turns) - 1
        role = reading.conversation.turns[last].role
        own = next(own for own in self._asked([reading], [findings])[role] if own.turn == last)
        linear, judged = self._linear.scores([own.text])[0], self._encoder.judge(self._row(reading, own))
        cells = opinions(self.manifest.signals, linear, judged.turn, _scores(findings, last))
        first = float(self._first_look(role, [own.text])[0])
        return cells, first, first + float(linear[self._columns[role]].max())

    def _asked(self, readings: Sequence[Reading], found: Sequence[Sequence[Finding]]) -> dict[Role, list[_Asked]]:
        asked: dict[Role, list[_Asked]] = {"agent": [], "customer": []}
        for number, (reading, findings) in enumerate(zip(readings, found, strict=True)):
            hits = _hits(findings)
            roles = [turn.role for turn in reading.conversation.turns]
            cleans = [reading.clean(i) for i in range(len(roles))]
            for i, role in enumerate(roles[reading.judged :], reading.judged):
                if role in asked and cleans[i]:
                    asked[role].append(_Asked(number, i, turn_text(roles, cleans, i, reading.folded(i)), i in hits))
        return asked

    def _first_look(self, role: Role, texts: Sequence[TurnText]) -> Array:
        if role == "agent":
            return self._linear.any(texts)
        odds = [self._linear.signal(texts, self.manifest.signals[k]) for k in self._columns[role]]
        return np.asarray(np.max(odds, axis=0))

    def _row(self, reading: Reading, own: _Asked) -> list[Row]:
        first = max(0, own.turn - CONTEXT_TURNS)
        roles = [turn.role for turn in reading.conversation.turns[first : own.turn + 1]]
        return self._rows.rows(roles, [reading.clean(j) for j in range(first, own.turn + 1)], own.turn - first)

    def _combined(self, reading: Reading, findings: list[Finding], own: Judged) -> list[Finding]:
        signals, stack = self.manifest.signals, self.manifest.stack
        rules = _scores(findings, own.turn)
        sure = stack.probabilities(signals, opinions(signals, own.linear, own.encoder.turn, rules))
        kept = [self._rescored(reading, finding, own.turn, sure) for finding in findings]
        for k in self._columns[reading.conversation.turns[own.turn].role]:
            thresholds = stack.thresholds[signals[k]]
            if signals[k] not in rules and sure[k] >= thresholds.look:
                kept.append(
                    Finding(
                        signal=signals[k],
                        turn=own.turn,
                        span=_span(reading, own, k),
                        kind="model",
                        id=self.name,
                        version=self.manifest.version,
                        why=f"分类器认为这里是{NAMES[signals[k]]}，标出的字最能说明",
                        status="active" if sure[k] >= thresholds.flag else "shadow",
                        score=_rounded(sure[k]),
                    )
                )
        return kept

    def _in_its_sentence(self, reading: Reading, finding: Finding, turn: int) -> float:
        """How sure all opinions are of a rule's flag when its sentence is read without the rest of the turn.

        Polite words around an insult outweigh it where the turn is read as a whole.
        """
        first = max(0, turn - CONTEXT_TURNS)
        roles = [own.role for own in reading.conversation.turns[first : turn + 1]]
        sentence = clean_text(_sentence(reading.conversation.turns[turn].text, finding.span)).clean
        cleans = [*(reading.clean(i) for i in range(first, turn)), sentence]
        linear = self._linear.scores([turn_text(roles, cleans, turn - first, sentence)])[0]
        judged = self._encoder.judge(self._rows.rows(roles, cleans, turn - first))
        assert finding.score is not None
        cells = opinions(self.manifest.signals, linear, judged.turn, {finding.signal: finding.score})
        return float(self.manifest.stack.probabilities(self.manifest.signals, cells)[self.manifest.signals.index(finding.signal)])

    def _rescored(self, reading: Reading, finding: Finding, turn: int, sure: npt.NDArray[np.float64]) -> Finding:
        if not _counts(finding) or finding.turn != turn or finding.signal not in self.manifest.signals:
            return finding
        score = float(sure[self.manifest.signals.index(finding.signal)])
        if score < _EVEN:
            score = max(score, self._in_its_sentence(reading, finding, turn))
        if score < _EVEN:
            return finding._replace(score=_rounded(score), prior=False, status="excused", excused_by=EXCUSE)
        return finding._replace(score=_rounded(score), prior=False)


def _sentence(text: str, span: Span | None) -> str:
    """The sentence, or sentences, that a place stands in; the whole text for a flag on the whole turn."""
    if span is None:
        return text
    start = max((text.rfind(end, 0, span.start) for end in _ENDS), default=-1) + 1
    stop = min((at for end in _ENDS if (at := text.find(end, span.end)) >= 0), default=len(text))
    return text[start : stop + 1]


def _counts(finding: Finding) -> bool:
    return finding.kind == "rule" and finding.status == "active"


def _hits(findings: Sequence[Finding]) -> frozenset[int | None]:
    """Turns that active rules flag."""
    return frozenset(finding.turn for finding in findings if _counts(finding))


def _scores(findings: Sequence[Finding], turn: int) -> dict[str, float]:
    """The highest score of an active rule's hit in a turn, per signal."""
    found: dict[str, float] = {}
    for finding in findings:
        if _counts(finding) and finding.turn == turn and finding.score is not None:
            found[finding.signal] = max(finding.score, found.get(finding.signal, 0.0))
    return found


def _span(reading: Reading, own: Judged, k: int) -> Span | None:
    """Where the encoder sees signal `k`: the words around its surest token; None, the whole turn, where no word stands out."""
    odds = own.encoder.tokens[:, k]
    if not odds.size or odds.max() < _MARK:
        return None
    marked = sorted(place for place, odd in zip(own.encoder.places, odds, strict=True) if odd >= _MARK)
    best = own.encoder.places[int(odds.argmax())]
    start, end = best
    for low, high in reversed(marked):
        if low <= start and start - high <= _GAP:
            start = min(start, low)
    for low, high in marked:
        if high >= end and low - end <= _GAP:
            end = max(end, high)
    return reading.turn(own.turn).span(start, end) if end > start else None


def _rounded(score: float) -> float:
    return round(float(score), 3)
