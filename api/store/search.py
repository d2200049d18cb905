"""Text search in Chinese: bigrams of the clean text, so that two characters are found and traditional finds simplified.

SQLite keeps them in an FTS5 table, PostgreSQL in a tsvector; both are asked for the bigrams side by side. One row a revision.
"""

import operator
import re
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, cast, column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from screening.errors import InputError
from screening.normalise.clean import clean_text

BREAK = "0"
"""Stands between turns and other gaps; one character, so it is never a bigram."""
_LONGEST = 16_000  # the last position a tsvector counts is 16,383
_RUN = re.compile(r"[^\W_]+")  # exactly the characters that are alphanumeric
_fts = table("search_index", column("rowid"))
_vectors = table("search_index", column("revision_id"), column("grams"))


def bigrams(clean_texts: Iterable[str]) -> list[str]:
    """The bigrams of clean texts in order, with `BREAK` wherever characters do not stand side by side."""
    grams: list[str] = []
    for clean in clean_texts:
        for run in _RUN.findall(clean):
            if grams and grams[-1] != BREAK:
                grams.append(BREAK)
            grams += map(operator.add, run, run[1:])
        if len(grams) >= _LONGEST:
            return grams[:_LONGEST]
    return grams


def add(session: Session, texts: Mapping[int, Iterable[str]]) -> None:
    """Make revisions findable, given the clean texts of each; indexed are the first 16,000 characters."""
    if session.get_bind().dialect.name == "sqlite":
        rows = [{"id": revision, "grams": " ".join(bigrams(clean))} for revision, clean in texts.items()]
        statement = "INSERT INTO search_index (rowid, grams) VALUES (:id, :grams)"
    else:
        rows = [{"id": revision, "grams": _vector(bigrams(clean))} for revision, clean in texts.items()]
        statement = "INSERT INTO search_index (revision_id, grams) VALUES (:id, CAST(:grams AS tsvector)) ON CONFLICT DO NOTHING"
    if rows:
        session.execute(text(statement), rows)


def clear(session: Session) -> None:
    """Make nothing findable any more."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    empty = "INSERT INTO search_index (search_index) VALUES ('delete-all')" if sqlite else "TRUNCATE search_index"
    session.execute(text(empty))


def _vector(grams: Sequence[str]) -> str:
    lexemes: dict[str, str] = {}
    for at, gram in enumerate(grams, 1):
        if gram in lexemes:
            lexemes[gram] += f",{at}"  # of more than 256 places PostgreSQL keeps the first ones
        elif gram != BREAK:
            lexemes[gram] = f"'{gram}':{at}"
    return " ".join(lexemes.values())


def revisions(session: Session, words: str) -> Select[int]:
    """Selects the ids of revisions whose text holds all the words (cut at blanks), each as it stands.

    Raises `InputError` where a word is shorter than two characters.
    """
    phrases = []
    for word in clean_text(words).clean.split():
        runs = "".join(char if char.isalnum() else " " for char in word).split()
        phrases += runs
    if not phrases or any(len(phrase) < 2 for phrase in phrases):
        raise InputError("text search needs words of at least two letters or characters")
    pairs = [[phrase[i : i + 2] for i in range(len(phrase) - 1)] for phrase in phrases]
    if session.get_bind().dialect.name == "sqlite":
        query = " AND ".join(f'"{" ".join(pair)}"' for pair in pairs)
        return select(_fts.c.rowid).where(text("search_index MATCH :fts_query").bindparams(fts_query=query))
    wanted = " & ".join("(" + " <-> ".join(f"'{gram}'" for gram in pair) + ")" for pair in pairs)
    matches: ColumnElement[bool] = _vectors.c.grams.op("@@")(cast(wanted, TSQUERY))
    return select(_vectors.c.revision_id).where(matches)
