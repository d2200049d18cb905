"""The committed tables are what the libraries give: a changed dictionary cannot slip in unseen."""

import json
import unicodedata

import opencc

from screening.normalise import build_tables
from screening.normalise.build_tables import DATA, OPENCC, form_tables, readings, script_tables, syllable


def test_opencc_is_the_pinned_version():
    assert opencc.__version__ == OPENCC


def test_script_tables_are_opencc_s():
    characters, phrases = script_tables()
    assert (DATA / "script_characters.txt").read_text(encoding="utf-8") == build_tables._two_lines(characters)
    kept = "".join(f"{k}\t{v}\n" for k, v in sorted(phrases.items()))
    assert (DATA / "script_phrases.tsv").read_text(encoding="utf-8") == kept


def test_form_tables_agree_wherever_both_unicode_versions_know_the_character():
    single, many = form_tables()
    keys, values = (DATA / "form_characters.txt").read_text(encoding="utf-8").split("\n")[:2]
    committed = dict(zip(keys, values, strict=True))
    assert {k: v for k, v in single.items() if k in committed} == {k: v for k, v in committed.items() if k in single}
    source = json.loads((DATA / "source.json").read_text(encoding="utf-8"))
    if source["unicode"] == unicodedata.unidata_version:
        assert single == committed
        assert source["counts"]["expansions"] == len(many)


def test_readings_are_pypinyin_s():
    kept = "".join(f"{k}\t{','.join(v)}\n" for k, v in readings().items())
    assert (DATA / "readings.tsv").read_text(encoding="utf-8") == kept


def test_syllables_fall_together_as_documented():
    assert syllable("zhōng") == syllable("zǒng") == "zong"
    assert syllable("xìng") == syllable("xīn") == "xin"
    assert syllable("lǜ") == "lv"
