"""The sample archive: invented conversations, clean ones and every signal, script and evasion style."""

from importlib import resources
from pathlib import Path

ARCHIVE = Path(str(resources.files("screening.samples"))) / "archive.jsonl"
