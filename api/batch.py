"""The screener that every worker of a batch builds for itself."""

from pathlib import Path

from api import classifiers
from lexicons.load import PACKAGED, load
from screening import profile as profiles
from screening.pipeline import Screener


def opened(lexicon: Path | None, profile: Path | None, classifier: str | None, device: str = classifiers.CPU) -> Screener:
    """A screener from the command's options; raises `LexiconError` or `InputError`."""
    own = profiles.Profile() if profile is None else profiles.load(profile)
    return Screener(load(lexicon or PACKAGED), own, classifiers.named(classifier, device))
