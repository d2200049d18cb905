"""The packaged lexicon, and every refusal of the loader, the linter and the lock."""

import shutil

import msgspec
import pytest

from lexicons import lock
from lexicons.errors import LexiconError
from lexicons.load import PACKAGED, load, packaged
from lexicons.pattern import PatternError, parse, without_branches
from lexicons.schema import Rule
from lexicons.signals import CUSTOMER_SIGNALS, TEXT_SIGNALS
from screening import lint
from screening.evaluate import coverage
from screening.examples import ExampleRunner, surface_forms

RULE = """
[[rule]]
id = "abuse-tried"
version = 1
signal = "rudeness.abuse"
title = "试"
any_of = ["蠢得像木头"]
references = ["jd-zhitongche/A.attitude"]
suggestion = "{称呼}，我再为您说明一遍。"
hit = ["您真是«蠢得像木头»"]
miss = ["木头桌子还有货", "您说的木头柜子"]
"""


@pytest.fixture
def folder(tmp_path):
    """A lexicon with the packaged standards, sets, writings and cues, and no rules."""
    for part in ("standards", "variants", "cues"):
        shutil.copytree(PACKAGED / part, tmp_path / part)
    (tmp_path / "rules").mkdir()
    return tmp_path


def put(folder, text, name="rudeness.abuse-tried.toml"):
    (folder / "rules" / name).write_text(text, encoding="utf-8")
    return folder


def test_the_packaged_lexicon_is_as_large_as_promised():
    lexicon = packaged()
    active = [rule for rule in lexicon.rules if rule.status == "active"]
    assert len(active) >= 300
    assert sum(rule.pattern is not None for rule in active) >= 120
    assert len(surface_forms(active, lexicon)) >= 2500
    assert all(rules >= 8 for rules, _, _ in coverage(lexicon).values())
    assert set(coverage(lexicon)) == set(TEXT_SIGNALS)


def test_every_rule_has_honest_examples_and_references():
    for rule in packaged().rules:
        if rule.status != "retired":
            assert rule.hit and len(rule.miss) >= 2 and rule.references
            assert any(reference.startswith("jd-zhitongche/") for reference in rule.references)
            assert (rule.speaker == "customer") == (rule.signal in CUSTOMER_SIGNALS)


@pytest.mark.slow
def test_every_example_holds():
    runner = ExampleRunner(packaged())
    assert list(runner.problems(packaged().rules)) == []
    assert list(runner.cue_problems()) == []


@pytest.mark.slow
def test_the_linter_finds_nothing():
    assert list(lint.problems(packaged())) == []


def test_the_lock_is_up_to_date():
    assert lock.problems(packaged().rules, packaged().sets, lock.read()) == []


def test_a_good_rule_loads(folder):
    lexicon = load(put(folder, RULE))
    assert [rule.id for rule in lexicon.rules] == ["abuse-tried"]
    assert lexicon.files == {"abuse-tried": "rules/rudeness.abuse-tried.toml"}
    assert list(ExampleRunner(lexicon).problems(lexicon.rules)) == []
    assert list(lint.problems(lexicon)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1\n", "", "missing required field `version`"),
        ("version = 1\n", 'version = "1"\n', "`version`|\\$.version"),
        ('title = "试"\n', 'title = "试"\ncolour = "red"\n', "unknown field `colour`"),
        ('signal = "rudeness.abuse"', 'signal = "rude"', "none of the contract's signals"),
        ('signal = "rudeness.abuse"', 'signal = "rudeness.threat"', "belongs into a file named rudeness.threat-"),
        ('id = "abuse-tried"', 'id = "Abuse Tried"', "`id` is made of a-z"),
        ('any_of = ["蠢得像木头"]\n', "", "give either `any_of` or `pattern`"),
        ('any_of = ["蠢得像木头"]', 'any_of = ["蠢"]', "phrase '蠢' is short"),
        ('any_of = ["蠢得像木头"]', 'any_of = ["蠢得像木头", "蠢得像木头"]', "stands twice"),
        ('any_of = ["蠢得像木头"]', 'pattern = "蠢.*木头"', "unbounded repetition"),
        ('any_of = ["蠢得像木头"]', 'pattern = "(?:蠢{1,3}){1,4}"', "a repetition inside a repetition"),
        ('any_of = ["蠢得像木头"]', 'pattern = "蠢(?=木)"', "is not part of the language"),
        ('any_of = ["蠢得像木头"]', 'pattern = "(蠢"', "not a pattern"),
        ('any_of = ["蠢得像木头"]', "pattern = '蠢\\s{1,3}木'", "match line feeds, too"),
        ('any_of = ["蠢得像木头"]', 'pattern = "蠢?"', "matches the empty text"),
        ('any_of = ["蠢得像木头"]', 'pattern = "{nothing}蠢"', r"word set \{nothing\} does not exist; there are: .*you"),
        ('any_of = ["蠢得像木头"]', 'pattern = ".{3,5}"', "holds no fixed part"),
        ('any_of = ["蠢得像木头"]', 'pattern = "(?i)abc木头"', "inline flags"),
        ("version = 1\n", 'version = 1\nafter = {pattern = "加微信", turns = 0}\n', "`after.turns` must be 1 or more"),
        ('any_of = ["蠢得像木头"]', 'pattern = "蠢.{0,60}木头"', "the limit is 24"),
        ('["jd-zhitongche/A.attitude"]', "[]", "`references` is empty"),
        ('"jd-zhitongche/A.attitude"', '"jd-zhitongche/A.nothing"', "has no clause 'A.nothing'"),
        ('"jd-zhitongche/A.attitude"', '"nobody/A"', "no standard 'nobody'"),
        ('hit = ["您真是«蠢得像木头»"]', "hit = []", "`hit` is empty"),
        ("«蠢得像木头»", "蠢得像木头", "must mark what is found"),
        ('miss = ["木头桌子还有货", "您说的木头柜子"]', 'miss = ["木头桌子还有货"]', "at least two innocent neighbours"),
        ('"木头桌子还有货"', '"«木头»桌子"', "must not be marked"),
        ("version = 1\n", 'version = 1\nstatus = "retired"\n', "needs `reason`"),
        ("version = 1\n", 'version = 1\nspeaker = "customer"\n', "`speaker` 'customer' does not fit"),
        ("[[rule]]", "[[rule", "not TOML"),
        ("[[rule]]", "[[rules]]", r"unknown table \[rules\]"),
    ],
)
def test_one_bad_field_stops_the_load_and_is_named(folder, old, new, message):
    assert old in RULE
    with pytest.raises(LexiconError, match=message) as error:
        load(put(folder, RULE.replace(old, new)))
    assert all(problem.startswith("rules/rudeness.abuse-tried.toml") for problem in error.value.problems)


def test_all_problems_are_told_at_once(folder):
    put(folder, RULE.replace("version = 1\n", ""))
    put(
        folder,
        RULE.replace('id = "abuse-tried"', 'id = "abuse-other"').replace("hit = [", "hits = ["),
        "rudeness.abuse-other.toml",
    )
    with pytest.raises(LexiconError) as error:
        load(folder)
    assert len(error.value.problems) == 2


def test_an_id_is_never_used_twice(folder):
    put(folder, RULE)
    put(folder, RULE.replace("木头", "石头"), "rudeness.abuse-again.toml")
    with pytest.raises(LexiconError, match="an id is never used twice"):
        load(folder)


def test_an_unknown_clause_signal_in_a_standard(folder):
    path = folder / "standards" / "jd-zhitongche.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"disparagement"', '"disparaging"', 1), encoding="utf-8")
    with pytest.raises(LexiconError, match="unknown signal 'disparaging'"):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["您真是«蠢得像木头»"]', '["您真是«蠢得»像木头"]', "finds «蠢得像木头» too|is not found"),
        ('"木头桌子还有货"', '"您蠢得像木头"', "is hit at «蠢得像木头»"),
        ('any_of = ["蠢得像木头"]', 'any_of = ["蠢得像木头", "蠢得像石头"]', "no hit shows the phrase '蠢得像石头'"),
        ('any_of = ["蠢得像木头"]', 'pattern = "蠢得像(?:木头|石头)"', "no hit shows the branch '石头'"),
        ("{称呼}，我再为您说明一遍。", "{店名}您好。", r"slot \{店名\} is unknown"),
        ("{称呼}，我再为您说明一遍。", "您蠢得像木头", "its suggestion raises rudeness.abuse"),
    ],
)
def test_examples_that_do_not_hold(folder, old, new, message):
    lexicon = load(put(folder, RULE.replace(old, new)))
    problems = list(ExampleRunner(lexicon).problems(lexicon.rules))
    assert any(__import__("re").search(message, problem) for problem in problems), problems


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('any_of = ["蠢得像木头"]', 'any_of = ["蠢得像木頭"]', "written otherwise in the clean view"),
        ('any_of = ["蠢得像木头"]', 'any_of = ["蠢得像木头", "保证"]\nwhole_word = true', None),
        ('suggestion = "{称呼}，我再为您说明一遍。"\n', "", "`suggestion` is missing"),
        ('any_of = ["蠢得像木头"]', 'any_of = ["蠢得像木头", "一举两"]', "stands inside common words (一举两得"),
        ('title = "试"', 'title = "试"\nfold = "sound"\nwhole_word = true', None),
    ],
)
def test_the_linter(folder, old, new, message):
    lexicon = load(put(folder, RULE.replace(old, new)))
    problems = list(lint.problems(lexicon))
    assert (problems == []) if message is None else any(message in p for p in problems), problems


def test_the_linter_sees_duplicates_after_folding(folder):
    put(folder, RULE)
    put(folder, RULE.replace("abuse-tried", "abuse-again"), "rudeness.abuse-again.toml")
    assert any("stands already in rule" in problem for problem in lint.problems(load(folder)))


def test_the_lock_catches_silent_changes_and_vanished_rules(folder):
    rule = load(put(folder, RULE)).rules[0]
    lock.write([rule], {}, folder)
    locked = lock.read(folder)
    assert lock.problems([rule], {}, locked) == []
    reworded = msgspec.structs.replace(rule, title="另一个说法", status="shadow")
    assert lock.problems([reworded], {}, locked) == []
    changed: Rule = msgspec.structs.replace(rule, any_of=("别的话",))
    assert "changed its behaviour but not its version" in lock.problems([changed], {}, locked)[0]
    raised = msgspec.structs.replace(changed, version=2)
    assert "screening lexicon lock" in lock.problems([raised], {}, locked)[0]
    assert "vanished" in lock.problems([], {}, locked)[0]
    assert "is not in the lock" in lock.problems([rule, msgspec.structs.replace(rule, id="new")], {}, locked)[0]


def test_the_lock_sees_a_change_of_a_word_set(folder):
    rule: Rule = msgspec.structs.replace(load(put(folder, RULE)).rules[0], any_of=(), pattern="{wood}脑袋")
    lock.write([rule], {"wood": ("木头",)}, folder)
    assert lock.problems([rule], {"wood": ("木头",)}, lock.read(folder)) == []
    assert lock.problems([rule], {"wood": ("木头", "石头")}, lock.read(folder))


def test_alternatives_are_removed_one_at_a_time():
    found = dict(without_branches("(?:a|b)c|d[|]"))
    assert found == {"a": "(?:b)c|d[|]", "b": "(?:a)c|d[|]", "(?:a|b)c": "d[|]", "d[|]": "(?:a|b)c"}


def test_word_sets_inside_alternations_keep_their_forms():
    sets = {"a": ("微信", "vx"), "b": ("扣扣",)}
    assert parse("(?:{a}|{b}|号)码", sets).texts(50) == {"微信码", "vx码", "扣扣码", "号码"}


def test_nested_quantifiers_are_refused():
    with pytest.raises(PatternError, match="a repetition inside a repetition"):
        parse("(?:(?:啊{1,9}){1,9}){1,9}啦", {})
