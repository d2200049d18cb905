import json
from collections import Counter
from pathlib import Path

import pytest

from lexicons.signals import TEXT_SIGNALS
from models.dataset import DATA, Example, counts, folds, load, near_duplicates
from screening.errors import InputError
from screening.evaluate import read

FAMILIES = ("rudeness.", "diversion.", "false_claim.", "forced_end.")


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return load()


def test_the_training_text_is_as_large_and_as_hard_as_its_card_says(examples):
    assert len(examples) >= 6000
    assert sum(not example.record.labels for example in examples) >= 0.45 * len(examples)
    for signal, positives, negatives in counts(examples):
        assert positives >= (220 if signal.startswith(FAMILIES) else 120), signal
        assert negatives >= 100, signal
    assert {signal for signal, _, _ in counts(examples)} == set(TEXT_SIGNALS) - {"process.three_guarantees"}
    assert len({example.pair for example in examples if example.pair}) >= 700
    assert {len(example.record.conversation.turns) - 1 for example in examples} >= {0, 1, 2, 3}
    assert max(len(example.text) for example in examples) <= 90


def test_no_turn_stands_twice_across_briefs(examples):
    brief = {example.record.id: example.brief for example in examples}
    assert not [pair for pair in near_duplicates(examples) if brief[pair[0]] != brief[pair[1]]]


def test_the_held_out_sets_have_no_twin_in_the_training_text(examples):
    held = []
    for name in ("dev", "test"):
        turns, _ = read(Path(__file__).parent / "data" / f"{name}.jsonl")
        held += [Example(record, "held out", None) for record in turns]
    outside = {example.record.id for example in held}
    assert not [pair for pair in near_duplicates([*examples, *held]) if (pair[0] in outside) != (pair[1] in outside)]


def test_folds_keep_authors_and_pairs_together(examples):
    parts = folds(examples, 4)
    assert sum(map(len, parts)) == len(frozenset().union(*parts))
    where = {brief: k for k, part in enumerate(parts) for brief in part}
    sides = {(example.pair, where[example.brief]) for example in examples if example.pair}
    assert max(Counter(pair for pair, _ in sides).values()) == 1
    with pytest.raises(InputError, match="cannot be dealt"):
        folds(examples, 99)


def test_a_wrong_example_is_named(tmp_path):
    line = json.loads((DATA / "b01.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (tmp_path / "x.jsonl").write_text(json.dumps(line | {"brief": None}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"x.jsonl:1: Expected `str`"):
        load(tmp_path)
    (tmp_path / "x.jsonl").write_text((json.dumps(line) + "\n") * 2, encoding="utf-8")
    with pytest.raises(InputError, match="two examples are called"):
        load(tmp_path)
    wrong = line | {"labels": [{"signal": "rudeness.abuse", "quote": "不在这里"}]}
    (tmp_path / "x.jsonl").write_text(json.dumps(wrong) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"b01-001: the words marked for rudeness.abuse"):
        load(tmp_path)
    (tmp_path / "x.jsonl").write_text(json.dumps(line | {"pair": "alone"}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="minimal pair alone"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"no \*.jsonl"):
        load(tmp_path / "nothing")
