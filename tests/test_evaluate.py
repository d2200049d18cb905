import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.evaluate import share_text
from screening.intervals import tails, wilson
from screening.scores import Scores


def test_wilson_interval_of_known_values():
    low, high = wilson(28, 30)
    assert (round(low, 3), round(high, 3)) == (0.787, 0.982)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 1000), st.data())
def test_wilson_interval_holds_the_share(total, data):
    successes = data.draw(st.integers(0, total))
    low, high = wilson(successes, total)
    assert 0 <= low <= successes / total + 1e-12 and successes / total - 1e-12 <= high <= 1


def test_undefined_shares_say_so():
    assert share_text(0, 0) == "n/a"


def test_scores_are_shrunk_to_the_signal_and_prior_until_judged():
    scores = Scores({"rudeness.abuse": (98, 0)}, {"judged": (2, 30, 10), "few": (1, 0, 5)})
    assert scores.score("rudeness.abuse", "new", 1) == (0.99, True)
    assert scores.score("rudeness.abuse", "few", 1) == (round((0 + 9.9) / 15, 3), True)
    judged, prior = scores.score("rudeness.abuse", "judged", 2)
    assert judged == pytest.approx((30 + 9.9) / 50, abs=0.001) and not prior
    assert scores.score("rudeness.abuse", "judged", 3) == (0.99, True)  # another version of the rule begins anew
    assert scores.score("unheard", "x", 1) == (0.5, True)


def test_fishers_tails_by_hand():
    more, fewer = tails(3, 3, 3, 6)  # all three hits of six among three: 1 of 20 ways
    assert (round(more, 9), fewer) == (0.05, 1.0)
    more, fewer = tails(1, 2, 2, 4)  # 6 ways: 1 without, 4 with one, 1 with both
    assert (round(more, 9), round(fewer, 9)) == (round(5 / 6, 9), round(5 / 6, 9))
