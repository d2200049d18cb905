"""The training loop on a network of two layers."""

from random import Random

import numpy as np
import pytest

from models.inputs import ROW
from models.rows import SIGNALS, labelled, row
from tests.tiny import PADDING, example, row_maker, save_base

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

TEXTS = ("您好", "加我微信便宜一百", "这种智商还敢买", "好的", "您自己找厂家去", "稍等我查一下", "傻逼")
SCORED = 5e-2
"""How far scores of other batch shapes may lie apart where the processor computes in bfloat16."""


@pytest.fixture(scope="module")
def fit():
    """The module; it needs torch."""
    from models import fit

    return fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_base(tmp_path_factory.mktemp("base"), TEXTS)


@pytest.fixture
def network(folder):
    """The same weights each time."""
    import torch

    from models import base
    from models.network import Network

    torch.manual_seed(1)
    return Network(base.load(folder).encoder, len(SIGNALS), PADDING)


def rows(count):
    maker = row_maker(TEXTS)
    made = []
    for i in range(count):
        text = TEXTS[i % len(TEXTS)] * (1 + i % 3)
        labels = [(SIGNALS[i % 4], text[:2])] if i % 2 else []
        made.append(row(labelled(example(("customer", TEXTS[i % 3]), ("agent", text), labels=labels)), maker))
    return made


def weights(network):
    return {name: own.numpy().copy() for name, own in network.state_dict().items()}


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one) and one.keys() == other.keys()


def trained(fit, network, checkpoint, rows_of=None, epochs=3, count=24):
    own = rows(count)
    fit.fit(network, rows_of or (lambda epoch: own), None, fit.Schedule(epochs, 8, 1e-3, 3), checkpoint, print)
    return weights(network)


def test_every_row_is_in_one_batch_with_rows_of_like_length(fit):
    own = rows(50)
    for random in (None, Random(0)):
        numbers = []
        for batch in fit.batches(own, 8, PADDING, random):
            numbers += batch.numbers
            lengths = [len(own[i].ids) for i in batch.numbers]
            assert tuple(batch.ids.shape) == (len(lengths), max(lengths)) == tuple(batch.turn.shape)
            for k, i in enumerate(batch.numbers):
                assert batch.ids[k].tolist() == own[i].ids + [PADDING] * (max(lengths) - lengths[k])
                assert np.flatnonzero(batch.turn[k]).tolist() == [*range(own[i].first, own[i].first + own[i].turn)]
                assert np.array_equal(batch.marked[k, own[i].first : own[i].first + own[i].turn], own[i].marked)
                assert np.array_equal(batch.shows[k], own[i].shows)
        assert sorted(numbers) == [*range(50)]
    shuffled = [batch.numbers for batch in fit.batches(own, 8, PADDING, Random(0))]
    assert shuffled == [batch.numbers for batch in fit.batches(own, 8, PADDING, Random(0))]
    assert shuffled != [batch.numbers for batch in fit.batches(own, 8, PADDING, Random(1))]


def test_a_row_scores_the_same_beside_longer_ones(fit, network):
    own = rows(30)
    together = fit.scores(network, own)
    for one, scored in zip(own, together, strict=True):
        (alone,) = fit.scores(network, [one])
        assert scored.tokens.shape == (one.turn, len(SIGNALS))
        assert np.abs(alone.turn - scored.turn).max() < SCORED and np.abs(alone.tokens - scored.tokens).max() < SCORED


def test_only_the_judged_turn_is_pooled(network):
    """Padding adds nothing, and other words outside the turn reach it through attention alone."""
    import torch

    ids = torch.tensor([[0, 5, 6, 7, 2, 8, 9, 2]])
    turn = torch.tensor([[0.0, 0, 1, 1, 0, 0, 0, 0]])
    network.eval()
    with torch.inference_mode():
        by_turn, by_token = network(ids, turn)
        padded, tokens = network(torch.cat([ids, torch.full((1, 5), PADDING)], 1), torch.cat([turn, torch.zeros(1, 5)], 1))
    assert torch.allclose(by_turn, padded, atol=1e-5) and torch.allclose(by_token, tokens[:, :8], atol=1e-5)


def test_fewer_layers_are_the_first_ones(network):
    before = weights(network)
    network.keep_layers(1)
    after = weights(network)
    assert same(after, {name: before[name] for name in after})
    assert not any(".layer.1." in name for name in after) and network.encoder.config.num_hidden_layers == 1


def test_training_learns_the_rows(fit, network, tmp_path):
    own = rows(24)
    fit.fit(network, lambda epoch: own, None, fit.Schedule(20, 8, 5e-3, 3), tmp_path / "x.pt", print)
    scored = np.array([one.turn for one in fit.scores(network, own)])
    shows = np.array([one.shows for one in own]) > 0
    assert scored[shows].mean() > scored[~shows].mean() + 3


class PowerCutError(Exception):
    pass


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_interrupted_training_goes_on_as_if_it_had_not_stopped(fit, network, folder, tmp_path, epoch):
    import torch

    from models import base
    from models.network import Network

    whole = trained(fit, network, tmp_path / "whole.pt")
    own, met = rows(24), []

    def cut(at):
        met.append(at)
        if at == epoch and met.count(at) == (2 if at == 0 else 1):
            raise PowerCutError
        return own

    torch.manual_seed(1)
    first = Network(base.load(folder).encoder, len(SIGNALS), PADDING)
    with pytest.raises(PowerCutError):
        trained(fit, first, tmp_path / "cut.pt", cut)
    torch.manual_seed(1)
    again = Network(base.load(folder).encoder, len(SIGNALS), PADDING)
    assert same(trained(fit, again, tmp_path / "cut.pt"), whole)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["cut.pt", "whole.pt"]


def test_a_finished_training_is_not_done_again(fit, network, tmp_path):
    whole = trained(fit, network, tmp_path / "x.pt")
    before = (tmp_path / "x.pt").stat().st_mtime_ns
    seen = []
    assert same(trained(fit, network, tmp_path / "x.pt", lambda epoch: seen.append(epoch) or rows(24)), whole)
    assert seen == [0] and (tmp_path / "x.pt").stat().st_mtime_ns == before


def test_a_checkpoint_of_another_schedule_is_not_gone_on_from(fit, network, tmp_path):
    trained(fit, network, tmp_path / "x.pt")
    kept = fit.Checkpoint(tmp_path / "x.pt", "another", {"network": network})
    assert kept.resume() == 0
    assert fit.Checkpoint(tmp_path / "nothing.pt", "another", {"network": network}).resume() == 0


def test_a_last_batch_of_one_row_can_be_trained_on(fit, network, tmp_path):
    """Batch normalisation needs two."""
    assert trained(fit, network, tmp_path / "x.pt", epochs=1, count=17)
    assert all(len(batch.numbers) > 1 for batch in fit.batches(rows(17), 8, PADDING, Random(0)))
    assert [batch.numbers for batch in fit.batches(rows(1), 8, PADDING)] == [[0]]


def test_rare_signals_count_more(fit):
    shows = np.zeros((100, 3), dtype=bool)
    shows[:50, 0] = shows[:1, 1] = True
    assert fit.class_weights(shows).tolist() == pytest.approx([1.0, 99**0.5, 10.0])


def test_layers_further_from_the_heads_learn_more_slowly(fit, network):
    rates = {id(own): group["lr"] for group in fit._groups(network, 1.0) for own in group["params"]}
    groups = {name: rates[id(own)] for name, own in network.named_parameters()}
    assert len(rates) == len(groups)
    lowest, first, last, head = (
        next(rate for name, rate in groups.items() if part in name)
        for part in ("word_embeddings", ".layer.0.", ".layer.1.", "of_turn")
    )
    assert lowest < first < last == 1.0 < head == groups["centred.weight"]


def test_rows_are_no_longer_than_the_encoder_reads(network):
    assert network.encoder.config.max_position_embeddings >= ROW
