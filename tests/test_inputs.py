import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.inputs import CONTEXT_TURNS, ROW, TURN
from screening.normalise.clean import clean_text
from tests.tiny import CLOSING, OPENING, row_maker, tokenizer

ALPHABET = "您好加我微信号发货滚蛋吧 ,。?abc12"
LETTERS = "您好加我微信发货滚蛋吧"
# A piece may begin in the mark of the speaker and end in the turn, and may be a whole word; 😀 and 龘 have none.
PIECES = ("▁服:您", ":加", "微信", "发货", "滚蛋吧", "您好您好")
MARKS = {"customer": "客:", "agent": "服:", "bot": "机:", "system": "系:"}
TOKENIZER = tokenizer([ALPHABET], PIECES)
MAKER = row_maker([ALPHABET], PIECES)
TURNS = st.lists(
    st.tuples(
        st.sampled_from(["agent", "customer", "bot", "system"]),
        st.one_of(st.text(ALPHABET + "😀龘", min_size=1, max_size=30), st.text(LETTERS, min_size=90, max_size=250)),
    ),
    min_size=1,
    max_size=7,
)


def made(turns):
    roles, cleans = [role for role, _ in turns], [clean_text(text).clean for _, text in turns]
    return roles, cleans, MAKER.rows(roles, cleans, len(turns) - 1)


def context_tokens(roles, cleans):
    before = list(zip(roles, cleans, strict=True))[:-1][-CONTEXT_TURNS:]
    return TOKENIZER.encode("".join(MARKS[role] + clean for role, clean in before), add_special_tokens=False).ids


@given(TURNS)
def test_no_row_is_longer_than_a_row_and_the_far_context_is_cut_first(turns):
    roles, cleans, rows = made(turns)
    context = context_tokens(roles, cleans)
    for row in rows:
        assert len(row.ids) <= ROW and row.turn <= TURN
        assert row.ids[0] == OPENING and row.ids[-1] == CLOSING and row.ids[row.first + row.turn] == CLOSING
        kept = row.ids[row.first + row.turn + 1 : -1]
        assert kept == context[len(context) - len(kept) :]
        assert len(row.ids) == ROW or len(kept) == len(context)


@given(TURNS)
def test_every_character_of_the_turn_is_covered_by_the_windows_places(turns):
    _, cleans, rows = made(turns)
    clean = cleans[-1]
    covered = set()
    for row in rows:
        assert len(row.places) == row.turn
        assert all(0 <= start < end <= len(clean) for start, end in row.places)
        assert row.places == sorted(row.places)
        covered |= {i for start, end in row.places for i in range(start, end)}
    # Of spaces in a row the tokenizer keeps one.
    assert all(clean[i] == " " and "  " in clean[max(0, i - 1) : i + 2] for i in {*range(len(clean))} - covered)


@given(TURNS)
def test_windows_are_the_turn_s_own_tokens_and_overlap(turns):
    roles, cleans, rows = made(turns)
    ids = {}
    for row in rows:
        ids |= dict(zip(row.places, row.ids[row.first : row.first + row.turn], strict=True))
    tokens = [row.turn for row in rows]
    assert len(tokens) == 1 or set(tokens) == {TURN}
    for one, other in itertools.pairwise(rows):
        assert other.places[0] in one.places and one.places[-1] in other.places
    whole = TOKENIZER.encode(MARKS[roles[-1]] + cleans[-1], add_special_tokens=False).ids
    assert [ids[place] for place in sorted(ids)] == whole[len(whole) - len(ids) :]


@given(TURNS)
def test_only_the_last_turns_before_a_turn_count(turns):
    roles, cleans, rows = made(turns)
    first = max(0, len(turns) - 1 - CONTEXT_TURNS)
    assert MAKER.rows(roles[first:], cleans[first:], len(turns) - 1 - first) == rows
    assert MAKER.rows([*roles, "agent"], [*cleans, "好"], len(turns) - 1) == rows


def test_a_row_by_hand():
    (row,) = MAKER.rows(["customer", "agent"], ["发货吧", "滚蛋吧"], 1)
    assert [TOKENIZER.id_to_token(i) for i in row.ids] == [
        *("<s>", "▁", "服", ":", "滚蛋吧", "</s>"),
        *("▁", "客", ":", "发货", "吧", "</s>"),
    ]
    assert (row.first, row.turn, row.places) == (4, 1, [(0, 3)])


def test_a_piece_that_begins_in_the_mark_belongs_to_the_turn():
    (row,) = MAKER.rows(["agent"], ["您好"], 0)
    assert TOKENIZER.id_to_token(row.ids[1]) == "▁服:您"
    assert (row.first, row.turn, row.places) == (1, 2, [(0, 1), (1, 2)])


@pytest.mark.parametrize(("length", "windows"), [(TURN, 1), (TURN + 1, 2), (2 * TURN, 3), (400, 13)])
def test_a_long_turn_is_read_in_windows(length, windows):
    rows = MAKER.rows(["customer", "agent"], ["发货吧" * 40, "蛋" * length], 1)
    assert len(rows) == windows
    assert rows[0].places[0] == (0, 1) and rows[-1].places[-1] == (length - 1, length)
    assert {len(row.ids) for row in rows} == {ROW}
