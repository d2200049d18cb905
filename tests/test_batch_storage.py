from pathlib import Path

import pytest

from screening.batch.storage import COMMIT, Folder
from screening.errors import InputError


@pytest.fixture(params=["disk", "address"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder on a disk, and the same one behind an fsspec address."""
    return Folder(str(tmp_path) if request.param == "disk" else f"file://{tmp_path}")


def test_files_are_written_read_listed_and_removed(folder: Folder, tmp_path: Path) -> None:
    assert folder.names("parts") == [] and not folder.exists("parts/b.json")
    folder.write("parts/b.json", b"one")
    folder.write("parts/b.json", b"two")
    with folder.sink("parts/a.arrow") as file:
        file.write(b"three")
    assert folder.names("parts") == ["a.arrow", "b.json"]
    assert folder.read("parts/b.json") == b"two"
    with folder.open("parts/a.arrow") as file:
        assert file.read() == b"three"
    assert (tmp_path / "parts" / "b.json").read_bytes() == b"two"
    folder.remove("parts")
    assert not folder.exists("parts")
    folder.remove("parts")


def test_a_file_that_is_not_finished_never_appears(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a", b"before")
    with pytest.raises(KeyboardInterrupt), folder.sink("a") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert folder.read("a") == b"before"
    assert not list(tmp_path.glob(f"*{COMMIT}"))


def test_an_address_of_no_known_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"nowhere://bucket/x: .*nowhere"):
        Folder("nowhere://bucket/x")
