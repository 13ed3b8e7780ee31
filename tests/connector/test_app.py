"""What the parts of the web application share, and what its log shows."""

import asyncio
import gc
import subprocess
import sys

import pytest
import redis

from connector.app import AsyncSingleFlight
from tests.conftest import MakeSettings
from tests.fakes.web import serving


def test_all_who_ask_at_once_get_the_same_answer() -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)
        await asyncio.sleep(0)
        if len(asked) == 2:
            raise redis.ConnectionError

    async def story() -> None:
        shared = AsyncSingleFlight(ask)
        await asyncio.gather(*(shared() for _ in range(10)))
        answers = await asyncio.gather(*(shared() for _ in range(10)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [redis.ConnectionError] * 10

    asyncio.run(story())
    assert len(asked) == 2


def test_it_ends_without_a_complaint(
    make_settings: MakeSettings, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(make_settings(redis_url=store_url)):
        pass
    gc.collect()

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_under_any_server_a_traceback_shows_no_variables(make_settings: MakeSettings, store_url: str) -> None:
    make_settings(redis_url=store_url)
    code = """
from connector import app
from connector.web import group_commit
app.app
try:
    text = "what a person wrote"
    raise KeyError
except KeyError:
    group_commit.log.exception("not_stored")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "KeyError" in run.stderr
    assert "'what a person wrote'" not in run.stdout + run.stderr
