import asyncio

import pytest

from bot import feed as feeds
from bot.feed import Feed, Live


@pytest.fixture
def feed():
    return Feed()


async def read(changes, count):
    return [await anext(changes) for _ in range(count)]


async def test_a_slow_watcher_reads_each_job_once_with_its_last_state(feed):
    with feed.watch() as changes:
        for percent in range(100):
            feed.show("a", Live("drawing", percent=percent))
        feed.show("b", Live("queued", position=1))
        assert await read(changes, 2) == ["a", "b"]
    assert feed.live("a").percent == 99


async def test_what_did_not_change_is_not_told_again(feed):
    feed.show("a", Live("queued", position=1))
    with feed.watch() as changes:
        feed.show("a", Live("queued", position=1))
        feed.changed("b")
        assert await read(changes, 1) == ["b"]


async def test_a_job_that_is_over_has_nothing_live(feed):
    feed.show("a", Live("drawing", previews={1: b"second", 0: b"first"}))
    assert feed.live("a").preview == b"first"
    feed.over("a")
    assert feed.live("a") is None


async def test_a_watcher_that_never_reads_keeps_a_bounded_list(feed, monkeypatch):
    monkeypatch.setattr(feeds, "MOST_UNREAD", 2)
    with feed.watch() as changes:
        for job_id in "abc":
            feed.changed(job_id)
        assert await read(changes, 2) == ["b", "c"]


async def test_everyone_who_watches_is_told(feed):
    with feed.watch() as one, feed.watch() as other:
        reading = asyncio.gather(anext(one), anext(other))
        feed.changed("a")
        assert await reading == ["a", "a"]
