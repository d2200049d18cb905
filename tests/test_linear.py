import numpy as np
import pytest

from models.features import FACTS, HASHED, TurnText, turn_text
from models.linear import LinearModel, entries
from screening.readers.jsonl import read
from screening.samples import ARCHIVE

SIGNALS = ("rudeness.abuse", "rudeness.threat", "shirking")
ROWS = HASHED + len(FACTS)


@pytest.fixture(scope="module")
def turns() -> list[TurnText]:
    """Turns of the archive, some as if they were folded."""
    found = []
    for conversation in list(read(ARCHIVE, ARCHIVE.name))[:8]:
        roles, texts = [turn.role for turn in conversation.turns], [turn.text for turn in conversation.turns]
        found += [turn_text(roles, texts, i, text[::2] if i % 4 == 0 else text) for i, text in enumerate(texts)]
    return [*found, TurnText(("", "", "", ""), 0), TurnText(("好", "", "", ""), 1)]


@pytest.fixture(scope="module")
def model() -> LinearModel:
    random = np.random.default_rng(0)
    weights = random.normal(size=(ROWS, len(SIGNALS) + 1)).astype(np.float16).astype(np.float32)
    return LinearModel(SIGNALS, weights, random.normal(size=len(SIGNALS) + 1).astype(np.float32))


def every(model, turns):
    return np.column_stack([model.scores(turns), model.any(turns), *(model.signal(turns, signal) for signal in SIGNALS)])


def test_a_turn_scores_the_same_alone_as_among_others_bit_for_bit(model, turns):
    together = every(model, turns)
    alone = np.concatenate([every(model, [turn]) for turn in turns])
    assert together.tobytes() == alone.tobytes()
    assert every(model, turns[::-1])[::-1].tobytes() == together.tobytes()
    assert model.scores([]).shape == (0, len(SIGNALS)) and model.any([]).shape == (0,)


def test_scores_are_weights_times_the_features_that_training_sees(model, turns):
    rows, columns, values = entries(turns)
    dense = np.zeros((len(turns), len(SIGNALS) + 1))
    np.add.at(dense, rows, values[:, None].astype(float) * model._weights[columns])
    dense += model._bias
    assert np.abs(model.scores(turns) - dense[:, :-1]).max() < 1e-5
    assert np.abs(model.any(turns) - dense[:, -1]).max() < 1e-5
    for k, signal in enumerate(SIGNALS):
        assert np.abs(model.signal(turns, signal) - dense[:, k]).max() < 1e-5


def test_a_block_of_text_counts_as_much_in_a_long_turn_as_in_a_short_one(turns):
    rows, _, values = entries(turns)
    for i, turn in enumerate(turns[:40]):
        squares = float((values[(rows == i) & (values != 1.0)] ** 2).sum())
        assert squares == pytest.approx(
            sum(w * w for w, text in zip((1, 0.5, 0.7, 0.4), turn.blocks, strict=True) if text), rel=1e-5
        )


def test_a_model_survives_its_file(tmp_path, model, turns):
    model.save(tmp_path / "linear.npz")
    again = LinearModel.load(tmp_path / "linear.npz", SIGNALS)
    assert every(again, turns).tobytes() == every(model, turns).tobytes()


def test_weights_that_fit_other_signals_are_refused(tmp_path, model):
    model.save(tmp_path / "linear.npz")
    with pytest.raises(ValueError, match="do not fit 2 signals"):
        LinearModel.load(tmp_path / "linear.npz", SIGNALS[:2])


@pytest.mark.train
def test_the_kernel_is_scikit_learn_s_decision_function(tmp_path, turns):
    from sklearn.linear_model import LogisticRegression

    from models import fit_linear

    random = np.random.default_rng(1)
    shows = random.random((len(turns), len(SIGNALS))) < 0.3
    agents = np.arange(len(turns)) % 3 > 0
    fitted = fit_linear.fit(turns, shows, SIGNALS, agents, np.ones(shows.shape, dtype=np.float32))
    fitted.save(tmp_path / "linear.npz")
    served = LinearModel.load(tmp_path / "linear.npz", SIGNALS)

    features = fit_linear.design(turns)
    kept = np.flatnonzero(np.bincount(features.indices, minlength=ROWS) >= fit_linear.SEEN)
    features = features[:, kept]
    targets = [*shows.T, shows.any(axis=1)]
    for k, target in enumerate(targets):
        rows = agents if k == len(SIGNALS) else np.ones(len(turns), dtype=bool)
        own = LogisticRegression(C=fit_linear.STRENGTH, solver="liblinear", class_weight="balanced").fit(
            features[rows], target[rows]
        )
        own.coef_ = own.coef_.astype(np.float16).astype(np.float64)
        scores = served.any(turns) if k == len(SIGNALS) else served.scores(turns)[:, k]
        assert np.abs(scores - own.decision_function(features)).max() < 1e-5
        assert np.abs(scores).max() > 1


@pytest.mark.train
def test_a_hash_that_one_example_shows_has_no_weight(turns):
    from models import fit_linear

    shows = np.arange(len(turns))[:, None] % np.array([2, 3, 5]) == 0
    fitted = fit_linear.fit(turns, shows, SIGNALS, np.ones(len(turns), dtype=bool), np.ones(shows.shape, dtype=np.float32))
    counts = np.bincount(fit_linear.design(turns).indices, minlength=ROWS)
    assert not fitted._weights[counts < fit_linear.SEEN].any()
    assert fitted._weights[counts >= fit_linear.SEEN].any(axis=1).mean() > 0.9
