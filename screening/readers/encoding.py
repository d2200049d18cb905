"""Which encoding a text file is in: UTF-8 (with or without BOM), UTF-16, GB18030. Decided on the first megabyte, then strict."""

import codecs
import io
from pathlib import Path
from typing import BinaryIO, cast

from screening.errors import InputError

SAMPLE = 1 << 20
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def detect(sample: bytes) -> str:
    """Python's name of the encoding; raises `InputError` for bytes that are none of the three."""
    for bom, name in _BOMS:
        if sample.startswith(bom):
            return name
    if sample and sample.count(0) > len(sample) // 8:
        name = "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"
        if _decodes(sample, name):
            return name
    for name in ("utf-8", "gb18030"):
        if _decodes(sample, name):
            return name
    raise InputError("the text is neither UTF-8 nor GB18030 nor UTF-16; save the file as UTF-8 and try again")


def _decodes(sample: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)("strict").decode(sample, final=False)
    except UnicodeDecodeError:
        return False
    return True


def open_text(source: Path | BinaryIO) -> tuple[io.TextIOWrapper, str]:
    """The file as text, newlines untouched, with the name of its encoding. Decoding errors surface while reading."""
    stream: BinaryIO = source.open("rb") if isinstance(source, Path) else source
    readable = stream if hasattr(stream, "peek") else io.BufferedReader(cast("io.RawIOBase", stream), SAMPLE)
    buffered = cast("io.BufferedReader", readable)
    try:
        name = detect(buffered.peek(SAMPLE)[:SAMPLE])
    except InputError:
        buffered.close()
        raise
    return io.TextIOWrapper(buffered, encoding=name, errors="strict", newline=""), name
