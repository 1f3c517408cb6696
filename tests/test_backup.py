"""Backups: made beside a writer, checked before they count, and brought back; nothing is ever deleted for them."""

import asyncio
import contextlib
import os
import random
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.errors import CannotStart, Unavailable
from bot.jobs import Identity
from bot.store import Callback, backup, erased, inspection, open_store
from bot.store.connection import migrate, read_migrations
from tests.house import NO_LIMITS, PAGE, wanted


async def accept(store, person, draw, clock, key="key", **more):
    [job] = await store.submit(person, PAGE, [wanted(draw)], key=key, limits=NO_LIMITS, now_ms=clock(), **more)
    return job


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"  # of the store fixture


def limner(data, monkeypatch, *arguments):
    monkeypatch.setenv("LIMNER_DATA", str(data))
    return CliRunner().invoke(app, arguments)


async def test_a_backup_made_while_limner_runs_comes_back_with_everything(
    store, ada, clock, draw, data, monkeypatch, tmp_path
):
    kept = await accept(store, ada, draw, clock)
    made = limner(data, monkeypatch, "backup")
    assert (made.exit_code, "adds up" in made.output) == (0, True)
    later = await accept(store, ada, draw, clock, key="later")
    await store.close()
    os.utime(data / "limner.db", (1, 1))
    assert limner(data, monkeypatch, "restore").exit_code == 0
    again = await open_store(data)
    found = [await again.job(job.id) for job in (kept, later)]
    await again.close()
    assert (found[0].id, found[1]) == (kept.id, None)
    (aside,) = data.glob("limner.db.before-*T*[0-9]")
    assert aside.stat().st_mtime > 1  # it is kept from now on
    assert later.id in {row[0] for row in sqlite3.connect(aside).execute("SELECT id FROM jobs")}


async def test_no_acknowledgement_waits_for_a_backup(store, ada, clock, draw, data, monkeypatch):
    """While the copy is being written and checked, jobs are accepted."""
    await accept(store, ada, draw, clock)
    is_copying, may_end = threading.Event(), threading.Event()
    require_whole = backup._require_whole

    def slowly(file):
        with backup.reading(data / "limner.db") as conn:
            conn.execute("BEGIN")
            conn.execute("SELECT count(*) FROM jobs").fetchone()  # a read that has begun and does not end
            is_copying.set()
            assert may_end.wait(10)
        require_whole(file)

    monkeypatch.setattr(backup, "_require_whole", slowly)
    copying = asyncio.create_task(asyncio.to_thread(backup.back_up, data / "limner.db", data / "backups"))
    assert await asyncio.to_thread(is_copying.wait, 10)
    assert (await accept(store, ada, draw, clock, key="meanwhile")).id
    may_end.set()
    assert (await copying).exists()


async def test_so_many_backups_are_kept_and_what_a_crash_left_is_swept(store, data, monkeypatch):
    names = iter(["1", "2", "3"])
    monkeypatch.setattr(backup, "_now", lambda: next(names))
    (data / "backups").mkdir()
    (data / "backups" / "limner-0.tmp").touch()
    for _ in range(3):
        backup.back_up(data / "limner.db", data / "backups", keep=2)
    assert sorted(file.name for file in (data / "backups").iterdir()) == ["limner-2.db", "limner-3.db"]
    assert (data / "backups" / "limner-3.db").stat().st_mode & 0o077 == 0


async def test_tokens_that_did_their_work_are_not_in_a_backup(store, ada, clock, draw, data):
    for key, is_answered in (("canary-answered", True), ("canary-waiting", False)):
        job = await accept(store, ada, draw, clock, key, callback=Callback(key, clock() + 900_000), status="received")
        if is_answered:
            await store.acknowledged([job.id], now_ms=clock())
    made = backup.back_up(data / "limner.db", data / "backups")
    tokens = [row[0] for row in sqlite3.connect(made).execute("SELECT token FROM callbacks")]
    assert tokens == ["canary-waiting"]


async def test_a_copy_that_is_not_whole_does_not_count(store, data, monkeypatch):
    def damage(draft):
        draft.write_bytes(draft.read_bytes()[:4096] + os.urandom(20_000))

    monkeypatch.setattr(backup, "_finish", damage)
    with pytest.raises(CannotStart, match="damaged"):
        backup.back_up(data / "limner.db", data / "backups")
    assert list((data / "backups").iterdir()) == []


async def test_restore_refuses_what_is_damaged_and_what_runs_and_changes_nothing(store, data, tmp_path, monkeypatch):
    made = backup.back_up(data / "limner.db", data / "backups")
    running = limner(data, monkeypatch, "restore")
    assert (running.exit_code, "Another Limner is running" in running.output) == (78, True)
    await store.close()
    before = (data / "limner.db").read_bytes()
    made.write_bytes(b"no database" * 1000)
    assert limner(data, monkeypatch, "restore", str(made)).exit_code == 78
    assert (data / "limner.db").read_bytes() == before


async def test_a_missing_database_with_backups_beside_it_is_no_fresh_start(store, data):
    backup.back_up(data / "limner.db", data / "backups")
    await store.close()
    for file in data.glob("limner.db*"):
        file.unlink()
    with pytest.raises(CannotStart, match="limner restore") as error:
        await open_store(data)
    assert error.value.exit_code == 78
    assert not (data / "limner.db").exists()


async def test_before_a_migration_there_is_a_backup(store, data):
    await store.close()
    with sqlite3.connect(data / "limner.db") as conn:
        conn.execute("PRAGMA user_version = 1")
    conn.close()
    with pytest.raises(CannotStart):  # its tables are there already
        await open_store(data)
    (made,) = backup.backups(data / "backups")
    assert inspection.inspect(made).version == 1


async def test_a_full_disk_leaves_the_backups_that_are_there(store, data, monkeypatch):
    made = backup.back_up(data / "limner.db", data / "backups")

    def full(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_now", lambda: "later")
    monkeypatch.setattr(backup.os, "fsync", full)
    with pytest.raises(CannotStart, match="No space left"):
        backup.back_up(data / "limner.db", data / "backups")
    assert list((data / "backups").iterdir()) == [made]


@pytest.mark.parametrize("seed", range(40))
async def test_a_database_that_is_damaged_anywhere_is_refused_or_adds_up(tmp_path, clock, draw, seed):
    """SQLite's pages carry no checksum: what it cannot see must at least not charge anybody wrongly."""
    data = tmp_path / "data"
    store = await open_store(data)
    ada = await store.person(Identity("web", "", "ada"), is_operator=True, now_ms=clock())
    for number in range(5):
        await accept(store, ada, draw, clock, key=str(number))
    await store.close()
    content, chance = bytearray((data / "limner.db").read_bytes()), random.Random(seed)
    at = chance.randrange(len(content))
    content[at : at + 64] = chance.randbytes(min(64, len(content) - at))
    (data / "limner.db").write_bytes(content)
    try:
        store = await open_store(data)
    except CannotStart:
        assert (data / "limner.db").read_bytes() == content
        return
    with contextlib.suppress(sqlite3.Error, ValueError):  # seen later: refused as well
        account = await store.account(ada, clock())
        assert 0 <= account.reserved + account.charged <= 5
    await store.close()


async def test_killed_in_the_middle_of_a_migration_it_goes_on_from_the_version_before(tmp_path):
    """Each migration is a transaction: what is there is the version before it, or the one after."""
    known = read_migrations()
    for cut in range(1, len(known)):
        file = tmp_path / f"{cut}.db"
        program = (
            "import os, sqlite3, sys; from pathlib import Path; from bot.store import connection\n"
            "file, cut = Path(sys.argv[1]), int(sys.argv[2]); known = connection.read_migrations()\n"
            "conn = sqlite3.connect(file, isolation_level=None); conn.execute('PRAGMA journal_mode = WAL')\n"
            "connection.migrate(conn, known[:cut], file)\n"
            "conn.create_function('die', 0, lambda: os.kill(os.getpid(), 9))\n"
            "version, sql = known[cut]\n"
            "connection.migrate(conn, [*known[:cut], (version, sql + '; SELECT die();')], file)\n"
        )
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(file), str(cut))
        assert await child.wait() == -9
        conn = sqlite3.connect(file, isolation_level=None)
        assert conn.execute("PRAGMA user_version").fetchone() == (known[cut - 1][0],)
        migrate(conn, known, file)
        assert conn.execute("PRAGMA user_version").fetchone() == (known[-1][0],)
        conn.close()


@pytest.mark.parametrize("is_grouped", [False, True])
def test_a_full_disk_while_limner_starts_is_worth_another_try(is_grouped, monkeypatch, tmp_path):
    async def refuse(settings):
        error = Unavailable("the disk is full")
        raise ExceptionGroup("loops", [error]) if is_grouped else error

    monkeypatch.setattr("bot.serve.serve", refuse)
    monkeypatch.setattr("bot.logs.set_up", lambda *args: None)
    ended = limner(tmp_path, monkeypatch, "run")
    assert (ended.exit_code, "the disk is full" in ended.output) == (75, True)


def test_a_disk_that_became_read_only_is_told_in_a_sentence(store, data, monkeypatch):
    def refused(*args, **options):
        raise OSError(30, "Read-only file system")

    (data / "backups").mkdir(exist_ok=True)
    with monkeypatch.context() as disk:
        disk.setattr(backup.os, "open", refused)
        disk.setattr(Path, "unlink", refused)  # as Linux does, whether the file is there or not
        with pytest.raises(CannotStart, match="Read-only"):
            backup.back_up(data / "limner.db", data / "backups", keep=24)


KILLED = """
import os, signal, sys
from pathlib import Path
from bot.store import backup, privacy
privacy.scrub = lambda *args, **more: os.kill(os.getpid(), signal.SIGKILL)
backup.restore(Path(sys.argv[1]), Path(sys.argv[2]))
"""


async def test_a_restore_that_was_killed_leaves_nothing_in_the_next(tmp_path):
    """It was erasing somebody again, so there is a log beside its draft."""
    data = tmp_path / "data"
    store = await open_store(data)
    for n in range(300):
        await store.person(Identity("discord", "", f"early-{n}", "x" * 50), is_operator=False, now_ms=5)
    await store.person(Identity("discord", "", "ada"), is_operator=False, now_ms=10)
    early = backup.back_up(data / "limner.db", tmp_path / "early")
    for n in range(3000):
        await store.person(Identity("discord", "", f"late-{n}", "y" * 50), is_operator=False, now_ms=20)
    late = backup.back_up(data / "limner.db", tmp_path / "late")
    erased.note(data / erased.FOLDER, [{"platform": "discord", "workspace_id": "", "user_id": "ada"}], 100)
    await store.close()
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(late), str(data / "limner.db"))
    assert await killed.wait() == -9
    backup.restore(early, data / "limner.db")
    with contextlib.closing(sqlite3.connect(data / "limner.db")) as conn:
        assert conn.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
        assert conn.execute("SELECT count(*) FROM identities").fetchone()[0] == 300


def test_a_backup_is_the_newest_although_the_clock_was_ahead_before(store, data, monkeypatch):
    for hour in range(3):
        monkeypatch.setattr(backup, "_now", lambda hour=hour: f"20301121T0{hour}0000")
        backup.back_up(data / "limner.db", data / "backups", keep=3)
    monkeypatch.setattr(backup, "_now", lambda: "20261122T000000")  # it is right again
    made = backup.back_up(data / "limner.db", data / "backups", keep=3)
    assert made.exists()
    assert backup.backups(data / "backups")[0] == made
