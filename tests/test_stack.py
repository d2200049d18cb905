from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.stack import OPINIONS, Stack, Thresholds, opinions

SIGNALS = ("rudeness.abuse", "shirking")
STACK = Stack(
    weights=(0.6, 0.4, 0.5),
    intercepts={"shirking": -1.5, "rudeness.abuse": 0.25},
    thresholds=dict.fromkeys(SIGNALS, Thresholds(0.8, 0.3)),
)
ODDS = st.tuples(st.floats(-30, 30), st.floats(-30, 30))


@given(ODDS, ODDS, st.dictionaries(st.sampled_from(SIGNALS), st.floats(0.01, 0.99)))
def test_probabilities_are_those_of_a_slow_reference(linear, encoder, rules):
    cells = opinions(SIGNALS, linear, encoder, rules)
    assert cells.shape == (len(SIGNALS), len(OPINIONS))
    for k, signal in enumerate(SIGNALS):
        total = STACK.intercepts[signal] + 0.6 * linear[k] + 0.4 * encoder[k]
        if signal in rules:
            total += 0.5 * log(rules[signal] / (1 - rules[signal]))
        assert STACK.probabilities(SIGNALS, cells)[k] == pytest.approx(1 / (1 + exp(-total)), rel=1e-9)


def test_a_rule_without_doubt_counts_as_a_thousand_judged_flags_would():
    cells = opinions(SIGNALS, [0, 0], [0, 0], {"rudeness.abuse": 1.0, "shirking": 0.0})
    assert cells[:, OPINIONS.index("rule")] == pytest.approx([log(999), -log(999)])


def test_no_rule_says_nothing():
    assert opinions(SIGNALS, [1, 2], [3, 4], {"leak.internal": 0.9}).tolist() == [[1, 3, 0], [2, 4, 0]]


def test_signals_may_be_asked_in_any_order():
    cells = opinions(SIGNALS, [1, -2], [3, 0], {})
    assert np.array_equal(STACK.probabilities(SIGNALS, cells), STACK.probabilities(SIGNALS[::-1], cells[::-1])[::-1])
