"""Thresholds, clearing and curves on arrays whose answers are known."""

import numpy as np
import pytest

from models.artefact import Clear
from models.opinions import Opinions
from models.stack import OPINIONS, Thresholds

pytestmark = pytest.mark.train

ABUSE, SHIRKING, CUSTOMERS = SIGNALS = ("rudeness.abuse", "shirking", "sensitive_complaint")


@pytest.fixture(scope="module")
def calibrate():
    """The module; it needs scikit-learn."""
    from models import calibrate

    return calibrate


def cells(*groups):
    """(scores, truth) of one signal from groups of (score, right, wrong)."""
    sure, shows = [], []
    for score, right, wrong in groups:
        sure += [score] * (right + wrong)
        shows += [True] * right + [False] * wrong
    return np.array(sure)[:, None], np.array(shows)[:, None]


def made(opinions, shows, briefs, agents, first=None, second=None):
    agents = np.asarray(agents, dtype=bool)
    customers = np.array([signal == CUSTOMERS for signal in SIGNALS[: shows.shape[1]]])
    return Opinions(
        opinions=np.asarray(opinions, dtype=float),
        shows=shows,
        asked=agents[:, None] != customers[None, :],
        first=np.zeros(len(agents)) if first is None else np.asarray(first, dtype=float),
        second=np.zeros(len(agents)) if second is None else np.asarray(second, dtype=float),
        briefs=np.asarray(briefs),
        agents=agents,
    )


@pytest.fixture(scope="module")
def data() -> Opinions:
    """Six hundred turns of three briefs; the encoder is worth twice the linear tier, rules say nothing of use."""
    random = np.random.default_rng(0)
    shows = random.random((600, 3)) < 0.3
    agents = random.random(600) < 0.8
    odds = random.normal(size=(600, 3, 3)) + shows[:, :, None] * np.array([1.0, 2.0, 0.0]) - np.array([0.5, 1.0, 0.0])
    own = made(odds, shows, np.repeat(["b1", "b2", "b3"], 200), agents, odds[:, :, 0].max(axis=1), odds[:, :, 1].max(axis=1))
    return own._replace(shows=own.shows & own.asked)


def test_a_threshold_is_the_lowest_that_is_precise_enough(calibrate):
    sure, shows = cells((0.905, 90, 0), (0.705, 20, 10), (0.605, 10, 90))
    assert calibrate.thresholds((SHIRKING,), sure, shows)[SHIRKING] == Thresholds(flag=0.61, look=0.3)  # 110 of 120 are right
    assert calibrate.thresholds((ABUSE,), sure, shows)[ABUSE] == Thresholds(flag=0.71, look=0.3)  # a family wants 0.93


def test_nothing_is_flagged_that_is_less_likely_than_not(calibrate):
    sure, shows = cells((0.99, 50, 1), (0.1, 0, 500))
    assert calibrate.thresholds((SHIRKING,), sure, shows)[SHIRKING] == Thresholds(flag=0.5, look=0.3)


def test_a_signal_that_is_never_precise_enough_has_the_highest_threshold(calibrate):
    sure, shows = cells((0.99, 50, 50), (0.5, 10, 90))
    assert calibrate.thresholds((SHIRKING,), sure, shows)[SHIRKING] == Thresholds(flag=0.95, look=0.3)


def test_few_hits_are_not_believed_before_all_signals_are_as_precise(calibrate):
    """Three right of three are shrunk to the precision of all: (3 + 10 * 0.5) / 13 at 0.5, (3 + 10 * 100 / 103) / 13 at 0.81."""
    sure, shows = np.zeros((203, 2)), np.zeros((203, 2), dtype=bool)
    sure[:100, 0], sure[100:200, 0] = 0.9, 0.805
    shows[:100, 0] = True
    sure[200:, 1], shows[200:, 1] = 0.9, True
    assert calibrate.thresholds((SHIRKING, "leak.internal"), sure, shows) == dict.fromkeys(
        (SHIRKING, "leak.internal"), Thresholds(flag=0.81, look=0.3)
    )


def test_a_cleared_turn_was_rarely_to_be_flagged(calibrate):
    """Of 600 rightly flagged turns the first look may clear a third of one in a hundred, 2, the second two thirds, 3 of 598."""
    first = np.arange(1200.0)
    flagged = np.arange(1200) >= 600
    agents = np.ones(1200)
    own = made(np.zeros((1200, 1, 3)), np.zeros((1200, 1), dtype=bool), ["b1"] * 1200, agents, first, -first)
    limits = calibrate.clear(own, flagged)
    assert limits["agent"] == Clear(any=602 - 1e-3, both=-(1199 - 3) - 1e-3)
    assert sum(flagged & (first < limits["agent"].any)) == 2
    assert sum(flagged & (first >= limits["agent"].any) & (-first < limits["agent"].both)) == 3


def test_turns_that_a_rule_flags_are_never_cleared_and_leave_their_share_to_the_others(calibrate):
    opinions = np.zeros((1000, 1, 3))
    opinions[:900, 0, OPINIONS.index("rule")] = 2.0
    first = np.where(np.arange(1000) < 900, -50.0, np.arange(1000))
    own = made(opinions, np.ones((1000, 1), dtype=bool), ["b1"] * 1000, np.ones(1000), first, first)
    limits = calibrate.clear(own, np.ones(1000, dtype=bool))["agent"]
    # A hundredth of the thousand may go: three at the first look, and of the 97 left as many as two thirds of it.
    assert limits.any == pytest.approx(903 - 1e-3)
    assert sum(first[900:] < limits.both) in (9, 10)


def test_where_rules_find_nearly_all_the_rest_may_be_cleared(calibrate):
    opinions = np.zeros((1000, 1, 3))
    opinions[:-2, 0, OPINIONS.index("rule")] = 2.0
    own = made(opinions, np.ones((1000, 1), dtype=bool), ["b1"] * 1000, np.ones(1000), np.arange(1000.0), np.arange(1000.0))
    assert calibrate.clear(own, np.ones(1000, dtype=bool))["agent"] == Clear(999 - 1e-3, 999 - 1e-3)


def test_customers_turns_have_limits_of_their_own(calibrate):
    agents = np.arange(20) < 10
    own = made(np.zeros((20, 1, 3)), np.zeros((20, 1), dtype=bool), ["b1"] * 20, agents, np.arange(20.0), np.arange(20.0) * 2)
    limits = calibrate.clear(own, np.ones(20, dtype=bool))
    assert limits == {"agent": Clear(-1e-3, -1e-3), "customer": Clear(10 - 1e-3, 20 - 1e-3)}


def test_where_nothing_is_to_be_flagged_nothing_is_cleared(calibrate):
    own = made(np.zeros((4, 1, 3)), np.zeros((4, 1), dtype=bool), ["b1"] * 4, np.ones(4), [-50, -9, 0, 9])
    limits = calibrate.clear(own, np.zeros(4, dtype=bool))
    assert limits["agent"].any < -900 and limits["customer"].both < -900


def test_the_curve_of_scores_that_say_how_often_they_are_right(calibrate):
    sure, shows = cells((0.9, 90, 10), (0.5, 50, 50), (0.1, 100, 0))
    error, bins = calibrate.curve(sure, shows, np.ones_like(shows), bins=2)
    assert error == pytest.approx(0)
    assert [(round(mean, 6), share, size) for mean, share, size in bins] == [(0.5, 0.5, 100), (0.9, 0.9, 100)]


def test_the_curve_of_scores_that_promise_too_much(calibrate):
    sure, shows = cells((0.9, 60, 40), (0.5, 40, 60))
    error, _ = calibrate.curve(sure, shows, np.ones_like(shows), bins=2)
    assert error == pytest.approx((0.3 + 0.1) / 2)
    asked = np.arange(200)[:, None] >= 100
    assert calibrate.curve(sure, shows, asked, bins=1).error == pytest.approx(0.1)
    assert calibrate.curve(sure, shows, np.zeros_like(shows)) == (0, [])


def test_precision_and_recall_count_what_may_be_asked(calibrate):
    sure = np.array([[0.9, 0.9, 0.9], [0.9, 0.1, 0.9], [0.1, 0.9, 0.9]])
    shows = np.array([[True, False, False], [True, True, False], [False, True, True]])
    own = made(np.zeros((3, 3, 3)), shows, ["b1"] * 3, [1, 1, 0])._replace(
        asked=np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    )
    own = own._replace(shows=shows & own.asked)
    found = calibrate.measured(SIGNALS, sure, own, dict.fromkeys(SIGNALS, Thresholds(0.5, 0.3)))["signals"]
    assert found[ABUSE]["precision"][:3] == [1.0, 2, 2] and found[ABUSE]["recall"][:3] == [1.0, 2, 2]
    assert found[SHIRKING]["precision"][:3] == [0.0, 0, 1] and found[SHIRKING]["recall"][:3] == [0.0, 0, 1]
    assert found["all"]["precision"][:3] == [0.75, 3, 4] and found["all"]["recall"][:3] == [0.75, 3, 4]
    nothing = calibrate.measured(SIGNALS, sure * 0, own, dict.fromkeys(SIGNALS, Thresholds(0.5, 0.3)))["signals"]
    assert nothing["all"]["precision"] == [None, 0, 0, 0.0, 1.0]
    assert calibrate.rightly_flagged(SIGNALS, sure, own, dict.fromkeys(SIGNALS, Thresholds(0.5, 0.3))).tolist() == [
        True,
        True,
        True,
    ]
    assert not calibrate.rightly_flagged(SIGNALS, sure, own, dict.fromkeys(SIGNALS, Thresholds(0.95, 0.3))).any()


def test_the_stack_learns_what_each_opinion_is_worth(calibrate, data):
    stack = calibrate.fit_stack(SIGNALS, data, np.ones(600, dtype=bool))
    linear, encoder, rule = stack.weights
    assert len(stack.weights) == len(OPINIONS)
    assert encoder > 1.5 * linear > 0.8 and abs(rule) < 0.2
    assert {*stack.intercepts} == {*SIGNALS}
    sure = np.array([stack.probabilities(SIGNALS, own) for own in data.opinions])
    assert sure[data.asked].mean() == pytest.approx(data.shows[data.asked].mean(), abs=0.01)


def test_a_stack_never_sees_the_brief_it_is_measured_on(calibrate, data):
    sure = calibrate.across_briefs(SIGNALS, data)
    own = data.briefs == "b2"
    turned = calibrate.across_briefs(SIGNALS, data._replace(shows=np.where(own[:, None], ~data.shows, data.shows)))
    assert np.array_equal(sure[own], turned[own])
    assert not np.allclose(sure[~own], turned[~own])
    assert not sure[~data.asked].any() and (sure[data.asked] > 0).all()
