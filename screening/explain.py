"""How one text is read: its views, the hits in them, what excuses them, and the clauses they lead to."""

from collections.abc import Iterator, Sequence
from typing import Literal

from screening.detect.privacy import personal_data
from screening.examples import parse_line
from screening.normalise.clean import clean_text
from screening.pipeline import Screener
from screening.types import Conversation, Turn


def explanation(screener: Screener, text: str, role: str, context: Sequence[str]) -> Iterator[str]:
    """Lines for a person; raises `InputError` for a context line without a speaker."""
    speaker: Literal["agent", "customer"] = "customer" if role == "customer" else "agent"
    turn = clean_text(text)
    yield f"original: {text}"
    if turn.clean != text:
        yield f"clean:    {turn.clean}"
    folded = screener.vocabulary.folder.fold(turn.clean)
    if folded.text != turn.clean:
        yield f"folded:   {folded.text}"
    for item in personal_data(turn.clean):
        start, end = turn.span(item.start, item.end)
        yield f"personal data: {item.kind} «{text[start:end]}»"
    turns = (*map(parse_line, context), Turn(speaker, text))
    screening = screener.screen(Conversation(id="explained", turns=turns))
    if not screening.flags:
        yield "no flag"
    for i, flag in enumerate(screening.flags):
        excused = f", excused by {flag.excused_by}" if flag.excused_by else ""
        yield f"flag {i}: {flag.signal} «{flag.quote}» ({flag.status}{excused}) - {flag.source.kind} {flag.source.id} v{flag.source.version}, score {flag.score}"
        yield f"    {flag.why}"
        if flag.suggestion:
            yield f"    suggestion: {flag.suggestion}"
    for candidate in screening.candidates:
        flags = ", ".join(map(str, candidate.flags))
        yield f"{candidate.level} {candidate.standard}/{candidate.clause} {candidate.title} (flags {flags})"
