"""The packaged classifier in service, also with other limits and thresholds than its own."""

from collections import Counter
from copy import copy

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from api import classifiers
from api.cli import app
from lexicons.signals import CUSTOMER_SIGNALS
from models import encoder
from models.artefact import DEFAULT, Clear
from models.cascade import EXCUSE, Judged, _sentence, _span
from models.encoder import ENCODER, Encoder, Judgement
from models.rows import SIGNALS
from models.stack import OPINIONS, Thresholds
from screening import cli_options
from screening.detect.reading import Batch
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Span
from tests.conftest import active, conversation

EVERYTHING, NOTHING = Clear(-1e9, -1e9), Clear(1e9, 1e9)
TALK = (
    *(("system", "会话开始"), ("customer", "我不会弄这个"), ("bot", "正在为您转接"), ("agent", "您好，我来帮您看看")),
    *(("customer", "好的谢谢"), ("agent", "你就是个傻逼")),
)


def with_(cascade, clear=None, look=None, flag=None):
    """The same classifier with other limits for both roles, and other thresholds for all signals; it remembers nothing yet."""
    own = copy(cascade)
    own._encoder = copy(cascade._encoder)
    own._encoder._judged = type(cascade._encoder._judged)()
    stack, limits = cascade.manifest.stack, dict(cascade.manifest.clear)
    if look is not None:
        stack = msgspec.structs.replace(stack, thresholds=dict.fromkeys(SIGNALS, Thresholds(flag=flag, look=look)))
    if clear is not None:
        limits = {"agent": clear, "customer": clear}
    own.manifest = msgspec.structs.replace(cascade.manifest, clear=limits, stack=stack)
    return own


def beside(screener, cascade):
    """The rules of a screener, and this classifier beside them."""
    own = copy(screener)
    own.detectors = (cascade,)
    return own


@pytest.fixture
def screened(screener):
    return lambda cascade, *turns: beside(screener, cascade).screen(conversation(*turns))


def readings(screener, *conversations):
    return list(Batch(conversations, screener.vocabulary).readings())


def test_the_packaged_classifier_is_whole(cascade):
    manifest = cascade.manifest
    assert manifest.signals == SIGNALS and {*manifest.clear} == {"agent", "customer"}
    assert {*manifest.stack.thresholds} == {*manifest.stack.intercepts} == {*SIGNALS}
    assert len(manifest.stack.weights) == len(OPINIONS) and min(manifest.stack.weights) > 0
    assert all(0 < own.look <= own.flag < 1 for own in manifest.stack.thresholds.values())
    assert {path.name for path in DEFAULT.iterdir()} == {*manifest.files, "manifest.json", "card.md"}
    assert (DEFAULT / ENCODER).stat().st_size < 16 * 2**20


def test_one_by_one_and_in_a_batch_are_the_same_bytes(cascade, screener, archive):
    few = archive[:4]
    fresh = [beside(screener, with_(cascade, EVERYTHING, look=0.001, flag=0.3)) for _ in range(3)]
    together = [encode(s) for s in fresh[0].screen_many(few)]
    assert together == [encode(fresh[1].screen(c)) for c in few]
    assert together == [encode(s) for s in fresh[2].screen_many(few[::-1])][::-1]
    assert together == [encode(s) for s in fresh[1].screen_many(few)]  # what is remembered is what was said
    assert all(b'"kind":"model"' in line for line in together)


@pytest.mark.slow
def test_the_whole_archive_replays_to_the_byte_and_keeps_the_contract(cascade, archive):
    together = list(Screener(detectors=[with_(cascade)]).screen_many(archive))
    other = Screener(detectors=[with_(cascade)])
    assert [encode(s) for s in together] == [encode(other.screen(c)) for c in archive]
    for conversation_, screening in zip(archive, together, strict=True):
        assert screening.complete and screening.versions.models == {"cascade": cascade.version}
        for flag in screening.flags:
            assert flag.source.kind != "model" or flag.signal in SIGNALS
            assert 0 <= flag.score <= 1 and round(flag.score, 3) == flag.score
            if flag.turn is not None:
                assert conversation_.turns[flag.turn].text[flag.start : flag.end] == flag.quote


def test_a_signal_is_asked_of_the_role_that_can_show_it(cascade, screened):
    found = screened(with_(cascade, EVERYTHING, look=0.0, flag=0.0), *TALK)
    assert found.complete
    shown = Counter((flag.turn, flag.signal) for flag in found.flags if flag.source.kind in ("model", "rule"))
    agents = {(turn, signal) for turn in (3, 5) for signal in SIGNALS if signal not in CUSTOMER_SIGNALS}
    assert {*shown} == agents | {(turn, signal) for turn in (1, 4) for signal in CUSTOMER_SIGNALS}
    for flag in found.flags:
        assert TALK[flag.turn][1][flag.start : flag.end] == flag.quote != ""
        assert flag.source.kind != "model" or (flag.source.id, flag.source.version) == ("cascade", cascade.manifest.version)


def test_thresholds_part_flags_from_what_a_person_should_look_at(cascade, screened):
    def model_flags(look, flag):
        return [f for f in screened(with_(cascade, EVERYTHING, look, flag), *TALK).flags if f.source.kind == "model"]

    every = model_flags(0.0, 0.5)
    assert every and all((own.status == "active") == (own.score >= 0.5) for own in every if own.score != 0.5)
    assert {own.status for own in model_flags(0.0, 1.1)} == {"shadow"}
    assert model_flags(1.1, 1.1) == []
    assert [own.signal for own in model_flags(0.02, 1.1)] == [own.signal for own in every if own.score >= 0.02]


def test_a_cleared_turn_keeps_what_rules_and_conduct_found(cascade, screener, screened):
    rules = screener.screen(conversation(*TALK))
    cleared = screened(with_(cascade, NOTHING, look=0.0, flag=0.0), *TALK)
    assert {own.turn for own in cleared.flags if own.source.kind == "model"} == {5}  # a rule flags it: it is never cleared
    by_rule = [own for own in cleared.flags if own.source.kind == "rule"]
    assert [(own.signal, own.turn, own.quote) for own in by_rule] == [(own.signal, own.turn, own.quote) for own in rules.flags]


def test_what_a_rule_found_is_scored_by_all_three_opinions(cascade, screener, screened):
    before = next(own for own in screener.screen(conversation(*TALK)).flags if own.signal == "rudeness.abuse")
    after = next(own for own in screened(with_(cascade), *TALK).flags if own.signal == "rudeness.abuse")
    assert before.source.prior and not after.source.prior
    (reading,) = readings(screener, conversation(*TALK))
    cells, first, both = cascade.opinions(reading, screener._found(reading).findings)
    sure = cascade.manifest.stack.probabilities(SIGNALS, cells)[SIGNALS.index("rudeness.abuse")]
    assert after.score == round(sure, 3) > 0.5
    agents = [k for k, signal in enumerate(SIGNALS) if signal not in CUSTOMER_SIGNALS]
    assert both == pytest.approx(first + cells[agents, OPINIONS.index("linear")].max(), abs=1e-5)


@pytest.mark.parametrize(("intercept", "status", "level"), [(-9.0, "excused", None), (9.0, "active", "A")])
def test_a_rule_s_flag_that_is_less_likely_than_not_is_excused(cascade, screened, intercept, status, level):
    own = with_(cascade, NOTHING)
    stack = msgspec.structs.replace(
        own.manifest.stack, weights=(0.0,) * len(OPINIONS), intercepts=dict.fromkeys(SIGNALS, intercept)
    )
    own.manifest = msgspec.structs.replace(own.manifest, stack=stack)
    found = screened(own, *TALK)
    flag = next(flag for flag in found.flags if flag.signal == "rudeness.abuse")
    assert (flag.status, flag.source.kind, found.level) == (status, "rule", level)
    assert (flag.excused_by == EXCUSE) == (status == "excused")


def test_nothing_that_is_given_is_changed(cascade, screener):
    few = readings(screener, conversation(*TALK), conversation(("agent", "在的")))
    found = [screener._found(reading).findings for reading in few]
    before = [list(findings) for findings in found]
    after = with_(cascade, EVERYTHING, look=0.0, flag=0.0).detect(few, found)
    assert found == before and [len(own) for own in after] > [len(own) for own in before]


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\n\t", "😀", "？？？", "龘" * 9, "\ufffd", "好" * 3000, "a b  c", "▁▁"])
def test_odd_turns_are_screened(cascade, screened, text):
    for role in ("agent", "customer"):
        found = screened(with_(cascade, EVERYTHING, look=0.0, flag=0.0), ("customer", "在吗"), (role, text))
        assert found.complete, found.failures
        asked = sum(signal in CUSTOMER_SIGNALS for signal in SIGNALS) if role == "customer" else len(SIGNALS) - 1
        assert sum(own.turn == 1 and own.source.kind == "model" for own in found.flags) == asked * (text not in ("", "\u200b"))


def test_a_long_turn_is_as_bad_as_its_worst_window(cascade, screener):
    text = "亲，这边帮您查询到物流信息正在派送中，请您耐心等待。" * 4 + "你就是个傻逼，滚"
    (reading,) = readings(screener, conversation(("customer", "在吗"), ("agent", text)))
    rows = cascade._rows.rows(["customer", "agent"], [reading.clean(0), reading.clean(1)], 1)
    whole, parts = cascade._encoder.judge(rows), [cascade._encoder.judge([row]) for row in rows]
    assert len(rows) > 2
    assert np.array_equal(whole.turn, np.max([part.turn for part in parts], axis=0))
    assert whole.tokens.shape == (len(whole.places), len(SIGNALS)) == (sum(len(part.places) for part in parts), len(SIGNALS))


def test_an_insult_that_a_rule_finds_stands_after_polite_words(cascade, screened):
    polite = "亲，这边帮您查询到物流信息正在派送中，请您耐心等待。"
    for text in (polite + "你就是个傻逼，滚", polite * 4 + "您脑子有病吧"):
        assert ("rudeness.abuse", 1) in active(screened(with_(cascade), ("customer", "在吗"), ("agent", text)))


@pytest.mark.xfail(strict=True, reason="joined by commas it is one sentence, and the training text holds no turn of this kind")
def test_an_insult_that_a_rule_finds_stands_between_polite_clauses(cascade, screened):
    for text in ("您好，很高兴为您服务，你就是个傻逼，滚，祝您生活愉快", "好的呢亲，" * 10 + "滚蛋吧你个傻逼"):
        assert ("rudeness.abuse", 1) in active(screened(with_(cascade), ("customer", "在吗"), ("agent", text)))


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("您好。你就是个傻逼，滚！再见", "傻逼", "你就是个傻逼，滚！"),
        ("你就是个傻逼", "傻逼", "你就是个傻逼"),
        ("好的\n傻逼\n再见", "傻逼", "傻逼\n"),
        ("好；加。我。微。信。嗯", "加。我。微。信", "加。我。微。信。"),
        ("在吗？滚", "滚", "滚"),
    ],
)
def test_the_sentence_of_a_rule_s_words(text, words, sentence):
    start = text.index(words)
    assert _sentence(text, Span(start, start + len(words))) == sentence
    assert _sentence(text, None) == text


def test_the_encoder_remembers_only_the_last_rows(cascade, monkeypatch):
    monkeypatch.setattr(encoder, "_REMEMBERED", 3)
    own = Encoder(DEFAULT / ENCODER)
    rows = [cascade._rows.rows(["agent"], [text], 0) for text in ("好的", "您好", "再见", "谢谢", "抱歉")]
    said = [own.judge(row).turn for row in rows]
    assert len(own._judged) == 3
    assert all(np.array_equal(own.judge(row).turn, before) for row, before in zip(rows, said, strict=True))


PLACES = [(0, 1), (1, 3), (3, 4), (4, 6), (6, 7), (7, 12), (12, 13)]


@pytest.mark.parametrize(
    ("odds", "words"),
    [
        ([-1, -1, -1, -1, -1, -1, -1], None),
        ([-1, 2, -1, -1, -1, -1, -1], (1, 3)),
        ([1, 2, 1, -1, -1, -1, -1], (0, 4)),
        ([2, -1, -1, 1, -1, -1, -1], (0, 6)),  # three characters between them still belong
        ([-1, 1, 1, -1, -1, -1, 2], (12, 13)),  # eight do not: the surest place counts
        ([-1, 2, 1, -1, 1, -1, 1], (1, 7)),
    ],
)
def test_the_words_that_show_a_signal(screener, odds, words):
    """Each character of the original has an invisible one after it, so that clean places are half of the original's."""
    text = "".join(char + "\u200b" for char in "一二三四五六七八九十甲乙丙")
    (reading,) = readings(screener, conversation(("agent", text)))
    judged = Judged(0, 0, np.zeros(1), Judgement(np.zeros(1), np.array(odds, dtype=float)[:, None], PLACES))
    expected = None if words is None else Span(2 * words[0], 2 * words[1] - 1)
    assert _span(reading, judged, 0) == expected


@given(st.lists(st.floats(-2, 2), min_size=7, max_size=7))
def test_the_surest_place_is_always_among_the_words(screener, odds):
    (reading,) = readings(screener, conversation(("agent", "一二三四五六七八九十甲乙丙")))
    judged = Judged(0, 0, np.zeros(1), Judgement(np.zeros(1), np.array(odds)[:, None], PLACES))
    span = _span(reading, judged, 0)
    if span is None:
        assert max(odds) < 0
    else:
        start, end = PLACES[int(np.argmax(odds))]
        assert span.start <= start < end <= span.end
        assert {0.0} < {
            odd for odd, place in zip(odds, PLACES, strict=True) if place[0] == span.start or place[1] == span.end
        } or True


@pytest.fixture
def wired(monkeypatch):
    """The commands as the console script wires them."""
    monkeypatch.setattr(cli_options, "_classifiers", [classifiers.opened])


def test_the_command_takes_a_classifier_or_none(wired, tmp_path):
    line = '{"id": "a", "turns": [{"role": "agent", "text": "你就是个傻逼"}]}\n'
    versions = {}
    for name in ("none", str(DEFAULT)):
        result = CliRunner().invoke(app, ["screen", "-", "--classifier", name], input=line)
        assert result.exit_code == 0
        versions[name] = msgspec.json.decode(result.stdout)["versions"]["models"]
    assert versions["none"] == {} and [*versions[str(DEFAULT)]] == ["cascade"]
    result = CliRunner().invoke(app, ["screen", "-", "--classifier", str(tmp_path)], input=line)
    assert result.exit_code == 2 and "no readable manifest of a classifier" in result.stderr
