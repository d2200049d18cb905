"""The dataset `history/` of a scored archive: what the pure rules find, from what lies on disk."""

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pyarrow.parquet as pq
import pytest

from screening.batch import columns, second_pass
from screening.batch.schemas import DATASETS
from screening.batch.storage import Folder
from screening.errors import InputError
from screening.history import rules
from screening.history.findings import bases
from screening.history.records import record_of
from screening.pipeline import Screener
from screening.profile import Profile
from screening.types import Conversation

ZONE = ZoneInfo("Asia/Shanghai")


def scored(root: Path, screener: Screener, conversations: list[Conversation]) -> Folder:
    """The datasets of these conversations as a batch run writes them."""
    folder = Folder(str(root))
    given = [
        columns.Scored(place, "x.jsonl", place, conversation, *outcome)
        for place, (conversation, outcome) in enumerate(
            zip(conversations, screener.screen_with_facts(conversations), strict=True)
        )
    ]
    for name, days in columns.tables(given, ZONE, keep=True).items():
        for day, batch in days.items():
            with folder.sink(f"{name}/day={day}/part-0.parquet") as sink, pq.ParquetWriter(sink, DATASETS[name]) as writer:
                writer.write_batch(batch)
    return folder


def findings(screener: Screener, conversations: list[Conversation]) -> list[dict]:
    records = [
        record_of(c, s, f, ZONE) for c, (s, f) in zip(conversations, screener.screen_with_facts(conversations), strict=True)
    ]
    moments = [at for r in records for at in (r.began_at, r.ended_at, r.facts.first_agent_at) if at is not None]
    found = rules.findings(records, bases(screener.profile, screener.lexicon), ZONE, max(moments))
    return msgspec.json.decode(msgspec.json.encode(found), type=list[dict])


def rows(folder: Folder) -> list[dict]:
    read = []
    for name in folder.names("history"):
        for row in pq.read_table(Path(folder.root) / "history" / name).to_pylist():
            times = {key: None if row[key] is None else round(row[key].timestamp() * 1_000_000) for key in ("at", "due_at")}
            read.append(row | times | {"day": None if row["day"] is None else row["day"].isoformat()})
    return read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, screener: Screener, archive: list[Conversation]) -> Folder:
    return scored(tmp_path_factory.mktemp("archive"), screener, archive)


def test_the_dataset_holds_what_the_rules_find(folder, screener, archive):
    written = second_pass.write(folder, screener.profile, screener.lexicon)
    expected = findings(screener, archive)
    assert {row["kind"] for row in expected} >= {"entry_errors", "diversion", "promise"}
    assert sorted(rows(folder), key=str) == sorted(expected, key=str)
    assert written == len(expected)


def test_small_parts_and_a_second_run_hold_the_same(folder, screener, archive, monkeypatch):
    second_pass.write(folder, screener.profile, screener.lexicon)
    first = {name: folder.read(f"history/{name}") for name in folder.names("history")}
    second_pass.write(folder, screener.profile, screener.lexicon)
    assert first == {name: folder.read(f"history/{name}") for name in folder.names("history")}
    monkeypatch.setattr(second_pass, "_PART_RECORDS", 3)
    second_pass.write(folder, screener.profile, screener.lexicon)
    assert len(folder.names("history")) > 3
    assert sorted(rows(folder), key=str) == sorted(findings(screener, archive), key=str)


def test_a_later_conversation_without_any_flag_keeps_a_promise(tmp_path, screener):
    def one(id_: str, day: str, *turns: tuple[str, str]) -> dict:
        said = [{"role": role, "text": text, "at": f"{day}T10:0{i}:00+08:00"} for i, (role, text) in enumerate(turns)]
        return {"id": id_, "vendor_id": "v1", "customer_id": "u1", "agent_id": "a1", "turns": said}

    given = [
        one("c1", "2026-03-02", ("customer", "怎么办"), ("agent", "我在24小时内给您回电")),
        one("c2", "2026-03-03", ("agent", "您好，跟您说一下昨天的进度"), ("customer", "好的")),
        one("c3", "2026-03-05", ("agent", "您好"), ("customer", "好的")),
    ]
    folder = scored(tmp_path, screener, msgspec.convert(given, list[Conversation]))
    assert second_pass.write(folder, screener.profile, screener.lexicon) == 1
    (row,) = rows(folder)
    assert (row["kind"], row["outcome"], row["conversations"], row["turns"]) == ("promise", "kept", ["c1", "c2"], [1, None])


def test_an_archive_without_findings_has_an_empty_dataset(tmp_path, screener):
    quiet = msgspec.convert([{"id": "c1", "turns": [{"role": "agent", "text": "您好"}]}], list[Conversation])
    folder = scored(tmp_path, screener, quiet)
    assert second_pass.write(folder, Profile(), screener.lexicon) == 0
    assert pq.read_table(tmp_path / "history").schema.names == second_pass.HISTORY.names


def test_a_damaged_file_is_named(tmp_path, screener, archive):
    folder = scored(tmp_path, screener, archive[:3])
    file = next((tmp_path / "screenings").glob("*/part-0.parquet"))
    os.truncate(file, 100)
    with pytest.raises(InputError, match=r"part-0\.parquet: .*score the archive again"):
        second_pass.write(folder, screener.profile, screener.lexicon)


def test_every_column_is_documented():
    page = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
    table = page[page.index("Columns of `history/`") :]
    assert {
        name for line in table.splitlines() if line.startswith("| `") for name in re.findall("`(\\w+)`", line.split("|")[1])
    } == set(second_pass.HISTORY.names)
