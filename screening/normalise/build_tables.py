"""Makes the tables in `screening/normalise/data` from OpenCC, pypinyin, jieba and Python's Unicode data.

Run `python -m screening.normalise.build_tables` in an environment with the `dev` extra. The product itself never runs
this; tests compare its result with the committed files, so that a changed dictionary cannot slip in unseen.
"""

import json
import math
import re
import subprocess
import tempfile
import unicodedata
from collections import Counter
from importlib import resources
from pathlib import Path

DATA = Path(__file__).parent / "data"
OPENCC = "1.4.2"

# NFKC would turn these into several letters or signs; in chat they are punctuation or units and stay as they are.
KEEP = frozenset("…‥⋯℃℉™℠№℡﹏︰㏄㎡㎥")


def _two_lines(pairs: dict[str, str]) -> str:
    keys = sorted(pairs)
    return "".join(keys) + "\n" + "".join(pairs[k] for k in keys) + "\n"


def _opencc_dictionary(name: str) -> dict[str, str]:
    share = Path(str(resources.files("opencc"))) / "clib"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dictionary.txt"
        command = [share / "bin/opencc_dict", "-i", share / f"share/opencc/{name}.ocd2", "-o", out, "-f", "ocd2", "-t", "text"]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        lines = out.read_text(encoding="utf-8").split("\n")
    return {key: values.split(" ")[0] for key, _, values in (line.partition("\t") for line in lines if line)}


def script_tables() -> tuple[dict[str, str], dict[str, str]]:
    """Traditional to simplified: (characters, phrases), as OpenCC's t2s applies them (longest phrase, else character)."""
    compatibility = _opencc_dictionary("CJK_Compatibility_Ideographs")
    characters = _opencc_dictionary("TSCharacters") | _opencc_dictionary("TSCharactersExt")
    for key, value in compatibility.items():
        characters[key] = characters.get(value, value)
    phrases = _opencc_dictionary("TSPhrases")
    if any(len(k) != len(v) for table in (characters, phrases) for k, v in table.items()):
        raise SystemExit("OpenCC's t2s no longer keeps lengths; the origin map of the clean view relies on it")
    return {k: v for k, v in characters.items() if k != v}, phrases


def form_tables() -> tuple[dict[str, str], dict[str, str]]:
    """NFKC, width and case per code point: (one to one, one to many)."""
    single: dict[str, str] = {}
    many: dict[str, str] = {}
    for point in range(0x110000):
        char = chr(point)
        if 0xD800 <= point <= 0xDFFF or char in KEEP or unicodedata.category(char) in ("Cn", "Co"):
            continue
        form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).lower())
        form = "".join(c for c in form if unicodedata.category(c) != "Mn" or len(form) == 1)
        if form == char or not form.strip():
            continue
        (single if len(form) == 1 else many)[char] = form
    return single, many


def readings() -> dict[str, list[str]]:
    """Readings with tone marks of every Han character that pypinyin knows in the basic block."""
    from pypinyin.constants import PINYIN_DICT

    return {
        chr(point): list(dict.fromkeys(marks.split(",")))
        for point, marks in sorted(PINYIN_DICT.items())
        if 0x4E00 <= point <= 0x9FFF
    }


_FUZZY = (("^zh", "z"), ("^ch", "c"), ("^sh", "s"), ("ing$", "in"), ("eng$", "en"), ("ang$", "an"))


def syllable(reading: str) -> str:
    """A reading without tone; zh/z, ch/c, sh/s and -ng/-n, which writers mix, fall together."""
    spelled = unicodedata.normalize("NFD", reading).replace("u\u0308", "v")
    plain = "".join(c for c in spelled if unicodedata.category(c) != "Mn")
    for old, new in _FUZZY:
        plain = re.sub(old, new, plain)
    return plain


def talk_surprisal() -> dict[str, float]:
    """-ln(share of turns) of the single and paired characters that stand in three turns or more of our sample archive."""
    archive = Path(__file__).parents[1] / "samples" / "archive.jsonl"
    turns = [turn["text"] for line in archive.read_text(encoding="utf-8").splitlines() for turn in json.loads(line)["turns"]]
    seen: Counter[str] = Counter()
    for text in turns:
        seen.update({text[i : i + n] for n in (1, 2) for i in range(len(text) - n + 1)})
    return {gram: round(-math.log(count / len(turns)), 2) for gram, count in seen.items() if count >= 3}


def main() -> None:
    """Write all tables."""
    import jieba
    import opencc

    if opencc.__version__ != OPENCC:
        raise SystemExit(f"OpenCC {OPENCC} is pinned, {opencc.__version__} is installed")
    DATA.mkdir(exist_ok=True)
    characters, phrases = script_tables()
    (DATA / "script_characters.txt").write_text(_two_lines(characters), encoding="utf-8")
    (DATA / "script_phrases.tsv").write_text("".join(f"{k}\t{v}\n" for k, v in sorted(phrases.items())), encoding="utf-8")
    single, many = form_tables()
    (DATA / "form_characters.txt").write_text(_two_lines(single), encoding="utf-8")
    (DATA / "form_expansions.tsv").write_text("".join(f"{k}\t{v}\n" for k, v in sorted(many.items())), encoding="utf-8")

    tones = readings()
    (DATA / "readings.tsv").write_text("".join(f"{k}\t{','.join(v)}\n" for k, v in tones.items()), encoding="utf-8")
    words = [line.split() for line in Path(jieba.__file__).with_name("dict.txt").read_text(encoding="utf-8").splitlines()]
    frequency: Counter[str] = Counter()
    for word, count, *_ in words:
        for char in word:
            frequency[char] += int(count)
    by_syllable: dict[str, str] = {}
    for char in sorted(tones, key=lambda c: (-frequency[c], c)):
        by_syllable.setdefault(syllable(tones[char][0]), char)
    folded = {char: by_syllable[syllable(marks[0])] for char, marks in tones.items()}
    (DATA / "sound_characters.txt").write_text(_two_lines({k: v for k, v in folded.items() if k != v}), encoding="utf-8")
    total = sum(frequency.values())
    common = {c: round(-math.log(n / total), 2) for c, n in frequency.most_common(1500)}
    (DATA / "char_surprisal.json").write_text(json.dumps(common, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    (DATA / "talk_surprisal.json").write_text(json.dumps(talk_surprisal(), ensure_ascii=False, sort_keys=True), encoding="utf-8")
    counts = {
        "characters": len(characters),
        "phrases": len(phrases),
        "forms": len(single),
        "expansions": len(many),
        "readings": len(tones),
    }
    (DATA / "source.json").write_text(
        json.dumps({"opencc": OPENCC, "unicode": unicodedata.unidata_version, "counts": counts}, indent=1) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
