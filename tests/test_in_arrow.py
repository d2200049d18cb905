import msgspec
import pyarrow as pa

from screening.batch.in_arrow import SCREENED, screener_in_arrow
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Conversation


def test_rows_go_in_and_come_out_one_for_one(archive: list[Conversation], screener: Screener) -> None:
    texts = [msgspec.json.encode(c).decode() for c in archive[:20]]
    texts[3:3] = ["{broken", None]
    batches = [pa.record_batch({"conversation": pa.array(texts[:9])}), pa.record_batch({"conversation": pa.array(texts[9:])})]
    table = pa.Table.from_batches(screener_in_arrow(lambda: screener)(batches), SCREENED)
    rows = table.to_pylist()
    assert [row["refused"] is not None for row in rows] == [i in (3, 4) for i in range(22)]
    assert "not JSON" in rows[3]["refused"]
    expected = [encode(screener.screen(c)).decode() for c in archive[:20]]
    assert [row["screening"] for row in rows if row["screening"]] == expected
