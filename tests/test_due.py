from datetime import datetime, timedelta, timezone

import pytest

from screening.detect.conduct.due import due_time

ZONE = timezone(timedelta(hours=8))
MONDAY = datetime(2026, 3, 2, 10, 0, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("今天给您回电", "2026-03-02 23:59:59"),
        ("今天下午三点前给您回电", "2026-03-02 15:00:00"),
        ("今天18点前由我给您回电", "2026-03-02 18:00:00"),
        ("下午三点半前联系您", "2026-03-02 15:30:00"),
        ("15:30前回复您", "2026-03-02 15:30:00"),
        ("24小时内联系您", "2026-03-03 10:00:00"),
        ("半小时后给您答复", "2026-03-02 10:30:00"),
        ("半个小时内", "2026-03-02 10:30:00"),
        ("一个半小时内回复", "2026-03-02 11:30:00"),
        ("十五分钟内给您回话", "2026-03-02 10:15:00"),
        ("一刻钟后打给您", "2026-03-02 10:15:00"),
        ("明早给您答复", "2026-03-03 12:00:00"),
        ("明天上午十点给您电话", "2026-03-03 10:00:00"),
        ("明天下午给您电话", "2026-03-03 18:00:00"),
        ("后天给您结果", "2026-03-04 23:59:59"),
        ("三天内处理好", "2026-03-05 23:59:59"),
        ("3个工作日内回复", "2026-03-05 23:59:59"),
        ("周五之前给您回复", "2026-03-06 23:59:59"),
        ("下周三给您回复", "2026-03-11 23:59:59"),
        ("本周内给您结果", "2026-03-08 23:59:59"),
        ("月底前到账", "2026-03-31 23:59:59"),
        ("3月10日前给您答复", "2026-03-10 23:59:59"),
        ("今天或者明天给您回电", "2026-03-03 23:59:59"),
    ],
)
def test_the_latest_moment_named_is_the_due_time(text, due):
    found = due_time(text, MONDAY.timestamp(), ZONE)
    assert found is not None
    assert datetime.fromtimestamp(found.at, ZONE).strftime("%Y-%m-%d %H:%M:%S") == due


@pytest.mark.parametrize("text", ["尽快给您回电", "我会联系您", "有时间的话", "几点了", "那时候再说"])
def test_no_moment_named(text):
    assert due_time(text, MONDAY.timestamp(), ZONE) is None


def test_a_weekday_that_has_passed_means_the_next_week():
    friday = MONDAY + timedelta(days=4)
    found = due_time("周二给您回复", friday.timestamp(), ZONE)
    assert found is not None
    assert datetime.fromtimestamp(found.at, ZONE).date().isoformat() == "2026-03-10"


def test_workdays_skip_the_weekend():
    friday = MONDAY + timedelta(days=4)
    found = due_time("两个工作日内回复", friday.timestamp(), ZONE)
    assert found is not None
    assert datetime.fromtimestamp(found.at, ZONE).date().isoformat() == "2026-03-10"
