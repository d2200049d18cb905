import pickle

import pytest

from lexicons import cache


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SCREENING_CACHE", str(tmp_path / "own"))
    return tmp_path / "own"


def test_the_folder_follows_the_setting(own_folder):
    assert cache.cache_folder() == own_folder


def test_a_result_is_made_once(own_folder):
    made = []
    for _ in range(2):
        assert cache.kept("thing", "k", lambda: made.append(1) or {"a": 1}) == {"a": 1}
    assert made == [1]
    assert own_folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("spoiled", [b"", b"not a pickle", pickle.dumps({"a": 1})[:-3]])
def test_a_spoiled_entry_is_made_again(own_folder, spoiled):
    cache.kept("thing", "k", lambda: 1)
    (own_folder / "thing-k.pickle").write_bytes(spoiled)
    assert cache.kept("thing", "k", lambda: 2) == 2


def test_an_entry_that_others_may_write_is_not_read(own_folder):
    cache.kept("thing", "k", lambda: 1)
    (own_folder / "thing-k.pickle").chmod(0o666)
    assert cache.kept("thing", "k", lambda: 2) == 2


def test_a_folder_that_cannot_be_made_costs_only_time(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCREENING_CACHE", str(tmp_path / "file" / "below"))
    assert cache.kept("thing", "k", lambda: 1) == 1


def test_old_entries_are_dropped(own_folder):
    for i in range(20):
        cache.kept("thing", f"k{i}", lambda: 1)
    assert len(list(own_folder.glob("thing-*"))) <= 9


def test_digests_tell_parts_apart():
    assert cache.digest([b"ab", b"c"]) != cache.digest([b"a", b"bc"])
