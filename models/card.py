"""The card of a classifier: what it is for, what it was made of, what was measured, where it fails."""

from collections.abc import Iterator
from typing import Any

from models.artefact import Manifest
from screening.report.names import SIGNALS as NAMES

_TEXT = """\
# {name}, version {version}

Written by `screening calibrate` from the manifest; do not edit.

## What it is for

It flags, in customer-service conversations in Chinese, turns of the agent (and for `sensitive_complaint` of the customer) that show one of
{signals} signals, with the words that show it and a probability. Its flags are candidates for a person to confirm; it decides nothing
about people, and it is not made for other kinds of text.

## What it is made of

- Linear tier: logistic regressions over hashed character n-grams; it clears most turns and has a say on the others.
- Encoder: the first {layers} layers of `{base}`, fine-tuned, in int8 ONNX.
- Stack: rules, linear tier and encoder as one probability per signal, fitted on briefs {calibration}, which nothing else was trained on.
- Training text: the repository's own (models/data; sha256 {data}), nothing else. Licence: Apache-2.0, weights of the base under the base's own.

## Measured on the calibration briefs, each by a stack that never saw its brief

Thresholds aim at a precision of 0.93 for the four families and 0.85 for the others; they were chosen on the same cells that are
counted here, so the test set's figures in docs/evaluation.md are the ones to trust. [95 % Wilson interval]

{table}

Expected calibration error of scores from 0.2 on: {error}.

| mean score | share right | cells |
| --- | --- | --- |
{curve}

## Known failures

- The training text was written by language models and labelled by them; real traffic is duller and stranger.
- Mockery, impatience and abuse touch; a flag may name the neighbour. Sarcasm that rests on facts outside the last four turns is missed.
- What contradicts a page or an order that the conversation does not quote cannot be seen.
- Turns that the linear tier clears are never read by the encoder: {cleared} of the turns rightly flagged, at most.
"""


def card(manifest: Manifest, cleared: float) -> str:
    """The card as Markdown; `cleared` is the share of rightly flagged turns that the linear tier may clear."""
    metrics: Any = manifest.metrics
    return _TEXT.format(
        name=manifest.name,
        version=manifest.version,
        signals=len(manifest.signals),
        layers=manifest.training.student.layers,
        base=manifest.training.base,
        calibration=", ".join(manifest.training.calibration),
        data=manifest.data[:16],
        table="\n".join(_rows(manifest, metrics["signals"])),
        error=metrics["calibration error"],
        curve="\n".join(f"| {mean:.3f} | {share:.3f} | {size:.0f} |" for mean, share, size in metrics["curve"]),
        cleared=f"{cleared:.0%}",
    )


def _rows(manifest: Manifest, measured: Any) -> Iterator[str]:
    yield "| signal | flagged from | precision | recall |"
    yield "| --- | --- | --- | --- |"
    for signal in (*manifest.signals, "all"):
        chosen = manifest.stack.thresholds.get(signal)
        name = f"{signal} {NAMES[signal]}" if signal in NAMES else signal
        own = measured[signal]
        yield f"| {name} | {chosen.flag if chosen else ''} | {_share(own['precision'])} | {_share(own['recall'])} |"


def _share(own: list[Any]) -> str:
    share, right, total, low, high = own
    return "n/a" if share is None else f"{share:.2f} ({right}/{total}) [{low:.2f}, {high:.2f}]"
