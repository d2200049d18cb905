"""The encoder tier by torch, in large batches of rows of about one length: for a GPU. Needs the training extra.

The weights are those of the int8 artefact; activations stay float32, so scores differ from the CPU's in the third decimal or so and
verdicts only where a score stands that near to a threshold. The artefact and its hash are the same; the engine in the versions is not.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from models.encoder import TOKENIZER, Judgement, joined
from models.inputs import Row
from models.network import Network

TOKENS = 1 << 16
"""Tokens of a batch, padding included."""
_PAD = "<pad>"


class TorchEncoder:
    """Judges rows on `device`, as `models.encoder.Encoder` does on a CPU."""

    def __init__(self, path: Path, device: str):
        padding = Tokenizer.from_file(str(path.with_name(TOKENIZER))).token_to_id(_PAD)
        if padding is None:
            raise ValueError(f"{path.with_name(TOKENIZER)}: the tokenizer has no {_PAD}")
        self.engine = f"torch {torch.__version__} {device} float32"
        self._device = torch.device(device)
        self._network = network(path, padding).to(self._device)
        self._padding = padding

    def judge(self, rows: Sequence[Row]) -> Judgement:
        """The judgement of the turn that `rows` are the windows of."""
        return next(self.judge_all([rows]))

    def judge_all(self, turns: Sequence[Sequence[Row]]) -> Iterator[Judgement]:
        """The judgements of many turns, in order."""
        rows = [row for windows in turns for row in windows]
        judged: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0), np.empty(0))] * len(rows)
        for batch in _bucketed(rows):
            by_turn, by_token = self._run([rows[i] for i in batch])
            for k, i in enumerate(batch):
                judged[i] = by_turn[k], by_token[k, : len(rows[i].ids)]
        at = 0
        for windows in turns:
            yield joined(windows, judged[at : at + len(windows)])
            at += len(windows)

    def _run(self, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        length = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), length), self._padding, dtype=np.int64)
        turn = np.zeros((len(rows), length), dtype=np.float32)
        for k, row in enumerate(rows):
            ids[k, : len(row.ids)] = row.ids
            turn[k, row.first : row.first + row.turn] = 1
        with torch.inference_mode():
            outcome = self._network(torch.from_numpy(ids).to(self._device), torch.from_numpy(turn).to(self._device))
        by_turn, by_token = (part.cpu().numpy() for part in outcome)
        return by_turn, by_token


def _bucketed(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Numbers of rows of about one length, `TOKENS` at most together."""
    batch: list[int] = []
    for i in sorted(range(len(rows)), key=lambda i: len(rows[i].ids)):
        if batch and (len(batch) + 1) * len(rows[i].ids) > TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def network(path: Path, padding: int) -> Network:
    """The network of an int8 artefact with its weights in float32; raises `ValueError` where one is missing."""
    graph = onnx.load(str(path)).graph
    stored = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    weights: dict[str, np.ndarray] = {}
    for name, array in stored.items():
        if name.startswith("network.") and array.dtype == np.float32 and not name.endswith("_scale"):
            weights[name.removeprefix("network.")] = array
        elif name.endswith("embeddings.weight_quantized"):
            plain = name.removesuffix("_quantized")
            weights[plain.removeprefix("network.")] = _whole(stored, plain)
    for node in graph.node:  # a product's weights have no name of their own; the node's says which layer it belongs to
        if node.op_type == "MatMulInteger" and node.input[1] in stored:
            layer = node.name.removeprefix("/network/").rpartition("/")[0].replace("/", ".")
            weights[f"{layer}.weight"] = _whole(stored, node.input[1].removesuffix("_quantized")).T
    constants = (
        numpy_helper.to_array(node.attribute[0].t) for node in graph.node if "layer.0/attention/self/Constant" in node.name
    )
    head = max(int(value.max()) for value in constants if value.dtype == np.int64 and value.size)
    embeddings = "encoder.embeddings"
    vocabulary, width = weights[f"{embeddings}.word_embeddings.weight"].shape
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=sum(name.endswith("attention.self.query.weight") for name in weights),
        num_attention_heads=width // head,
        intermediate_size=weights["encoder.encoder.layer.0.intermediate.dense.weight"].shape[0],
        max_position_embeddings=weights[f"{embeddings}.position_embeddings.weight"].shape[0],
        type_vocab_size=weights[f"{embeddings}.token_type_embeddings.weight"].shape[0],
        pad_token_id=padding,
    )
    made = Network(BertModel(config, add_pooling_layer=False), weights["of_turn.bias"].shape[0], padding)
    given = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    missing, unknown = made.load_state_dict(given, strict=False)
    lacking = [name for name in missing if not name.endswith(("num_batches_tracked", "position_ids", "token_type_ids"))]
    if lacking or unknown:
        raise ValueError(f"{path}: not an encoder of this version: {[*lacking, *unknown]}")
    made.eval()
    return made


def _whole(stored: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Weights as the numbers that their int8 values stand for."""
    zero = stored[f"{name}_zero_point"].astype(np.float32)
    return np.asarray((stored[f"{name}_quantized"].astype(np.float32) - zero) * stored[f"{name}_scale"])
