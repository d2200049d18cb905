import msgspec
import pytest

from lexicons.load import packaged
from lexicons.signals import SIGNALS
from screening.detect import rules
from screening.errors import InputError
from screening.pipeline import Screener
from screening.profile import Override, Profile
from screening.replay import differences, encode
from screening.types import Conversation, Finding, Screening, Span, Turn
from tests.conftest import active, conversation


def test_one_by_one_and_in_a_batch_are_the_same_bytes(screener, archive):
    together = [encode(s) for s in screener.screen_many(archive)]
    assert together == [encode(screener.screen(c)) for c in archive]
    assert together == [encode(s) for s in Screener().screen_many(reversed(archive))][::-1]


def test_a_screening_survives_its_own_json(screener, archive):
    for screening in screener.screen_many(archive):
        assert msgspec.json.decode(encode(screening), type=Screening) == screening


def test_contract_of_every_flag_and_candidate(screener, archive):
    for conversation_, screening in zip(archive, screener.screen_many(archive), strict=True):
        for flag in screening.flags:
            assert flag.signal in SIGNALS
            assert flag.why and flag.source.id
            assert 0 <= flag.score <= 1 and round(flag.score, 3) == flag.score
            if flag.turn is None:
                assert (flag.start, flag.end, flag.quote) == (None, None, "")
            else:
                assert conversation_.turns[flag.turn].text[flag.start : flag.end] == flag.quote
        assert len({(c.standard, c.clause) for c in screening.candidates}) == len(screening.candidates)
        assert all(screening.flags[i].status == "active" for c in screening.candidates for i in c.flags)
        assert screening.level == min((c.level for c in screening.candidates), default=None)


def test_no_signal_is_flagged_twice_at_one_place(screener, archive):
    for screening in screener.screen_many(archive):
        seen: dict = {}
        for flag in screening.flags:
            for start, end in seen.setdefault((flag.signal, flag.turn, flag.why if flag.turn is None else ""), []):
                assert flag.turn is None or not (flag.start < end and start < flag.end), flag
            seen[flag.signal, flag.turn, flag.why if flag.turn is None else ""].append((flag.start or 0, flag.end or 0))


def test_a_detector_that_fails_makes_the_screening_incomplete(screener, monkeypatch):
    def broken(self, reading):
        raise RuntimeError("secret text of the customer")

    monkeypatch.setattr(rules.RuleDetector, "detect", broken)
    screening = screener.screen(conversation(("customer", "在吗", 0), ("agent", "在的", 5)))
    assert not screening.complete
    assert rules.NAME in screening.not_checked
    assert screening.failures[0].error == "RuntimeError"
    assert b"secret" not in encode(screening)


class Nagging:
    name, version, engine = "nagging", "sha256:0", "by hand"

    def detect(self, readings, found):
        finding = Finding("rudeness.mockery", 1, Span(0, 1), "model", "nagging", 1, "a model says so", score=0.7)
        return [[*findings, finding] for _, findings in zip(readings, found, strict=True)]


def test_a_classifier_is_one_more_detector():
    screening = Screener(detectors=[Nagging()]).screen(conversation(("customer", "在吗"), ("agent", "在的")))
    assert screening.versions.models == {"nagging": "sha256:0"}
    assert screening.versions.engine.endswith(", by hand")
    assert screening.flags[0].score == 0.7
    assert screening.candidates[0].clause == "A.attitude"


class Broken:
    """Fails on one conversation, and so on every batch that holds it."""

    name, version, engine = "broken", "1", "by hand"

    def detect(self, readings, found):
        if any(reading.conversation.turns[0].text == "毒" for reading in readings):
            raise ValueError
        return [list(findings) for findings in found]


def test_a_broken_classifier_costs_only_itself_and_only_where_it_breaks():
    turns = ("agent", "你就是个傻逼")
    poisoned, sound = conversation(("customer", "毒"), turns), conversation(("customer", "在吗"), turns)
    first, second = Screener(detectors=[Broken()]).screen_many([poisoned, sound])
    assert not first.complete and "broken" in first.not_checked
    assert first.failures[0].error == "ValueError"
    assert second.complete and not second.failures
    assert ("rudeness.abuse", 1) in active(first) and ("rudeness.abuse", 1) in active(second)


def test_replay_names_the_version_that_changed(screener, archive):
    before = next(s for s in screener.screen_many(archive) if s.flags)
    assert list(differences(before, before)) == []
    other = msgspec.structs.replace(before, versions=msgspec.structs.replace(before.versions, lexicon="sha256:old"), flags=())
    told = list(differences(before, other))
    assert any(line.startswith("version of lexicon changed") for line in told)
    assert any(line.startswith("- flag") for line in told)
    assert not any(flag.quote in line for line in told for flag in before.flags if len(flag.quote) > 3)


def test_a_profile_chooses_standards_and_overrides_limits():
    turns = (("customer", "在吗", 0), ("agent", "在的呢", 45), ("customer", "谢谢", 47))
    both = Screener(profile_=Profile(standards=("jd-zhitongche", "ecommerce-service-norm")))
    flags = both.screen(conversation(*turns)).flags
    late = [flag for flag in flags if flag.signal == "response.slow_first"]
    assert len(late) == 1 and "ecommerce-service-norm" in late[0].why
    strict = Screener(profile_=Profile(overrides=(Override("response.slow_first", ("online",), 10),)))
    late = [flag for flag in strict.screen(conversation(*turns)).flags if flag.signal == "response.slow_first"]
    assert len(late) == 1 and "profile default" in late[0].why
    assert active(Screener().screen(conversation(*turns)), "response.slow_first") == []


def test_a_threshold_leads_to_its_own_clause_where_a_signal_has_several():
    norm = Screener(profile_=Profile(standards=("ecommerce-service-norm",), thresholds_from=()))
    late = norm.screen(conversation(("customer", "在吗", 0), ("agent", "您好，在的", 45), ("customer", "谢谢", 47)))
    assert [c.clause for c in late.candidates if "response" in c.clause] == ["online.response"]


def test_greeting_and_closing_are_asked_only_by_standards_that_demand_them():
    turns = (("customer", "有货吗", 0), ("agent", "有的", 5), ("customer", "好的", 7))
    wanting = Screener(profile_=Profile(standards=("tencent-zhongchuang",)))
    found = active(wanting.screen(conversation(*turns, ended_by="agent")), "process.")
    assert ("process.no_greeting", 1) in found and ("process.no_closing", 1) in found
    assert active(wanting.screen(conversation(*turns, ended_by="customer")), "process.no_closing") == []
    assert active(Screener().screen(conversation(*turns)), "process.") == []


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (Profile(standards=("nobody",)), "no standard 'nobody'"),
        (Profile(overrides=(Override("rude", ("online",), 1),)), "'rude', which has no limit"),
        (Profile(overrides=(Override("response.slow", ("online",), -1),)), "is negative"),
        (Profile(standards=()), "at least one standard"),
        (Profile(timezone="America"), "no time zone"),
        (Profile(timezone="Mars/Base"), "no time zone"),
        (Profile(auto_replies=("(",)), "auto_replies"),
    ],
)
def test_a_profile_that_names_what_is_not_there_is_refused(profile, message):
    with pytest.raises(InputError, match=message):
        Screener(packaged(), profile)


def test_times_without_an_offset_are_taken_in_the_configured_zone(screener):
    aware = conversation(("customer", "在吗", 0), ("agent", "在的", 90), ("customer", "好", 95))
    naive = Conversation(id="c-1", turns=tuple(Turn(t.role, t.text, at=t.at.replace(tzinfo=None)) for t in aware.turns))
    assert screener.screen(aware).flags == screener.screen(naive).flags
