"""What tests of the classifiers share: a small tokenizer and labelled turns made by hand."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from models.dataset import DATA, Example
from models.inputs import RowMaker
from models.rows import SIGNALS
from screening.evaluate import Label, TurnRecord
from tests.conftest import conversation

OPENING, PADDING, CLOSING, UNKNOWN = range(4)
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_MARKS = "客服机系:"


def tokenizer(texts: Iterable[str], pieces: Sequence[str] = ()) -> Tokenizer:
    """A unigram tokenizer as `models.base` makes it: the characters of `texts` and these pieces."""
    single = sorted({char for text in (*texts, _MARKS) for char in text if not char.isspace()})
    scored = [(piece, 0.0) for piece in _SPECIAL] + [("▁", -3.0)] + [(char, -8.0) for char in single]
    scored += [(piece, -9.0) for piece in pieces]
    made = Tokenizer(models.Unigram(scored, unk_id=UNKNOWN, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    made.add_special_tokens([AddedToken(piece, special=True) for piece in _SPECIAL])
    return made


def row_maker(texts: Iterable[str], pieces: Sequence[str] = ()) -> RowMaker:
    return RowMaker(tokenizer(texts, pieces), OPENING, CLOSING)


def example(*turns: tuple[str, str], labels: Sequence[tuple[str, str]] = (), brief: str = "b01") -> Example:
    """The last of the turns judged, with (signal, words) as labels."""
    made = tuple(Label(signal, quote) for signal, quote in labels)
    return Example(TurnRecord("x", conversation(*turns), made, "plain", ()), brief, None)


def save_base(folder: Path, texts: Iterable[str]) -> str:
    """A BERT of two layers with random weights and its tokenizer, as transformers saves them; the folder's name."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    made = tokenizer(texts)
    special = dict(zip(("cls_token", "pad_token", "sep_token", "unk_token"), _SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=made.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=80,
        pad_token_id=PADDING,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def picked(brief: str, negatives: int) -> str:
    """Lines of a brief's file: a short turn of each signal, and some that show nothing."""
    wanted = Counter(dict.fromkeys(SIGNALS, 1) | {"": negatives})
    lines = []
    for line in (DATA / f"{brief}.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        shown = [label["signal"] for label in record["labels"]] or [""]
        if len(record["text"]) < 40 and all(wanted[signal] > 0 for signal in shown):
            wanted.subtract(shown)
            lines.append(json.dumps(record | {"pair": None}, ensure_ascii=False) + "\n")
    return "".join(lines)
