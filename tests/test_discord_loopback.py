"""The real bot process reaches nothing but loopback, whatever it is asked for."""

import io
import ipaddress
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.discord_api import DiscordAPI, Upload
from tests.running import Limner

# The bot, with every address that it connects to, sends to or looks up written to a file. No code of its own can
# do these without the interpreter telling its audit hooks first.
WATCHED = """
import json, os, runpy, sys
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        os.write(log, (json.dumps([event, args[0].family.name, args[1]], default=repr) + "\\n").encode())
    elif event.startswith("socket.get") and args:
        os.write(log, (json.dumps([event, "", args[0]], default=repr) + "\\n").encode())
sys.addaudithook(note)
sys.argv = ["limner", "run"]
runpy.run_module("bot", run_name="__main__")
"""


@pytest.fixture
async def api():
    async with DiscordAPI() as api:
        yield api
        api.assert_valid()


def reached(log):
    """[event, host, port] of every line that is about more than this machine's own sockets in files."""
    found = []
    for line in log.read_text().splitlines():
        event, family, address = json.loads(line)
        if family == "AF_UNIX" or address is None:  # no address: the socket was connected before, and that is noted
            continue
        host, port = address[:2] if isinstance(address, list) else (address, None)
        found.append((event, host, port))
    return found


def is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, which somebody else would have to be asked for


def internet_sockets(pid):
    """The TCP and UDP sockets that a process holds."""
    held = {target.name for each in Path(f"/proc/{pid}/fd").iterdir() if (target := each.readlink()).name}
    tables = [Path(f"/proc/net/{kind}").read_text().splitlines()[1:] for kind in ("tcp", "tcp6", "udp", "udp6")]
    return [row for table in tables for row in table if f"socket:[{row.split()[9]}]" in held]


def engine_of(pid):
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


async def test_a_whole_flow_reaches_nothing_but_loopback(api, tmp_path):
    log = tmp_path / "reached"
    limner = Limner(
        tmp_path / "data",
        "tests.fake_engine",
        program=("-c", WATCHED, str(log)),
        LIMNER_DISCORD_TOKEN=api.token,
        LIMNER_DISCORD_API_URL=api.url,
        LIMNER_DISCORD_ATTACHMENT_HOSTS=api.url_root,
    )
    try:
        await limner.start()
        await api.until(lambda: api.is_connected and api.commands, timeout=30)
        await whole_flow(api)
        assert internet_sockets(limner.pid)
        assert internet_sockets(engine_of(limner.pid)) == []
    finally:
        await limner.close()
    found = reached(log)
    assert ("socket.connect", "127.0.0.1", api.port) in found
    assert [each for each in found if not is_loopback(each[1])] == []


async def whole_flow(api):
    """A picture, its re-roll in a thread, a broken gateway, and a picture over one that was attached."""
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car", "quality": "draft"})
    await api.until(lambda: is_done(asked.message), timeout=30)
    await api.press(api.bob, asked.message, "Re-roll")
    thread = await api.until(lambda: api.channels.get(asked.message.id))
    await api.until(lambda: [each for each in thread.messages if is_done(each)], timeout=30)
    await api.drop_gateway()
    await api.until(lambda: api.is_connected, timeout=30)
    given = {"prompt": "a boat", "quality": "draft", "image": Upload(a_png())}
    over = await api.slash(api.ada, api.channel, "imagine", given)
    await api.until(lambda: is_done(over.message), timeout=30)
    assert len(api.downloads) == 1


def is_done(message):
    return message and message.attachments and "More…" in message.labels


def a_png():
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()
