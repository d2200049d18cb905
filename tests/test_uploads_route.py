import csv
import io
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from api.jobs import spool, worker
from api.settings import Settings
from api.wiring import Service
from tests.conftest import refused
from tests.test_jobs import RUDE, line

Headers = Callable[..., dict[str, str]]
CSV = "会话ID,角色,内容,打分\nt-1,客户,在吗,满意\nt-1,客服,您好,\nt-2,路人,我是谁,\n".encode()


def uploaded(client: TestClient, headers: dict[str, str], data: bytes = CSV, name: str = "a.csv") -> str:
    answer = client.post("/v1/jobs/uploads", files={"file": (name, data)}, headers=headers)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["size"]) == (name, len(data))
    return answer.json()["upload"]


def previewed(client: TestClient, headers: dict[str, str], upload: str, **body: object) -> dict[str, object]:
    answer = client.post(f"/v1/jobs/uploads/{upload}/preview", json={"name": "a.csv"} | body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_known_table_is_mapped_and_read(client: TestClient, as_user: Headers) -> None:
    lead = as_user("lead")
    seen = previewed(client, lead, uploaded(client, lead))
    assert (seen["ready"], seen["shape"], seen["problem"]) == ("messages-zh", "messages", None)
    assert seen["fields"] == {"id": "会话ID", "role": "角色", "text": "内容"}
    assert (seen["titles"], seen["rest"]) == (["会话ID", "角色", "内容", "打分"], ["打分"])
    assert seen["rows"][0] == ["t-1", "客户", "在吗", "满意"]
    assert [(one["id"], one["turns"], one["turn_count"]) for one in seen["conversations"]] == [
        ("t-1", [["customer", "在吗"], ["agent", "您好"]], 2)
    ]
    assert [(one["row"], one["id"]) for one in seen["refused"]] == [(4, "t-2")]


def test_a_wrong_mapping_says_what_is_there_and_keeps_what_fits(client: TestClient, as_user: Headers) -> None:
    lead = as_user("lead")
    upload = uploaded(client, lead)
    columns = 'shape = "messages"\n[columns]\nid = "会话ID"\nrole = "谁"\ntext = "内容"\n'
    seen = previewed(client, lead, upload, columns=columns)
    assert "looked for 谁" in seen["problem"]
    assert "会话ID, 角色, 内容, 打分" in seen["problem"]
    assert (seen["fields"], seen["conversations"]) == ({"id": "会话ID", "text": "内容"}, [])
    path = f"/v1/jobs/uploads/{upload}/preview"
    bad = {"name": "a.csv", "columns": 'shape = "messages"\n[columns]\nwer = "x"\n'}
    assert "unknown fields wer" in refused(client.post(path, json=bad, headers=lead), 422, "invalid", "/columns")
    assert "format" in refused(client.post(path, json={"name": "a.doc"}, headers=lead), 422, "invalid", "/format")


@pytest.mark.parametrize("data", [b"\x00\x01\x02\xff\xfe\xfd", "只有一列\n值\n".encode(), b"\n\n"])
def test_what_cannot_be_read_is_a_problem_not_an_error(client: TestClient, as_user: Headers, data: bytes) -> None:
    lead = as_user("lead")
    seen = previewed(client, lead, uploaded(client, lead, data))
    assert seen["problem"]
    assert seen["conversations"] == []


def test_started_once_then_results_and_refusals(client: TestClient, service: Service, as_user: Headers) -> None:
    lead = as_user("lead")
    data = b"\n".join([line(1), b'{"id": "=1+1", "turns": []}', line(2, RUDE, agent_id="a1")])
    upload = uploaded(client, lead, data, "b.jsonl")
    path = f"/v1/jobs/uploads/{upload}"
    started = client.post(f"{path}/start", json={"name": "b.jsonl"}, headers=lead)
    assert (started.status_code, started.json()["name"]) == (202, "b.jsonl")
    for again in ("start", "preview"):
        refused(client.post(f"{path}/{again}", json={"name": "b.jsonl"}, headers=lead), 404, "not_found")
    worker.drain(service)
    job = started.json()["id"]
    found = client.get(f"/v1/jobs/{job}/conversations", headers=lead).json()
    assert [(one["conversation_id"], one["level"], one["agent_id"]) for one in found["conversations"]] == [("c-2", "A", "a1")]
    assert (found["conversations"][0]["waiting"], found["next"]) == (1, None)
    everything = client.get(f"/v1/jobs/{job}/conversations?flagged=false", headers=lead).json()
    assert [one["conversation_id"] for one in everything["conversations"]] == ["c-2", "c-1"]
    text = client.get(f"/v1/jobs/{job}/errors.csv", headers=lead).content.decode("utf-8-sig")
    _, row = csv.reader(io.StringIO(text))
    assert row[:3] == ["2", "2", ""] or row[2] == "'=1+1"
    refused(client.get("/v1/jobs/99/errors.csv", headers=lead), 404, "not_found")
    refused(client.get("/v1/jobs/99/conversations", headers=lead), 404, "not_found")


def test_thrown_away_and_out_of_reach(client: TestClient, service: Service, as_user: Headers, settings: Settings) -> None:
    lead, reviewer = as_user("lead"), as_user("reviewer")
    upload = uploaded(client, lead)
    refused(client.post(f"/v1/jobs/uploads/{upload}/preview", json={"name": "a.csv"}, headers=reviewer), 403, "forbidden")
    assert client.delete(f"/v1/jobs/uploads/{upload}", headers=lead).status_code == 204
    assert not (spool.folder(settings) / upload).exists()
    for name in ("..%2Fservice.db", "x" * 32, "0" * 32):
        assert client.post(f"/v1/jobs/uploads/{name}/preview", json={"name": "a.csv"}, headers=lead).status_code == 404
        assert client.delete(f"/v1/jobs/uploads/{name}", headers=lead).status_code in (204, 404)
