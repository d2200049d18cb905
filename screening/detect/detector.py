"""What a classifier is to the pipeline; the wiring hands such detectors to the screener."""

from collections.abc import Sequence
from typing import Protocol

from screening.detect.reading import Reading
from screening.types import Finding


class Detector(Protocol):
    """Judges turns after the rules; `version` is the digest of what it was made of, `engine` what computes it."""

    name: str
    version: str
    engine: str

    def detect(self, readings: Sequence[Reading], found: Sequence[Sequence[Finding]]) -> list[list[Finding]]:
        """For each conversation the findings so far, scored anew where the detector has a say, and its own.

        Deterministic: a conversation gets the same alone as among others. Never changes what it is given.
        """
        ...
