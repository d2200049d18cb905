"""What rules, linear tier and encoder say of labelled turns, by the code that serves: what stack and thresholds are fitted on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lexicons.signals import CUSTOMER_SIGNALS
from models.cascade import Cascade
from models.dataset import Example
from screening.detect.reading import Reading
from screening.pipeline import Screener
from screening.types import Conversation, Finding

Array = npt.NDArray[np.float64]


class Opinions(NamedTuple):
    """Cells of examples x signals; `asked` are those that a turn's role allows. `opinions`: examples x signals x `stack.OPINIONS`.

    `first` and `second`: the two numbers by which the linear tier clears a turn (`artefact.Clear`).
    """

    opinions: Array
    shows: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.bool_]
    first: Array
    second: Array
    briefs: npt.NDArray[np.str_]
    agents: npt.NDArray[np.bool_]


class _Recorder:
    """A detector that changes nothing and keeps what each tier says of the last turn of each conversation."""

    def __init__(self, cascade: Cascade):
        self.name, self.version, self.engine = cascade.name, cascade.version, cascade.engine
        self._cascade = cascade
        self.rows: dict[str, tuple[Array, float, float]] = {}

    def detect(self, readings: Sequence[Reading], found: Sequence[Sequence[Finding]]) -> list[list[Finding]]:
        for reading, findings in zip(readings, found, strict=True):
            self.rows[reading.conversation.id] = self._cascade.opinions(reading, findings)
        return [list(findings) for findings in found]


def gather(cascade: Cascade, examples: Sequence[Example]) -> Opinions:
    """The opinions on the judged turn of each example; the rules are the packaged ones."""
    recorder = _Recorder(cascade)
    conversations: list[Conversation] = [example.record.conversation for example in examples]
    for _ in Screener(detectors=[recorder]).screen_many(conversations):
        pass
    signals = cascade.manifest.signals
    rows = [recorder.rows[conversation.id] for conversation in conversations]
    agents = np.array([c.turns[-1].role == "agent" for c in conversations])
    customers = np.array([signal in CUSTOMER_SIGNALS for signal in signals])
    return Opinions(
        opinions=np.stack([own for own, _, _ in rows]),
        shows=np.array([[any(label.signal == s for label in e.record.labels) for s in signals] for e in examples]),
        asked=agents[:, None] != customers[None, :],
        first=np.array([first for _, first, _ in rows]),
        second=np.array([second for _, _, second in rows]),
        briefs=np.array([example.brief for example in examples]),
        agents=agents,
    )
