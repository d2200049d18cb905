"""Whole conversations of the sample archive against hand-written expectations (tests/golden)."""

import json
from pathlib import Path

import pytest

from tests.conftest import active

GOLDEN = Path(__file__).parent / "golden"
TRANSCRIPTS = sorted((GOLDEN / "transcripts").glob("*.json"))
CLEAN = sorted((GOLDEN / "clean").glob("*.json"))
KNOWN = json.loads((GOLDEN / "known_misses.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def screenings(screener, archive):
    return {screening.conversation_id: screening for screening in screener.screen_many(archive)}


def differences(expected: dict, screening) -> list[str]:
    wanted = set(expected["expect"]["clauses"])
    got = {candidate.clause for candidate in screening.candidates}
    found = [f"missed clause {c}" for c in sorted(wanted - got)] + [f"false clause {c}" for c in sorted(got - wanted)]
    signals = {(flag["signal"], flag["turn"]) for flag in expected["expect"]["flags"]}
    flags = set(active(screening))
    found += [f"missed {s} on {t}" for s, t in sorted(signals - flags, key=str)]
    found += [f"false {s} on {t}" for s, t in sorted(flags - signals, key=str)]
    return found


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda p: p.stem)
def test_transcript(path, screenings):
    expected = json.loads(path.read_text(encoding="utf-8"))
    known = KNOWN.get(expected["conversation_id"], {})
    assert differences(expected, screenings[expected["conversation_id"]]) == sorted(known, key=list(known).index)


@pytest.mark.parametrize("path", CLEAN, ids=lambda p: p.stem)
def test_clean_conversation_stays_quiet(path, screenings):
    expected = json.loads(path.read_text(encoding="utf-8"))
    known = KNOWN.get(expected["conversation_id"], {})
    assert differences(expected, screenings[expected["conversation_id"]]) == sorted(known, key=list(known).index)


def test_every_known_miss_gives_a_reason():
    assert all(reason for entry in KNOWN.values() for reason in entry.values())


def test_the_archive_has_an_expectation_for_each_conversation(archive):
    named = {json.loads(p.read_text(encoding="utf-8"))["conversation_id"] for p in (*TRANSCRIPTS, *CLEAN)}
    assert named == {conversation.id for conversation in archive}
    assert len(archive) >= 60
