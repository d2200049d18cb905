"""Every bad input gets a clear answer; nothing is lost and nothing breaks."""

import json

import pytest

from screening.errors import InputError
from screening.readers import files
from screening.readers.records import Refused, from_json, from_record
from screening.types import Conversation, Turn
from tests.conftest import active


def one(text: str, role: str = "agent") -> Conversation:
    return Conversation(id="c", turns=(Turn("customer", "在吗"), Turn(role, text)))


def test_empty_file(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="the file is empty"):
        files.read(str(tmp_path / "empty.jsonl"))


def test_empty_text(screener):
    assert screener.screen(one("")).complete


def test_a_turn_of_a_million_characters(screener):
    text = "您好" * 300_000 + "你就是个傻逼" + "谢谢" * 200_000
    flags = [f for f in screener.screen(one(text)).flags if f.signal == "rudeness.abuse"]
    assert any(600_000 <= f.start < f.end <= 600_006 for f in flags)


def test_a_turn_of_only_emoji(screener):
    screening = screener.screen(one("😀👍❤️🙏" * 20))
    assert screening.complete


def test_a_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(InputError, match=r"turn 0: lone surrogate U\+D83D at character 2"):
        from_record({"id": "c", "turns": [{"role": "agent", "text": "您好\ud83d"}]})
    with pytest.raises(InputError, match="half of a character"):
        from_json(b'{"id": "c", "turns": [{"role": "agent", "text": "\\ud83d"}]}')


def test_a_lone_surrogate_that_passed_no_reader_is_refused_by_the_screener(screener):
    with pytest.raises(InputError, match="lone surrogate"):
        screener.screen(one("\ud83d"))


def test_nul_and_right_to_left_marks_hide_nothing(screener):
    screening = screener.screen(one("你就是个傻\u202e\u200f逼\x00"))
    flag = next(f for f in screening.flags if f.signal == "rudeness.abuse")
    assert flag.status == "active" and "傻\u202e\u200f逼" in flag.quote


def test_a_conversation_of_ten_thousand_turns(screener):
    turns = tuple(Turn("agent" if i % 2 else "customer", f"第{i}句，您看这个尺码可以吗") for i in range(10_000))
    assert screener.screen(Conversation(id="long", turns=turns)).complete


def write(tmp_path, *records, name="in.jsonl"):
    path = tmp_path / name
    path.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return str(path)


GOOD = {"id": "a", "turns": [{"role": "agent", "text": "您好"}]}


def test_duplicate_ids(tmp_path):
    items = list(files.read(write(tmp_path, GOOD, "\n", GOOD | {"id": "b"}, GOOD)))
    assert [isinstance(i, Refused) for i in items] == [False, False, True]
    assert items[2].row == 4 and "id 'a' stands already" in items[2].reason


def test_duplicate_ids_in_other_formats_are_named_by_the_conversation(tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps([GOOD, GOOD | {"id": "b"}, GOOD]), encoding="utf-8")
    refused = [item for item in files.read(str(path)) if isinstance(item, Refused)]
    assert [(r.row, r.id) for r in refused] == [(3, "a")] and "(conversation 3)" in refused[0].source


def test_times_out_of_order_are_screened_without_timing(screener):
    turns = [
        {"role": "customer", "text": "在吗", "at": "2026-03-02T10:05:00+08:00"},
        {"role": "agent", "text": "你就是个傻逼", "at": "2026-03-02T10:00:00+08:00"},
    ]
    screening = screener.screen(from_record({"id": "c", "turns": turns}))
    assert "timing" in screening.not_checked
    assert ("rudeness.abuse", 1) in active(screening)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"turns": []}, "`id` is missing"),
        ({"id": "c"}, "`turns` is missing; there are: id"),
        ({"id": "c", "turns": []}, "`turns` is empty"),
        ({"id": "", "turns": [{"role": "agent", "text": "x"}]}, "`id` is empty"),
        ({"id": "c", "turns": {}}, "`turns` must be a list"),
        ({"id": "c", "turns": ["x"]}, "turn 0 must be an object"),
        ({"id": "c", "turns": [{"role": "boss", "text": "x"}]}, "turn 0: unknown role 'boss'; roles are agent"),
        ({"id": "c", "turns": [{"role": "agent"}]}, "turn 0: `text` is missing"),
        ({"id": "c", "turns": [{"role": "agent", "text": 5}]}, "turn 0: Expected `str`"),
        ({"id": "c", "turns": [{"role": "agent", "text": "x", "at": "gestern"}]}, "`at` 'gestern' is no time"),
        ({"id": "c", "channel": "fax", "turns": [{"role": "agent", "text": "x"}]}, "channels are online"),
        ({"id": "c", "attributes": [], "turns": [{"role": "agent", "text": "x"}]}, None),
        ([], "expected an object"),
    ],
)
def test_bad_records_say_what_and_where(record, message):
    if message is None:
        assert from_record(record).attributes == {}
        return
    with pytest.raises(InputError) as error:
        from_record(record)
    assert message in str(error.value)


def test_unknown_fields_are_kept(tmp_path):
    record = GOOD | {"shop": "x", "attributes": {"rating": "satisfied"}}
    record["turns"] = [{"role": "agent", "text": "您好", "device": "app"}]
    (item,) = files.read(write(tmp_path, record))
    assert item.attributes == {"shop": "x", "rating": "satisfied", "turn_extras": {"0": {"device": "app"}}}


def test_a_spoiled_line_is_refused_and_the_rest_is_read(tmp_path):
    items = list(files.read(write(tmp_path, GOOD, "{not json\n", GOOD | {"id": "b"})))
    assert [type(i).__name__ for i in items] == ["Conversation", "Refused", "Conversation"]
    assert items[1].row == 2 and "not JSON" in items[1].reason


def test_wrong_encoding(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "a", "turns": [{"role": "agent", "text": "\xff\xff\xff\xff\x80"}]}\n')
    with pytest.raises(InputError, match="neither UTF-8 nor GB18030 nor UTF-16"):
        list(files.read(str(path)))


def test_encoding_that_breaks_later_names_the_line(tmp_path):
    path = tmp_path / "x.jsonl"
    line = json.dumps(GOOD | {"pad": "好" * 1000}, ensure_ascii=False).encode()
    rows = [line.replace(b'"a"', b'"a%d"' % i) for i in range(500)]
    path.write_bytes(b"\n".join(rows) + b"\n" + b'{"id": "z", "turns": [{"role": "agent", "text": "\xff"}]}\n')
    items = list(files.read(str(path)))
    assert isinstance(items[-1], Refused) and "not utf-8 text from here on" in items[-1].reason
    assert sum(isinstance(i, Conversation) for i in items) >= 490


def test_truncated_workbook(tmp_path):
    import xlsxwriter

    path = tmp_path / "x.xlsx"
    book = xlsxwriter.Workbook(str(path))
    book.add_worksheet().write_row(0, 0, ["会话ID", "角色", "内容"])
    book.close()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a readable workbook"):
        list(files.read(str(path)))
