"""What the documents show is true: commands exist, fields are named, TOML examples load and hold."""

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from api.cli import app
from api.cli_batch import RunByDefault
from lexicons import schema
from lexicons.load import PACKAGED, load
from screening import lint, profile
from screening.batch.schemas import DATASETS
from screening.examples import ExampleRunner
from screening.readers import chat_text, files, mapping

ROOT = Path(__file__).parents[1]
DOCS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?screening [^`\n]+)`")
_FOLDERS = {"rule": "rules", "cue": "cues", "set": "variants/sets", "writing": "variants/writings"}


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def fenced(text: str, language: str) -> list[str]:
    return [body for kind, body in _FENCE.findall(text) if kind == language]


def command_lines(text: str) -> Iterator[list[str]]:
    """The words after `screening` in shell blocks, indented blocks and inline code, up to the end of the simple command."""
    lines = [line for kind, body in _FENCE.findall(text) if kind in ("", "sh", "bash", "console") for line in body.splitlines()]
    rest = _FENCE.sub("", text)
    lines += [line for line in rest.splitlines() if line.startswith("    ")]
    lines += _INLINE.findall(rest)
    for line in lines:
        for part in re.split(r"&&|\|\||[;|>]", line):
            if re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?screening [a-z-]", part):
                words = shlex.split(part.replace("$ ", ""), comments=True)
                yield words[1:]


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command line, or None."""
    command: Any = get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest:
            return None  # a group by itself, as in prose
        name = rest.pop(0)
        if name not in command.commands and isinstance(command, RunByDefault):
            rest, name = [name, *rest], "run"
        if name not in command.commands:
            return f"no command {name!r} among {', '.join(command.commands)}"
        command = command.commands[name]
    options = {opt: param for param in command.params for opt in param.opts if opt.startswith("--")} | {"--help": None}
    arguments = [param for param in command.params if not any(opt.startswith("--") for opt in param.opts)]
    given = 0
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            given += 1
            continue
        if word not in options:
            return f"no option {word} of {command.name}; there are {', '.join(sorted(options))}"
        if options[word] is not None and not options[word].is_flag:
            if not rest:
                return f"{word} of {command.name} wants a value"
            rest.pop(0)
    if given > len(arguments) and not any(param.nargs == -1 for param in arguments):
        return f"{given} arguments for {command.name}, which takes {len(arguments)}"
    return None


def test_commands_are_found_in_documents() -> None:
    found = [words for path in DOCS for words in command_lines(path.read_text(encoding="utf-8"))]
    assert ["demo"] in found
    assert any(words[:2] == ["batch", "assemble"] for words in found)
    assert complaint(["screen", "f", "--nothing"]) is not None
    assert complaint(["lexicon", "nothing"]) is not None
    assert complaint(["screen", "f", "g"]) is not None


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_shown_commands_exist(path: Path) -> None:
    wrong = [(words, why) for words in command_lines(path.read_text(encoding="utf-8")) if (why := complaint(words))]
    assert not wrong


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    pending = {"docs/evaluation.md", "docs/benchmarks.md"}
    assert not [link for link in links if link not in pending and not (path.parent / link).exists()]


def fields_not_in(text: str, *structs: type[msgspec.Struct]) -> list[str]:
    names = [(struct.__name__, field.name) for struct in structs for field in msgspec.structs.fields(struct)]
    return [f"{struct}.{name}" for struct, name in names if not re.search(rf"`{name}`|\b{name} = ", text)]


def test_every_rule_cue_and_profile_field_is_explained() -> None:
    rules = (schema.Rule, schema.Example, schema.After, schema.Position, schema.Repeats, schema.Cue)
    assert not fields_not_in(read("rules.md"), *rules, schema.WordSet, schema.FormVariant)
    assert not fields_not_in(read("profiles.md"), profile.Profile, profile.Override)
    assert not fields_not_in(read("readers.md"), mapping.ColumnProfile, chat_text.ChatRoles)


def test_every_column_of_a_scored_archive_is_explained() -> None:
    parts = re.split(r"^## `(\w+)/`$", read("batch-columns.md"), flags=re.MULTILINE)
    told = {
        name: re.findall(r"^\| `(\w+)`( \*)? \|", text, re.MULTILINE) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert told.keys() == DATASETS.keys() - {"lines"}
    for name, columns in told.items():
        assert columns == [(field.name, "" if field.nullable else " *") for field in DATASETS[name]]


def test_every_ready_profile_format_and_role_word_is_named() -> None:
    text = read("readers.md")
    assert not [name for name in mapping.READY if f"`{name}`" not in text]
    assert not [ending for ending in (*files.FORMATS, *files.FORMATS.values()) if f"`{ending}`" not in text]
    words = [
        word for table in (*mapping.ROLE_WORDS.values(), mapping.CHANNELS, mapping.ENDED_BY, mapping.KINDS) for word in table
    ]
    assert not [word for word in words if not re.search(rf"[|, ]{re.escape(word)}[,; .|]", text)]


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lexicon with the packaged standards, cues and variants, and what docs/rules.md shows."""
    folder = tmp_path_factory.mktemp("documented") / "lexicon"
    for part in ("standards", "cues", "variants"):
        shutil.copytree(PACKAGED / part, folder / part)
    entries = [entry for block in fenced(read("rules.md"), "toml") for entry in re.split(r"^(?=\[\[)", block, flags=re.M)]
    for number, entry in enumerate(filter(str.strip, entries)):
        ((table, (content,)),) = tomllib.loads(entry).items()
        name = f"{content['signal']}-documented-{number}" if table == "rule" else f"documented-{number}"
        target = folder / _FOLDERS[table] / f"{name}.toml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(entry, encoding="utf-8")
    return folder


def test_rule_examples_load_and_hold(documented: Path) -> None:
    lexicon = load(documented)
    assert len(lexicon.rules) >= 5
    runner = ExampleRunner(lexicon)
    assert not list(runner.problems(lexicon.rules))
    assert not list(runner.cue_problems())


def test_rule_examples_pass_the_linter(documented: Path) -> None:
    lexicon = load(documented)
    own = [rule.id for rule in lexicon.rules]
    assert not [line for line in lint.problems(lexicon) if any(repr(name) in line for name in own) or "doc_" in line]


def test_reader_and_profile_examples_load(tmp_path: Path) -> None:
    file = tmp_path / "example.toml"
    for block in fenced(read("readers.md"), "toml"):
        file.write_text(block, encoding="utf-8")
        if "shape" in tomllib.loads(block):
            assert mapping.load(str(file)).shape == "messages"
        else:
            assert chat_text.load_roles(file).roles
    for block in fenced(read("profiles.md"), "toml"):
        file.write_text(block, encoding="utf-8")
        assert profile.load(file).overrides
    for block in fenced(read("readers.md"), "json"):
        sample = tmp_path / "sample.json"
        sample.write_text(block, encoding="utf-8")
        assert not [item for item in files.read(str(sample)) if isinstance(item, files.Refused)]


def test_documents_stay_short_and_name_no_machine() -> None:
    for name in ("rules.md", "readers.md", "profiles.md"):
        text = read(name)
        assert text.count("\n") < 250, name
        assert not re.search(r"/work\b|\.\./shared|/tmp\b|/home\b", text), name
