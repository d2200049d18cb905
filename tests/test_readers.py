import csv
import io
import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from screening.errors import InputError
from screening.readers import encoding, files, mapping, tables
from screening.readers.records import Refused
from screening.readers.seen import SeenIds
from screening.types import Conversation

ROWS = [
    ("会话ID", "发送方", "消息内容", "发送时间", "客服工号", "店铺"),
    ("c1", "客户", "在吗", "2026/3/2 10:00:00", "a1", "甲"),
    ("c1", "客服", "您好，\n在的", "2026/3/2 10:00:05", "a1", "甲"),
    ("c2", "顾客", "退款", "2026/3/2 11:00:00", "a2", "乙"),
    ("c2", "坐席", "好的", "2026/3/2 11:00:09", "a2", "乙"),
]


def table_text(rows=ROWS) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


def check(items) -> None:
    assert [i.id for i in items] == ["c1", "c2"]
    first = items[0]
    assert [(t.role, t.text) for t in first.turns] == [("customer", "在吗"), ("agent", "您好，\n在的")]
    assert first.turns[1].at == datetime(2026, 3, 2, 10, 0, 5)
    assert first.agent_id == "a1"
    assert first.attributes["turn_extras"]["0"] == {"店铺": "甲"}


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
def test_csv_in_every_encoding(tmp_path, codec):
    path = tmp_path / "x.csv"
    path.write_bytes(table_text().encode(codec))
    check(list(files.read(str(path))))


def test_tab_separated(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("\n".join("\t".join(c.replace("\n", "") for c in row) for row in ROWS), encoding="utf-8")
    assert [i.id for i in files.read(str(path))] == ["c1", "c2"]


def test_xlsx(tmp_path):
    path = tmp_path / "x.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet()
    for i, row in enumerate(ROWS):
        sheet.write_row(i, 0, row)
    book.close()
    check(list(files.read(str(path))))


def test_parquet_messages(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({title: [row[i] for row in ROWS[1:]] for i, title in enumerate(ROWS[0])}), path)
    check(list(files.read(str(path))))


def test_parquet_with_nested_turns(tmp_path):
    path = tmp_path / "x.parquet"
    turns = [
        [{"role": "agent", "text": "您好", "at": None}, {"role": "customer", "text": "好", "at": "2026-03-02T10:00:00+08:00"}]
    ]
    pq.write_table(pa.table({"id": ["c"], "turns": turns, "channel": ["phone"]}), path)
    (item,) = files.read(str(path))
    assert item.channel == "phone" and item.turns[1].at is not None


def test_one_row_per_conversation_with_a_json_column(tmp_path):
    path = tmp_path / "x.csv"
    turns = json.dumps([{"role": "agent", "text": "您好"}], ensure_ascii=False)
    rows = [("id", "turns", "loss_yuan", "备注"), ("c1", turns, "3000", "x"), ("c2", "[", "", ""), ("c3", turns, "", "")]
    path.write_text(table_text(rows), encoding="utf-8")
    first, second, third = files.read(str(path))
    assert first.attributes == {"loss_yuan": 3000, "备注": "x"}
    assert isinstance(second, Refused) and second.row == 3 and "not JSON" in second.reason
    assert third.id == "c3"


def test_json_array_and_single_object(tmp_path):
    record = {"id": "a", "turns": [{"role": "agent", "text": "您好"}]}
    (tmp_path / "x.json").write_text(json.dumps([record, 5, record | {"id": "b"}]), encoding="utf-8")
    kinds = [type(i).__name__ for i in files.read(str(tmp_path / "x.json"))]
    assert kinds == ["Conversation", "Refused", "Conversation"]
    (tmp_path / "y.json").write_text(json.dumps(record), encoding="gb18030")
    assert [i.id for i in files.read(str(tmp_path / "y.json"))] == ["a"]


def test_a_wrong_mapping_says_which_columns_exist(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,2,3\n", encoding="utf-8")
    with pytest.raises(InputError, match="the table has: a, b, c"):
        list(files.read(str(path)))
    with pytest.raises(InputError, match=r"no column for `id` \(looked for 会话ID .*the table has: a, b, c"):
        list(files.read(str(path), columns="messages-zh"))
    with pytest.raises(InputError, match="no column profile 'nope'"):
        list(files.read(str(path), columns="nope"))


def test_an_own_profile_maps_columns_and_roles(tmp_path):
    profile = tmp_path / "own.toml"
    profile.write_text(
        'shape = "messages"\n[columns]\nid = "Nr"\nrole = "Wer"\ntext = "Was"\n[roles]\nagent = ["berater"]\ncustomer = ["kunde"]\n',
        encoding="utf-8",
    )
    path = tmp_path / "x.csv"
    path.write_text("Nr,Wer,Was\n1,Kunde,在吗\n1,Berater,在的\n", encoding="utf-8")
    (item,) = files.read(str(path), columns=str(profile))
    assert [t.role for t in item.turns] == ["customer", "agent"]


def test_a_spoiled_row_spoils_only_its_conversation(tmp_path):
    path = tmp_path / "x.csv"
    rows = [*ROWS[:2], ("c1", "路人", "?", "", "", ""), *ROWS[3:]]
    path.write_text(table_text(rows), encoding="utf-8")
    first, second = files.read(str(path))
    assert isinstance(first, Refused) and first.row == 3 and "unknown role '路人'" in first.reason
    assert isinstance(second, Conversation) and second.id == "c2"


def test_scattered_messages_are_refused_naming_the_command_that_mends_them(tmp_path):
    path = tmp_path / "x.csv"
    scattered = [ROWS[0], ROWS[1], ROWS[3], ROWS[2], ROWS[4]]
    path.write_text(table_text(scattered), encoding="utf-8")
    refused = [i for i in files.read(str(path)) if isinstance(i, Refused)]
    assert refused and all("screening batch assemble" in r.reason for r in refused)
    check(list(files.read(str(path), assemble=True)))


@pytest.mark.parametrize(
    "text",
    [
        "客服小美 2026-03-02 10:00:05\n您好\n请讲\n\n客户 2026-03-02 10:00:09\n退款\n",
        "[2026-03-02 10:00:05] 客服小美：您好\n请讲\n[2026-03-02 10:00:09] 客户：退款\n",
        "2026/3/2 10:00:05 客服小美\n您好\n请讲\n2026/3/2 10:00:09 客户\n退款",
        "A: 您好\n请讲\nB: 退款\n",
        "客服说：您好\n请讲\n用户说：退款\n",
        "小美(2026-03-02 10:00:05)：您好\n请讲\n客户(2026-03-02 10:00:09)：退款\n",
    ],
)
def test_pasted_chat_text(tmp_path, text):
    path = tmp_path / "x.txt"
    path.write_text(text, encoding="utf-8")
    roles = tmp_path / "roles.toml"
    roles.write_text('[roles]\nagent = ["小美"]\n', encoding="utf-8")
    (item,) = files.read(str(path), roles=roles)
    assert [t.role for t in item.turns] == ["agent", "customer"]
    assert item.turns[0].text.rstrip("\n") == "您好\n请讲"
    assert item.turns[1].text == "退款"
    if "10:00" in text:
        assert item.turns[1].at == datetime(2026, 3, 2, 10, 0, 9)


def test_times_without_a_day_are_not_guessed(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("[10:00] 客户：在吗\n[10:01] 客服：在的\n---\n客户：第二段\n", encoding="utf-8")
    first, second = files.read(str(path))
    assert first.turns[0].at is None
    assert (first.id, second.id) == ("x-1", "x-2")
    roles = tmp_path / "roles.toml"
    roles.write_text('date = "2026-03-02"\n', encoding="utf-8")
    dated = next(iter(files.read(str(path), roles=roles)))
    assert dated.turns[1].at == datetime(2026, 3, 2, 10, 1)


def test_an_unknown_speaker_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("[2026-03-02 10:00] 阿强：在吗\n", encoding="utf-8")
    (item,) = files.read(str(path))
    assert isinstance(item, Refused) and "unknown speaker '阿强'" in item.reason


def test_text_without_a_speaker_is_refused(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("你好\n客服：您好\n", encoding="utf-8")
    (item,) = files.read(str(path))
    assert isinstance(item, Refused) and item.row == 1 and "begins without a speaker" in item.reason


def test_formats_that_cannot_stream_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "WHOLE_LIMIT", 10)
    path = tmp_path / "x.json"
    path.write_text("[" + " " * 20 + "]", encoding="utf-8")
    with pytest.raises(InputError, match="save it as JSON Lines, CSV or Parquet"):
        list(files.read(str(path)))


def test_unknown_format_and_missing_file(tmp_path):
    with pytest.raises(InputError, match="unknown format"):
        files.read(str(tmp_path / "x.docx"))
    with pytest.raises(InputError, match="no such file"):
        files.read(str(tmp_path / "x.csv"))


def test_every_ready_profile_loads():
    for name in ("messages-zh", "messages-en", "conversations-json", "sessions-tsv"):
        assert mapping.load(name).columns["id"]


def test_encodings_are_told_apart():
    text = "客户：在吗？客服：您好" * 20
    for codec in ("utf-8", "gb18030"):
        assert encoding.detect(text.encode(codec)) == codec
    assert encoding.detect(text.encode("utf-16")) == "utf-16"


def test_seen_ids_over_many_blocks():
    seen = SeenIds()
    assert all(seen.add(f"id{i}") for i in range(200_000))
    assert not any(seen.add(f"id{i}") for i in range(0, 200_000, 997))
    assert seen.add("new")


def test_a_message_that_begins_like_a_speaker_is_no_speaker(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("客户：有三点\n客服态度：太差\n用户名：abc\n客服小美：抱歉\n客户经理小王：您好\n", encoding="utf-8")
    (item,) = files.read(str(path))
    assert [(t.role, t.text) for t in item.turns] == [
        ("customer", "有三点\n客服态度：太差\n用户名：abc"),
        ("agent", "抱歉"),
        ("agent", "您好"),
    ]


def test_an_unknown_field_of_a_column_profile_is_named(tmp_path):
    (tmp_path / "p.toml").write_text(
        'shape = "messages"\n[columns]\nid = "a"\nrole = "b"\ntext = "c"\ntetx = "d"\n', encoding="utf-8"
    )
    with pytest.raises(InputError, match="unknown fields tetx"):
        mapping.load(str(tmp_path / "p.toml"))
