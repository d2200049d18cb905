import pytest

from api import classifiers, wiring
from api.settings import Settings
from screening.errors import InputError
from tests.conftest import active, conversation

AGREED = conversation(("customer", "能加微信吗"), ("agent", "可以的，您加一下"))


def test_the_service_takes_the_packaged_classifier_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("SCREENING_CLASSIFIER")
    screening = wiring.open_screener(Settings(demo=True)).screen(AGREED)
    assert ("diversion.private_contact", 1) in active(screening)
    assert screening.versions.models["cascade"].startswith("sha256:")
    alone = wiring.open_screener(Settings(demo=True, classifier="none")).screen(AGREED)
    assert alone.versions.models == {}


def test_a_folder_that_holds_no_classifier_is_refused(tmp_path):
    with pytest.raises(InputError, match="no readable manifest"):
        classifiers.named(str(tmp_path))
