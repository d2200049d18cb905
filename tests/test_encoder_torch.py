"""The encoder by torch against the one that serves; on the CPU here, the same code runs on a GPU."""

from pathlib import Path

import pytest

from models import artefact
from models.cascade import Cascade
from models.encoder import ENCODER
from screening.errors import InputError
from screening.pipeline import Screener
from screening.types import Conversation, Flag

pytestmark = pytest.mark.train
TOLERANCE = 0.05
"""Of a score; verdicts may differ only within it of a threshold (docs/batch.md)."""


def by_place(flags: tuple[Flag, ...]) -> dict[tuple[str, int | None, str], Flag]:
    return {(flag.signal, flag.turn, flag.source.id): flag for flag in flags}


def test_verdicts_are_those_of_the_cpu_within_the_tolerance(
    archive: list[Conversation], cascade: Cascade, one_thread: None
) -> None:
    from models.encoder_torch import TorchEncoder

    by_torch = Cascade(encoder_=TorchEncoder(artefact.DEFAULT / ENCODER, "cpu"))
    assert by_torch.version == cascade.version and by_torch.engine.startswith("torch ")
    limits = [limit for own in cascade.manifest.stack.thresholds.values() for limit in (own.flag, own.look)] + [0.5]
    compared = 0
    serving, other = (Screener(detectors=[detector]).screen_many(archive[:48]) for detector in (cascade, by_torch))
    for ours, theirs in zip(serving, other, strict=True):
        one, two = by_place(ours.flags), by_place(theirs.flags)
        for key in one.keys() | two.keys():
            flags = [side[key] for side in (one, two) if key in side]
            compared += 1
            if len(flags) == 2 and flags[0].status == flags[1].status:
                assert abs(flags[0].score - flags[1].score) <= TOLERANCE
            else:
                assert any(abs(flags[0].score - limit) <= TOLERANCE for limit in limits), (key, flags)
    assert compared > 30


def test_long_and_short_rows_in_one_batch_are_judged_as_alone(cascade: Cascade, one_thread: None) -> None:
    from models.encoder_torch import TorchEncoder

    encoder = TorchEncoder(artefact.DEFAULT / ENCODER, "cpu")
    turns = [cascade._rows.rows(["agent"], [text], 0) for text in ("您好", "你连这个都看不懂吗" * 3, "亲，这边帮您查询一下" * 20)]
    together = list(encoder.judge_all(turns))
    for rows, own in zip(turns, together, strict=True):
        alone = encoder.judge(rows)
        assert own.places == alone.places
        assert own.turn == pytest.approx(alone.turn, abs=1e-3) and own.tokens == pytest.approx(alone.tokens, abs=1e-3)


def test_a_file_that_is_no_such_encoder_is_refused(tmp_path: Path) -> None:
    from api import classifiers

    with pytest.raises(InputError, match="no readable manifest"):
        classifiers.opened(tmp_path, "cuda")


def test_without_a_gpu_cuda_is_refused_with_the_way_out() -> None:
    import torch

    from api import classifiers

    if torch.cuda.is_available():
        assert classifiers.opened(None, "cuda")[0].engine.startswith("torch ")
        return
    with pytest.raises(InputError, match="torch sees no GPU here; leave --device out"):
        classifiers.opened(None, "cuda")
