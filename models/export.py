"""From trained weights to what serves: ONNX in dynamic int8, the tokenizer, the linear tier, a manifest with every hash."""

import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from models import artefact, train
from models.artefact import Manifest
from models.encoder import ENCODER, TOKENIZER
from models.linear import LinearModel
from models.network import Network
from models.rows import SIGNALS
from models.settings import Training
from models.stack import OPINIONS, Stack, Thresholds

LINEAR = "linear.npz"
LARGEST = 16 * 2**20
"""Bytes that an encoder may have in the repository."""
_OPSET = 17


def export(settings: Training, work: Path, folder: Path, name: str, version: int) -> Manifest:
    """The trained models of `work` as an artefact in `folder`; its decisions are still to be calibrated (`models.calibrate`)."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = train.texts_of(work)
    student, opened = train.open_network(settings, settings.student.layers)
    student.load_state_dict(torch.load(work / train.STUDENT, weights_only=True)["network"])
    to_onnx(student, folder / ENCODER)
    opened.tokenizer.save(str(folder / TOKENIZER), pretty=False)
    LinearModel.load(work / train.LINEAR, SIGNALS).save(folder / LINEAR)
    manifest = Manifest(
        name=name,
        version=version,
        signals=SIGNALS,
        opening=opened.opening,
        closing=opened.closing,
        clear={},
        stack=Stack((0.0,) * len(OPINIONS), dict.fromkeys(SIGNALS, 0.0), dict.fromkeys(SIGNALS, Thresholds(1.0, 1.0))),
        files={file: artefact.digest(folder / file) for file in (ENCODER, TOKENIZER, LINEAR)},
        data=texts.data,
        training=settings,
        metrics={},
        feedback=texts.feedback,
    )
    artefact.write(folder, manifest)
    return manifest


def to_onnx(network: Network, path: Path) -> None:
    """Write the network as ONNX with int8 weights, for one row of any length."""
    whole = _Sized(network.eval())
    row = torch.arange(4, 16).unsqueeze(0), torch.ones(1, 12)
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes that are fixed here
        logging.getLogger("onnxruntime.quantization").setLevel(logging.ERROR)
        plain = Path(scratch) / "plain.onnx"
        torch.onnx.export(
            whole,
            row,
            str(plain),
            input_names=["ids", "turn"],
            output_names=["signals", "tokens"],
            dynamic_axes={"ids": {1: "length"}, "turn": {1: "length"}, "tokens": {1: "length"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        quantize_dynamic(str(plain), str(path), weight_type=QuantType.QInt8)
    onnx.checker.check_model(str(path))


class _Sized(nn.Module):
    """One row without padding needs no attention mask."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, turn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        by_turn, by_token = self.network(ids, turn)
        return by_turn, by_token
