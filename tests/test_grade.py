from lexicons.load import packaged
from screening.grade import candidates, level
from screening.types import Finding, Flag, Source, Span

STANDARD = packaged().standards["jd-zhitongche"]


def graded(*findings: Finding):
    flags = [Flag(f.signal, f.turn, 0, 1, "x", f.score or 0.5, f.status, Source(f.kind, f.id, 1), f.why) for f in findings]
    return candidates(findings, flags, [STANDARD])


def finding(signal, turn=0, **fields):
    return Finding(signal, turn, Span(0, 1), "rule", "r", 1, "why", **fields)


def test_one_candidate_per_clause_with_all_its_flags():
    (found,) = graded(finding("rudeness.abuse", 1), finding("rudeness.threat", 3))
    assert (found.clause, found.flags, found.points, found.severe) == ("A.attitude", (0, 1), 50, False)


def test_the_score_is_the_best_flag_and_nothing_is_added_up():
    (found,) = graded(finding("shirking", 1, score=0.4), finding("shirking", 3, score=0.7))
    assert found.score == 0.7


def test_excused_and_shadow_flags_carry_nothing():
    assert graded(finding("shirking", status="excused"), finding("shirking", status="shadow")) == ()


def test_what_is_graded_a_or_b_is_not_graded_again_as_c_on_the_same_turn():
    assert [c.clause for c in graded(finding("shirking", 1), finding("promise.vague", 1))] == ["B.shirking"]
    assert [c.clause for c in graded(finding("shirking", 1), finding("promise.vague", 3))] == ["B.shirking", "C.key_information"]


def test_precedence_compares_intervals_for_timing():
    slow = finding("response.slow_first", 1, interval=(0.0, 90.0))
    upset = finding("response.unattended_emotion", 1, interval=(10.0, 90.0))
    later = finding("response.unattended_emotion", 5, interval=(200.0, 290.0))
    assert [c.clause for c in graded(slow, upset)] == ["B.attitude"]
    assert [c.clause for c in graded(slow, later)] == ["B.attitude", "C.process"]


def test_references_narrow_the_clause():
    both = graded(finding("leak.customer_data"))
    assert {c.clause for c in both} == {"A.harassment", "A.confidentiality"}
    (one,) = graded(finding("leak.customer_data", references=("jd-zhitongche/A.confidentiality",)))
    assert one.clause == "A.confidentiality"


def test_a_threshold_of_another_standard_does_not_count():
    assert graded(finding("response.slow", None, standards=frozenset({"ecommerce-service-manual"}))) == ()
    assert len(graded(finding("response.slow", None, standards=frozenset({"jd-zhitongche"})))) == 1


def test_one_entry_error_is_left_to_the_ledger():
    assert graded(finding("entry.error", None)) == ()


def test_order_and_level():
    found = graded(finding("promise.vague", 1), finding("shirking", 3), finding("disparagement", 5))
    assert [c.level for c in found] == ["A", "B", "C"]
    assert level(found) == "A" and level(()) is None
