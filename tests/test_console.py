"""The console's frame: login, session, Origin, languages, themes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api import users
from api.access import COOKIE
from api.console import words
from tests.console import PASSWORD, Console

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from api.settings import Settings
    from screening.pipeline import Screener
    from tests.conftest import TurnedClock

CODE = Path(words.__file__).parent


def test_both_catalogues_have_the_same_keys() -> None:
    chinese, english = (words.catalogue(language) for language in words.LANGUAGES)
    assert chinese.keys() == english.keys()
    assert all(text.strip() for text in (*chinese.values(), *english.values()))


def test_places_in_texts_are_the_same() -> None:
    places = [
        {key: set(re.findall(r"\{([a-z_]+)\}", text)) for key, text in words.catalogue(one).items()} for one in words.LANGUAGES
    ]
    assert places[0] == places[1]


def test_every_key_is_used_and_every_used_key_exists() -> None:
    """A key is used by its name in quotes, or through a family: f"role.{...}", section(language, "triage_script")."""
    sources = [path for path in CODE.rglob("*") if path.suffix in (".py", ".js", ".html")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    keys = words.catalogue("zh-CN").keys()
    named = set(re.findall(r"""\bt\(\s*["']([\w.-]+)["'][),\s]""", text)) | set(
        re.findall(r"""words\(\s*["']([\w.-]+)["'][),\s]""", text)
    )
    families = set(re.findall(r"""["']([\w.-]+[._])(?:\{|["'] ~)""", text)) | {
        f"{name}." for name in re.findall(r"""section\([\w.]+, ["']([\w.]+)["']\)""", text)
    }
    assert (
        sorted(key for key in keys if f'"{key}"' not in text and f"'{key}'" not in text and not key.startswith(tuple(families)))
        == []
    )
    for path in CODE.rglob("*.js"):  # scripts get a section and name keys without it
        named -= set(re.findall(r"""\bt\(\s*["']([\w.-]+)["'][),\s]""", path.read_text("utf-8")))
    assert sorted(name for name in named - set(keys) if name[-1] not in "._") == []


@pytest.mark.browser
def test_log_in_and_out(console: Console) -> None:
    console.user("reviewer", name="anna")
    page = console.page("/", token="ss_none")
    page.wait_for_url("**/console/login**")
    page.fill("#name", "anna")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector(".login-problem:not([hidden])")
    assert page.inner_text(".login-problem") == "用户名或密码不正确"
    console.problems.clear()  # the browser reports the refused login itself
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".console-header")
    assert "anna" in page.inner_text(".who")
    page.click("[data-do=logout]")
    page.wait_for_selector("#login")


@pytest.fixture
def framed(settings: "Settings", clock: "TurnedClock", screener: "Screener") -> "Iterator[TestClient]":
    """The application with its console, without a browser."""
    from fastapi.testclient import TestClient

    from api.app import create_app
    from api.engine import ScreeningEngine

    engine = ScreeningEngine(lambda: screener, queue_turns=settings.queue_turns)
    with TestClient(create_app(settings.model_copy(update={"console": True}), clock, engine)) as opened:
        yield opened


def session_of(client: "TestClient", role: str) -> str:
    service = client.app.state.service
    with service.store.write() as session:
        users.add(session, name=role, password=PASSWORD, role=role, vendor_id=None, by="test", at=service.clock())
    return users.login(service, role, PASSWORD, "test")[1].shown


UPGRADE = {"upgrade": "websocket", "connection": "Upgrade"}  # the test client leaves it out
SOCKET = "/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket&client_id=none"


def test_a_websocket_needs_its_own_origin_and_a_session(framed: "TestClient") -> None:
    from starlette.websockets import WebSocketDisconnect

    token = session_of(framed, "reviewer")
    own = UPGRADE | {"origin": "http://testserver", "cookie": f"{COOKIE}={token}"}
    with framed.websocket_connect(SOCKET, headers=own) as socket:
        assert socket.receive_text().startswith('0{"sid"')
    for headers in (
        own | {"origin": "https://elsewhere.example"},
        own | {"origin": "null"},
        UPGRADE | {"cookie": own["cookie"]},
        UPGRADE | {"origin": own["origin"]},
        own | {"cookie": f"{COOKIE}=ss_made_up"},
    ):
        with pytest.raises(WebSocketDisconnect) as refused, framed.websocket_connect(SOCKET, headers=headers):
            pass
        assert refused.value.code == 1008
    assert framed.get(SOCKET.replace("websocket", "polling"), headers=own).status_code == 403


def test_a_websocket_joins_no_page_of_another_session(framed: "TestClient") -> None:
    from starlette.websockets import WebSocketDisconnect

    anna, ben = (f"{COOKIE}={session_of(framed, role)}" for role in ("reviewer", "lead"))
    page = framed.get("/console/", headers={"cookie": anna}).text
    (client_id,) = re.findall(r"'client_id': '([^']+)'", page)
    url = SOCKET.replace("client_id=none", f"client_id={client_id}")
    with (
        pytest.raises(WebSocketDisconnect),
        framed.websocket_connect(url, headers=UPGRADE | {"origin": "http://testserver", "cookie": ben}),
    ):
        pass
    with framed.websocket_connect(url, headers=UPGRADE | {"origin": "http://testserver", "cookie": anna}) as socket:
        assert socket.receive_text().startswith('0{"sid"')


def test_pages_run_no_foreign_and_no_inline_script(framed: "TestClient") -> None:
    answer = framed.get("/console/", headers={"cookie": f"{COOKIE}={session_of(framed, 'reviewer')}"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert "frame-ancestors 'none'" in policy
    scripts = re.findall(r"<script\b[^>]*>", answer.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in one for one in scripts)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text)
    assert answer.headers["cache-control"] == "no-store"


def test_without_a_session_the_login_and_back(framed: "TestClient") -> None:
    answer = framed.get("/console/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login?next=/console/")
    for next_ in ("//elsewhere.example/console/", "https://elsewhere.example/", "/console/../v1", "/console/\\\\elsewhere"):
        page = framed.get("/console/login", params={"next": next_}).text
        assert "elsewhere" not in page
    cookie = {"cookie": f"{COOKIE}={session_of(framed, 'reviewer')}"}
    back = framed.get("/console/login", params={"next": "/console/rules"}, headers=cookie, follow_redirects=False)
    assert back.headers["location"] == "/console/rules"


def test_whoever_may_not_is_told_so(framed: "TestClient") -> None:
    cookie = {"cookie": f"{COOKIE}={session_of(framed, 'agent_desk')}; console_language=en"}
    answer = framed.get("/console/", headers=cookie)
    assert "Your role does not allow this" in answer.text
    assert "data-given" not in answer.text


@pytest.mark.slow
def test_an_api_worker_without_console_does_not_load_nicegui(client: "TestClient", tmp_path: Path) -> None:
    assert client.get("/console/").status_code == 404
    code = "import sys; import api.app, api.settings; api.app.create_app(api.settings.Settings(demo=True, console=False, database=sys.argv[1])); sys.exit('nicegui' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path / 'worker.db'}"], check=False).returncode == 0
