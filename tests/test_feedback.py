import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.access import ACTIONS, Principal
from api.review import claims, decisions, feedback, missed, precision
from api.review.decisions import FlagJudgement, Judgement
from api.review.missed import Marking
from api.store.bodies import Bodies
from api.store.engine import Store
from api.store.tables import StoredCandidate
from api.stored import conversation
from lexicons.load import packaged
from models import dataset
from screening.intervals import wilson
from screening.pipeline import Screener
from screening.scores import Scores
from tests.reviewing import ABUSE, DIVERSION, IMPATIENCE, chat, kept, person

LEAD = Principal("user:lead", 1, "lead", ACTIONS["lead"], None)
STANDARDS = packaged().standards
Judge = Callable[..., list[int]]


@pytest.fixture
def anna(store: Store) -> Principal:
    return person(store, "anna")


@pytest.fixture
def judge(store: Store, anna: Principal) -> Judge:
    """Judges flags of the first candidate of a conversation; gives the decisions' ids."""

    def judged(conversation_id: int, *verdicts: FlagJudgement, at: int = 1) -> list[int]:
        with store.write() as session:
            row = session.scalars(select(StoredCandidate).where(StoredCandidate.conversation_id == conversation_id)).first()
            assert row is not None
            claims.claim(session, anna, row.id, now=at, minutes=5)
            made = decisions.decide(session, anna, row.id, Judgement(row.screening_id, flags=verdicts), STANDARDS, at)
            return [one.id for one in made]

    return judged


def exported(store: Store, principal: Principal = LEAD, *, raw: bool = True) -> list[dict[str, Any]]:
    with store.read() as session:
        return [json.loads(line) for line in feedback.labelled_turns(session, Bodies(), principal, raw=raw)]


def test_judged_turns_are_labels_that_training_reads(
    store: Store, screener: Screener, judge: Judge, anna: Principal, tmp_path: Path
) -> None:
    kept(store, screener, [chat("c1", "您好", "请问", "哪款", "稍等", DIVERSION), chat("c2", IMPATIENCE), chat("c3", "不要脸")])
    judge(1, FlagJudgement(0, "confirmed"), FlagJudgement(1, "rejected", "rule_too_wide"))
    judge(2, FlagJudgement(0, "rejected", "wrong_context"), FlagJudgement(1, "unsure"))
    with store.write() as session:
        held = conversation(session, Bodies(), anna, "c3")
        marking = Marking(held.run.id, 1, 1, 3, "要脸", "jd-zhitongche", "A.attitude", "rudeness.abuse")
        missed.report(session, anna, held, marking, STANDARDS, 1)
    first, second, third = exported(store)
    assert first["labels"] == [{"signal": "diversion.private_contact", "quote": "加我微信"}]
    assert (first["near"], first["judged"]) == (["diversion.platform"], ["diversion.platform", "diversion.private_contact"])
    assert first["context"] == [["agent", "您好"], ["agent", "请问"], ["agent", "哪款"], ["agent", "稍等"]]
    assert (second["labels"], second["near"], second["context"]) == ([], ["rudeness.impatience"], [["customer", "能便宜点吗"]])
    assert third["labels"] == [{"signal": "rudeness.abuse", "quote": "要脸"}]
    path = tmp_path / "feedback.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in (first, second, third)), encoding="utf-8")
    examples = dataset.load(tmp_path)
    assert [example.text for example in examples] == [DIVERSION, IMPATIENCE, "不要脸"]
    assert examples[0].record.labels[0].quote == "加我微信"
    assert examples[1].record.near == ("rudeness.impatience",)


@pytest.mark.parametrize("reason", ["clause_misread", "normalisation_fault"])
def test_reasons_that_say_nothing_on_the_words_make_no_label(store: Store, screener: Screener, judge: Judge, reason: Any) -> None:
    kept(store, screener, [chat("c1", ABUSE)])
    judge(1, FlagJudgement(0, "rejected", reason))
    assert exported(store) == []


def test_the_verdict_in_force_counts(store: Store, screener: Screener, judge: Judge, anna: Principal) -> None:
    kept(store, screener, [chat("c1", ABUSE)])
    judge(1, FlagJudgement(0, "rejected", "quoted"))
    (second,) = judge(1, FlagJudgement(0, "confirmed"))
    assert [one["labels"] for one in exported(store)] == [[{"signal": "rudeness.abuse", "quote": ABUSE}]]
    with store.write() as session:
        decisions.undo(session, anna, second, None, now=1, minutes=5)
    assert [one["near"] for one in exported(store)] == [["rudeness.abuse"]]


def test_a_withdrawn_report_makes_no_label(store: Store, screener: Screener, anna: Principal) -> None:
    kept(store, screener, [chat("c1", "不要脸")])
    with store.write() as session:
        held = conversation(session, Bodies(), anna, "c1")
        marking = Marking(held.run.id, 1, 1, 3, "要脸", "jd-zhitongche", "A.attitude", "rudeness.abuse")
        made = missed.report(session, anna, held, marking, STANDARDS, 1).id
    assert len(exported(store)) == 1
    with store.write() as session:
        missed.withdraw(session, anna, made, None, 2)
    assert exported(store) == []


def test_the_export_is_masked_and_scoped(store: Store, screener: Screener, judge: Judge) -> None:
    said = f"{ABUSE}，电话13812345678"
    kept(store, screener, [chat("c1", said, vendor_id="v1"), chat("c2", ABUSE, vendor_id="v2")])
    judge(1, FlagJudgement(0, "confirmed"))
    judge(2, FlagJudgement(0, "confirmed"))
    texts = [one["text"] for one in exported(store, raw=False)]
    assert texts[1] == ABUSE
    assert "13812345678" not in texts[0] and len(texts[0]) == len(said)
    assert [one["text"] for one in exported(store, LEAD._replace(vendor_id="v2"))] == [ABUSE]


def test_precision_per_rule_and_signal_with_intervals(store: Store, screener: Screener, judge: Judge) -> None:
    kept(store, screener, [chat(f"c{i}", ABUSE, vendor_id=f"v{i % 2}") for i in range(10)] + [chat("d", IMPATIENCE)])
    for i in range(10):
        verdict = FlagJudgement(0, "confirmed") if i < 7 else FlagJudgement(0, "rejected", "quoted")
        judge(i + 1, verdict if i != 9 else FlagJudgement(0, "unsure"), at=100 + i)
    judge(11, FlagJudgement(0, "confirmed"), FlagJudgement(1, "rejected", "quoted"), at=200)
    version = next(rule.version for rule in screener.lexicon.rules if rule.id == "abuse-are-you-stupid")
    with store.read() as session:
        found = precision.judged(session)
        by_signal = {one.signal: one for one in precision.judged(session, "signal")}
        early = precision.judged(session, start=100, end=104)
        of_vendor = precision.judged(session, "signal", vendor_id="v1")
    assert found[0][:4] == ("rule", "abuse-are-you-stupid", version, "rudeness.abuse")
    assert (found[0].confirmed, found[0].rejected, found[0].unsure) == (7, 2, 1)
    assert found[0].precision == pytest.approx(7 / 9)
    assert found[0].interval == wilson(7, 9)
    assert len(found) == 3
    impatience = by_signal["rudeness.impatience"]
    assert (impatience.rule, impatience.confirmed, impatience.rejected) == (None, 1, 1)
    assert [(one.rule, one.confirmed) for one in early] == [("abuse-are-you-stupid", 4)]
    assert sum(of_vendor[0][4:7]) == 5
    judged = precision.scores(found, {rule.id: rule.version for rule in screener.lexicon.rules})
    assert judged["abuse-are-you-stupid"] == (version, 7, 2)
    assert "abuse-are-you-stupid" not in precision.scores(found, {"abuse-are-you-stupid": version + 1})
    of_models = [one._replace(source="model") for one in found]
    assert precision.scores(of_models, {}) == {} and "abuse-are-you-stupid" in precision.scores(found, {})
    scores = Scores(screener.lexicon.scores, judged)
    prior = Scores(screener.lexicon.scores).score("rudeness.abuse", "abuse-are-you-stupid", version)[0]
    posterior, still_prior = scores.score("rudeness.abuse", "abuse-are-you-stupid", version)
    assert posterior < prior and still_prior
    assert scores.score("rudeness.abuse", "abuse-are-you-stupid", version + 1) == (prior, True)
