import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from screening.batch import datasets, local, shuffle
from screening.batch.reading import Options
from screening.batch.run import Asked, Progress, run
from screening.batch.schemas import DATASETS
from screening.batch.sources import expand
from screening.batch.summary import Summary, finish
from screening.batch.work import Work
from screening.errors import InputError
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Candidate, Conversation, Failure, Flag, Screening, Source, Versions

SILENT = Progress(lambda source, rows: None, lambda rows, total, counts: None)
Batch = Callable[..., Summary]


@pytest.fixture
def batch(screener: Screener, tmp_path: Path) -> Batch:
    """Scores files of `tmp_path` into `tmp_path/out`."""

    def scored(*names: str, out: str = "out", engine: object = local.alone, **given: object) -> Summary:
        asked = Asked(
            out=str(tmp_path / out),
            sources=expand([str(tmp_path / name) for name in names]),
            options=given.pop("options", Options()),
            format=given.pop("format", "parquet"),
            keep=given.pop("keep", False),
            resume=given.pop("resume", False),
            memory=given.pop("memory", 1 << 26),
        )
        assert not given
        summary = run(asked, lambda: screener, engine, SILENT)
        finish(Work.at(asked.out), summary)
        return summary

    return scored


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "CHUNK_BYTES", 20_000)


def written(path: Path, conversations: list[Conversation]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(c) + b"\n" for c in conversations))


def rows(folder: Path | str, name: str) -> list[dict[str, object]]:
    return datasets.dataset(str(folder), name).to_table().sort_by("place").to_pylist()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("summary.json", "summary.html"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rebuilt(folder: Path) -> list[Screening]:
    """The screenings as the contract has them, out of the datasets."""
    versions = msgspec.convert(json.loads((folder / "summary.json").read_bytes())["versions"], Versions)
    flags: dict[object, list[Flag]] = {}
    for row in sorted(rows(folder, "flags"), key=lambda row: (row["place"], row["flag"])):
        source = Source(row["source_kind"], row["source_id"], row["source_version"], row["source_prior"])
        fields = {name: row[name] for name in Flag.__struct_fields__ if name != "source"}
        flags.setdefault(row["place"], []).append(Flag(**fields, source=source))
    candidates: dict[object, list[Candidate]] = {}
    for row in sorted(rows(folder, "candidates"), key=lambda row: (row["place"], row["candidate"])):
        fields = {name: row[name] for name in Candidate.__struct_fields__}
        candidates.setdefault(row["place"], []).append(Candidate(**fields | {"flags": tuple(row["flags"])}))
    return [
        Screening(
            conversation_id=row["conversation_id"],
            complete=row["complete"],
            not_checked=tuple(row["not_checked"]),
            flags=tuple(flags.get(row["place"], ())),
            candidates=tuple(candidates.get(row["place"], ())),
            level=row["level"],
            versions=versions,
            failures=tuple(Failure(**failure) for failure in row["failures"]),
        )
        for row in rows(folder, "screenings")
    ]


def test_the_datasets_hold_all_that_the_contract_says(
    batch: Batch, tmp_path: Path, archive: list[Conversation], screener: Screener, small_chunks: None
) -> None:
    written(tmp_path / "a.jsonl", archive)
    summary = batch("a.jsonl", keep=True)
    out = tmp_path / "out"
    expected = list(screener.screen_many(archive))
    assert [encode(one) for one in rebuilt(out)] == [encode(one) for one in expected]
    for name in ("screenings", "flags", "candidates", "conversations"):
        files = sorted((out / name).rglob("*.parquet"))
        assert all(pq.read_schema(file).equals(DATASETS[name]) for file in files)
        assert all(file.parent.name.startswith("day=2026-03-") for file in files)
    kept = [msgspec.json.decode(row["conversation"], type=Conversation) for row in rows(out, "conversations")]
    assert kept == archive
    assert rows(out, "refused") == []
    assert summary.counts.total.conversations == len(archive)
    assert summary.counts.total.a == sum(one.level == "A" for one in expected)
    assert not (out / "_work").exists()
    page = (out / "summary.html").read_text(encoding="utf-8")
    assert "引流" in page and "a01" in page and "<script" not in page


def test_lines_are_those_of_screen_in_its_order(
    batch: Batch, tmp_path: Path, archive: list[Conversation], screener: Screener, small_chunks: None
) -> None:
    written(tmp_path / "a.jsonl", archive)
    batch("a.jsonl", format="jsonl")
    expected = b"".join(encode(one) + b"\n" for one in screener.screen_many(archive))
    assert (tmp_path / "out" / "screenings.jsonl").read_bytes() == expected


def test_chunks_runs_and_their_order_change_no_byte(
    batch: Batch, tmp_path: Path, archive: list[Conversation], small_chunks: None
) -> None:
    def shuffled(root: str, chunks: list[int], opened: object) -> object:
        order = list(chunks)
        random.Random(5).shuffle(order)
        return local.alone(root, order, opened)

    written(tmp_path / "a.jsonl", archive)
    batch("a.jsonl", out="one")
    batch("a.jsonl", out="two", engine=shuffled, memory=10_000)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) > 20


def messages(archive: list[Conversation]) -> list[dict[str, object]]:
    found = []
    for c in archive:
        for turn in c.turns:
            row = {"conversation_id": c.id, "role": turn.role, "text": turn.text, "at": turn.at, "kind": turn.kind}
            row |= {name: getattr(c, name) for name in ("channel", "vendor_id", "agent_id", "customer_id", "ended_by")}
            found.append(row | {"rating": c.attributes.get("rating")})
    return found


def plain(archive: list[Conversation]) -> list[Conversation]:
    """What a table of messages with these columns can say of the conversations."""
    kept = []
    for c in archive:
        if all(turn.ends_at is None for turn in c.turns):
            rating = c.attributes.get("rating")
            attributes = {} if rating is None else {"rating": rating}
            kept.append(msgspec.structs.replace(c, started_at=None, ended_at=None, attributes=attributes))
    return kept


def as_csv(path: Path, some: list[dict[str, object]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(some[0]))
    writer.writeheader()
    writer.writerows(row | {"at": row["at"].isoformat() if row["at"] else None} for row in some)
    path.write_bytes(gzip.compress(text.getvalue().encode("gb18030")) if path.suffix == ".gz" else text.getvalue().encode())


def as_parquet(path: Path, some: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(some), path)


def as_xlsx(path: Path, some: list[dict[str, object]]) -> None:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, list(some[0]))
        for i, row in enumerate(some, 1):
            sheet.write_row(i, 0, ["" if v is None else v.isoformat() if k == "at" else str(v) for k, v in row.items()])


@pytest.mark.parametrize(
    ("name", "write"), [("m.csv", as_csv), ("m.csv.gz", as_csv), ("m.parquet", as_parquet), ("m.xlsx", as_xlsx)]
)
def test_messages_of_any_table_are_screened_as_their_conversations(
    batch: Batch,
    tmp_path: Path,
    archive: list[Conversation],
    screener: Screener,
    name: str,
    write: Callable[[Path, list[dict[str, object]]], None],
) -> None:
    expected = plain(archive)
    write(tmp_path / name, messages(expected))
    batch(name)
    assert [encode(one) for one in rebuilt(tmp_path / "out")] == [encode(one) for one in screener.screen_many(expected)]
    assert rows(tmp_path / "out", "refused") == []


def test_messages_scattered_over_files_and_out_of_order_are_brought_together(
    batch: Batch, tmp_path: Path, archive: list[Conversation], screener: Screener, small_chunks: None
) -> None:
    expected = {c.id: c for c in plain(archive) if len({t.at for t in c.turns}) == len(c.turns) and c.turns[0].at}
    expected = {id_: c for id_, c in expected.items() if sorted(t.at for t in c.turns) == [t.at for t in c.turns]}
    assert len(expected) > 40
    some = messages(list(expected.values()))
    random.Random(3).shuffle(some)
    as_parquet(tmp_path / "m1.parquet", some[: len(some) // 2])
    as_csv(tmp_path / "m2.csv", some[len(some) // 2 :])
    batch("m1.parquet", "m2.csv", memory=20_000)
    found = {one.conversation_id: encode(one) for one in rebuilt(tmp_path / "out")}
    assert found == {id_: encode(screener.screen(c)) for id_, c in expected.items()}


def test_every_refusal_names_file_row_and_reason(batch: Batch, tmp_path: Path, archive: list[Conversation]) -> None:
    good = msgspec.json.encode(archive[0])
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([good, b"{", b'{"id": "x", "turns": []}', good, b'{"turns": []}']))
    (tmp_path / "b.csv").write_text(
        "session_id,role,text\nk1,agent,\u60a8\u597d\nk1,boss,\u55ef\n,agent,\u55ef\nk2,agent,\u60a8\u597d\n", encoding="utf-8"
    )
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "d.csv").write_bytes(b"")
    (tmp_path / "e.pdf").write_bytes(b"x")
    (tmp_path / "f.jsonl.gz").write_bytes(gzip.compress(good.replace(b'"id":"', b'"id":"new-') * 1)[:-9])
    (tmp_path / "g.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    summary = batch(*(f"{name}" for name in ("a.jsonl", "b.csv", "c.parquet", "d.csv", "e.pdf", "f.jsonl.gz", "g.csv")))
    found = [(Path(r["source"]).name, r["row"], r["reason"]) for r in rows(tmp_path / "out", "refused")]
    wanted = [
        ("a.jsonl", 2, "not JSON"),
        ("a.jsonl", 3, "`turns` is empty"),
        ("a.jsonl", 4, "stands already in an earlier conversation"),
        ("a.jsonl", 5, "`id` is missing"),
        ("b.csv", 3, "unknown role 'boss'"),
        ("b.csv", 4, "the conversation's id is empty"),
        ("c.parquet", 0, "not a readable Parquet file"),
        ("d.csv", 0, "the file is empty"),
        ("e.pdf", 0, "unknown format"),
        ("f.jsonl.gz", 0, "cannot be read to its end"),
        ("g.csv", 0, "no ready column profile fits"),
    ]
    assert [(source, row) for source, row, _ in found] == [(source, row) for source, row, _ in wanted], found
    for (*_, reason), (*_, part) in zip(found, wanted, strict=True):
        assert part in reason
    assert summary.counts.refused == len(wanted)
    assert [one.conversation_id for one in rebuilt(tmp_path / "out")] == [archive[0].id, "k2"]


def test_folders_names_fill_what_the_rows_do_not_say(batch: Batch, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "vendor_id=v7" / "batch=12"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"id":"k1","turns":[{"role":"agent","text":"\u60a8\u597d"}]}\n', encoding="utf-8")
    (folder / "b.csv").write_text("session_id,role,text,vendor_id\nk2,agent,\u60a8\u597d,v8\n", encoding="utf-8")
    batch("in")
    found = [(r["vendor_id"], json.loads(r["attributes"]), r["day"] is None) for r in rows(tmp_path / "out", "screenings")]
    assert found == [("v7", {"batch": "12"}, True), ("v8", {"batch": "12"}, True)]


class StopError(Exception):
    pass


def test_an_interrupted_run_goes_on_without_losing_or_doubling(
    batch: Batch, tmp_path: Path, archive: list[Conversation], small_chunks: None
) -> None:
    scored: list[int] = []

    def stopping(root: str, chunks: list[int], opened: object, *, after: int) -> object:
        for number, counts in islice(local.alone(root, chunks, opened), after):
            scored.append(number)
            yield number, counts
        raise StopError

    written(tmp_path / "a.jsonl", archive)
    batch("a.jsonl", out="whole")
    with pytest.raises(StopError):
        batch("a.jsonl", engine=partial(stopping, after=2))
    with pytest.raises(InputError, match="an unfinished run lies here; go on with it by --resume"):
        batch("a.jsonl")
    with pytest.raises(StopError):
        batch("a.jsonl", engine=partial(stopping, after=2), resume=True)
    batch("a.jsonl", resume=True)
    assert len(set(scored)) == len(scored) == 4
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    with pytest.raises(InputError, match="holds a finished archive"):
        batch("a.jsonl", resume=True)


def test_other_inputs_or_settings_are_not_gone_on_with(batch: Batch, tmp_path: Path, archive: list[Conversation]) -> None:
    def stopping(root: str, chunks: list[int], opened: object) -> object:
        raise StopError

    written(tmp_path / "a.jsonl", archive)
    with pytest.raises(StopError):
        batch("a.jsonl", engine=stopping)
    written(tmp_path / "b.jsonl", archive)
    with pytest.raises(InputError, match=r"input .*b\.jsonl is new"):
        batch("a.jsonl", "b.jsonl", resume=True)
    with pytest.raises(InputError, match="keep was False, is True"):
        batch("a.jsonl", keep=True, resume=True)
    written(tmp_path / "a.jsonl", archive[:-1])
    with pytest.raises(InputError, match=r"input .*a\.jsonl has changed"):
        batch("a.jsonl", resume=True)


def test_a_run_with_other_versions_is_not_gone_on_with(batch: Batch, tmp_path: Path, archive: list[Conversation]) -> None:
    def stopping(root: str, chunks: list[int], opened: object) -> object:
        raise StopError

    written(tmp_path / "a.jsonl", archive)
    with pytest.raises(StopError):
        batch("a.jsonl", engine=stopping)
    state = Work.at(str(tmp_path / "out"))
    manifest = state.manifest()
    older = msgspec.structs.replace(manifest, versions=msgspec.structs.replace(manifest.versions, lexicon="sha256:0"))
    state.state.write("manifest.json", msgspec.json.encode(older))
    with pytest.raises(InputError, match="version of lexicon was sha256:0, is sha256:"):
        batch("a.jsonl", resume=True)


def test_an_address_holds_the_same_archive_as_a_disk(
    tmp_path: Path, archive: list[Conversation], screener: Screener, batch: Batch
) -> None:
    written(tmp_path / "a.jsonl", archive[:10])
    batch("a.jsonl")
    sources = expand([f"file://{tmp_path}/*.jsonl"])
    asked = Asked(f"file://{tmp_path}/remote", sources, Options(), "parquet", False, False, 1 << 26)
    finish(Work.at(asked.out), run(asked, lambda: screener, local.alone, SILENT))
    near, far = (rows(str(tmp_path / name), "screenings") for name in ("out", "remote"))
    assert [row | {"source": ""} for row in near] == [row | {"source": ""} for row in far]
    assert datasets.dataset(asked.out, "flags").count_rows() == datasets.dataset(str(tmp_path / "out"), "flags").count_rows()
    assert datasets.summary(asked.out).counts == datasets.summary(str(tmp_path / "out")).counts


def test_an_unfinished_or_foreign_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no finished archive \(summary.json is missing\)"):
        datasets.summary(str(tmp_path))
    with pytest.raises(InputError, match="there is no flags in this archive"):
        datasets.dataset(str(tmp_path), "flags")
