"""Notebooks stand in the repository without outputs and without anything that was said in a conversation."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from screening.samples import ARCHIVE

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("**/*.ipynb"))
_LEAST = 8
"""Characters from which on a turn cannot stand in a notebook by chance."""


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def said() -> Iterator[str]:
    for path in (ARCHIVE, *sorted((ROOT / "tests/data").glob("*.jsonl")), *sorted((ROOT / "models/data").glob("*.jsonl"))):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            whole = record.get("conversation", record)
            yield from (turn["text"] for turn in whole.get("turns", ()))
            yield from (text for _, text in record.get("context", ()))
            yield record.get("text", "")


def test_the_three_notebooks_are_there():
    assert [path.name for path in NOTEBOOKS] == ["01_thresholds.ipynb", "02_errors.ipynb", "03_trends.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_that_a_run_leaves_is_stored(path: Path):
    for cell in cells(path):
        assert not cell.get("outputs"), f"{path.name}, cell {cell['id']}: has outputs; clear them"
        assert cell.get("execution_count") is None, f"{path.name}, cell {cell['id']}: has an execution count; clear it"
        assert not cell.get("attachments"), f"{path.name}, cell {cell['id']}: has an attachment"
        assert cell["metadata"] == {}, f"{path.name}, cell {cell['id']}: has metadata"


def test_no_conversation_text_stands_in_a_notebook():
    stored = {path.name: re.sub(r"\s", "", path.read_text(encoding="utf-8")) for path in NOTEBOOKS}
    for text in {re.sub(r"\s", "", text) for text in said()}:
        if len(text) >= _LEAST:
            for name, whole in stored.items():
                assert text not in whole, f"{name}: holds what was said in a conversation"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_code_cell_is_python_and_every_section_is_told_in_chinese(path: Path):
    told = [cell for cell in cells(path) if cell["cell_type"] == "markdown"]
    assert all(re.search(r"[\u4e00-\u9fff]", "".join(cell["source"])) for cell in told)
    for cell in cells(path):
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))
