"""The commands as a user calls them, in this process."""

import json
import shutil
import sys

import pytest
from typer.testing import CliRunner

from api.cli import app
from lexicons.load import PACKAGED
from screening.samples import ARCHIVE

GOOD = {"id": "a", "turns": [{"role": "customer", "text": "在吗"}, {"role": "agent", "text": "你就是个傻逼"}]}
runner = CliRunner()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(GOOD, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def run(*arguments, input=None):
    return runner.invoke(app, [str(a) for a in arguments], input=input)


def test_screen_writes_screenings_as_json_lines(file):
    result = run("screen", file)
    assert result.exit_code == 0
    screening = json.loads(result.stdout)
    assert screening["conversation_id"] == "a" and screening["level"] == "A"
    assert screening["flags"][0]["quote"] in GOOD["turns"][1]["text"]


def test_screen_reads_standard_input():
    result = run("screen", "-", input=json.dumps(GOOD) + "\n")
    assert result.exit_code == 0 and json.loads(result.stdout)["level"] == "A"


def test_refused_inputs_give_status_1_and_a_reason(file):
    with file.open("a", encoding="utf-8") as out:
        out.write("{broken\n" + json.dumps(GOOD | {"id": "b"}) + "\n")
    result = run("screen", file)
    assert result.exit_code == 1
    assert [json.loads(line)["conversation_id"] for line in result.stdout.splitlines()] == ["a", "b"]
    assert "in.jsonl:2: not JSON" in result.stderr and "1 inputs were refused" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["screen", "nothing.jsonl"], "no such file"),
        (["screen", "-", "--format", "docx"], "unknown format"),
        (["screen", "-", "--profile", "nothing.toml"], "nothing.toml"),
        (["standard", "show", "nobody"], "no standard 'nobody'; there are: "),
    ],
)
def test_an_unusable_call_gives_status_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_replay_says_identical_or_what_differs(file, tmp_path):
    screening = tmp_path / "s.json"
    screening.write_text(run("screen", file).stdout, encoding="utf-8")
    result = run("replay", screening, "--conversation", file)
    assert (result.exit_code, result.stdout) == (0, "identical\n")
    other = tmp_path / "other.json"
    other.write_text(json.dumps(GOOD | {"turns": GOOD["turns"][:1]}), encoding="utf-8")
    result = run("replay", screening, "--conversation", other)
    assert result.exit_code == 1 and '- flag signal="rudeness.abuse"' in result.stdout


def test_explain_shows_views_hits_and_clauses():
    result = run("lexicon", "explain", "你這個傻.逼")
    assert result.exit_code == 0
    assert "clean:    你这个傻.逼" in result.stdout and "rudeness.abuse" in result.stdout
    assert "jd-zhitongche/A.attitude" in result.stdout


@pytest.mark.slow
def test_explain_tries_drafts_when_asked(tmp_path):
    folder = tmp_path / "lexicon"
    shutil.copytree(PACKAGED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    draft = (
        '[[rule]]\nid = "draft-hat"\nversion = 1\nstatus = "draft"\nsignal = "shirking"\ntitle = "说是帽子的事"\n'
        'any_of = ["那是帽子的事"]\nreferences = ["jd-zhitongche/B.shirking"]\nsuggestion = "{称呼}，我来为您查。"\n'
        'hit = ["«那是帽子的事»"]\nmiss = ["帽子的事我来办", "那是帽子"]\n'
    )
    (folder / "rules/shirking-hat.toml").write_text(draft, encoding="utf-8")
    call = ("lexicon", "explain", "那是帽子的事", "--lexicon", str(folder))
    assert "draft-hat" not in run(*call).stdout
    assert "(shadow) - rule draft-hat" in run(*call, "--drafts").stdout


def test_explain_takes_context_and_refuses_unknown_speakers():
    assert run("lexicon", "explain", "在的", "--after", "客户：在吗").exit_code == 0
    result = run("lexicon", "explain", "在的", "--after", "老板：在吗")
    assert result.exit_code == 2 and "must begin with one of" in result.stderr


def test_standards_are_listed_and_shown():
    assert run("standard", "list").stdout.count("\n") == 5
    shown = run("standard", "show", "jd-zhitongche").stdout
    assert "[A] A.diversion" in shown and "loss.over_limit" in shown
    assert "A.diversion" in run("standard", "coverage").stdout


def test_lexicon_coverage_counts_every_text_signal():
    result = run("lexicon", "coverage")
    assert result.exit_code == 0 and "distinct surface forms" in result.stdout


def test_a_bad_lexicon_stops_every_command(tmp_path, file):
    (tmp_path / "lex" / "rules").mkdir(parents=True)
    (tmp_path / "lex" / "rules" / "shirking-x.toml").write_text("[[rule]]\nid = 'x'\n", encoding="utf-8")
    result = run("screen", file, "--lexicon", tmp_path / "lex")
    assert result.exit_code == 2 and "rules/shirking-x.toml" in result.stderr


def test_evaluate_prints_every_table(tmp_path):
    record = {"id": "t", "kind": "turn", "channel": "online", "context": [["customer", "在吗"]], "role": "agent"}
    rows = [
        record
        | {"text": "你就是个傻逼", "labels": [{"signal": "rudeness.abuse", "quote": "傻逼"}], "style": "plain", "near": []},
        record | {"text": "在的，请讲", "labels": [], "style": "plain", "near": ["rudeness.abuse"]},
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    result = run("evaluate", path, "--mistakes")
    assert result.exit_code == 0
    assert (
        "rudeness.abuse" in result.stdout and "(1/1)" in result.stdout and "hard negatives flagged: 0.000 (0/1)" in result.stdout
    )
    path.write_text("{}\n", encoding="utf-8")
    assert run("evaluate", path).exit_code == 2


def test_false_alarms_are_counted_per_thousand_agent_turns(file):
    result = run("measure", "false-alarms", file, "--show")
    assert result.exit_code == 0
    assert "1 alarms in 1 agent turns: 1000.00 per 1,000" in result.stdout


def test_assemble_brings_scattered_messages_together(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("会话ID,角色,内容\n1,客户,在吗\n2,客户,退款\n1,客服,在的\n", encoding="utf-8")
    assert run("screen", path).exit_code == 1
    result = run("batch", "assemble", path, "--output", tmp_path / "out.jsonl")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], len(row["turns"])) for row in rows] == [("1", 2), ("2", 1)]


def test_assemble_never_writes_over_its_input(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("会话ID,角色,内容\n1,客户,在吗\n", encoding="utf-8")
    result = run("batch", "assemble", path, "--output", path)
    assert result.exit_code == 2 and "is the input itself" in result.stderr
    assert path.read_text(encoding="utf-8").startswith("会话ID")
    result = run("batch", "assemble", tmp_path / "none.csv", "--output", tmp_path / "out.jsonl")
    assert result.exit_code == 2 and not (tmp_path / "out.jsonl").exists()


def test_a_misspelled_rule_id_is_no_success():
    assert run("lexicon", "test", "no-such-rule").exit_code == 2


def test_nothing_heavy_is_imported_before_it_is_needed():
    import subprocess

    code = "import sys, api.cli; print([m for m in ('numpy', 'hyperscan', 'jieba', 're2', 'pyarrow', 'rich.table') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_conversation_text_reaches_standard_error(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(
        json.dumps({"id": "a", "turns": [{"role": "agent", "text": "客户王女士的秘密"}, {"role": "agent"}]}) + "\n",
        encoding="utf-8",
    )
    assert "秘密" not in run("screen", path).stderr


def test_the_archive_screens_with_status_0():
    result = run("screen", ARCHIVE)
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 96
