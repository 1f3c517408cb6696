"""Pictures from outside: what is taken, what is refused, and where nothing is fetched from.

`GIVEN_MUTATIONS=100000 pytest tests/test_given.py -k mutated` tries as many damaged files as it says.
"""

import asyncio
import io
import json
import os
import random
import secrets
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from bot import given
from bot.errors import BadImage, Unavailable
from engine.given import MAX_BYTES, MAX_PIXELS, Unusable, cleaned

MUTATIONS = int(os.environ.get("GIVEN_MUTATIONS", "600"))
SECRET = b"taken at 52.5163 north"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # the process that decodes is quiet about them


def scene(mode: str = "RGB", width: int = 48, height: int = 32) -> Image.Image:
    """Four colours, so that every turn and flip shows."""
    image = Image.new("RGB", (width, height), (200, 30, 30))
    image.paste((30, 160, 60), (width // 2, 0, width, height // 2))
    image.paste((40, 60, 200), (0, height // 2, width // 2, height))
    image.paste((240, 220, 90), (width // 2, height // 2, width, height))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, rows: bytes, *, bits: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def deep_png() -> bytes:
    """16 bits of each colour."""
    deep = b"".join(bytes((value, 0)) for value in scene().tobytes())
    return png(48, 32, b"".join(b"\0" + deep[at : at + 288] for at in range(0, len(deep), 288)), bits=16, colour=2)


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of each chunk, as far as the lengths make sense."""
    found, at = [], 8
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def frames(kind: str) -> bytes:
    return encoded(scene(), kind, save_all=True, append_images=[scene().rotate(180), scene().rotate(90)])


def with_a_size_of(jpeg: bytes, width: int, height: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def photograph(orientation: int = 1) -> bytes:
    """A JPEG with all that a camera and an editor put into one."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, SECRET.decode()
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[29] = "N", SECRET.decode()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(scene(), "JPEG", quality=95, exif=exif, icc_profile=icc, comment=SECRET, xmp=b"<x>%s</x>" % SECRET)


def bomb() -> bytes:
    """20 KiB that unpack to 169 million pixels."""
    return png(13_000, 13_000, bytes((1 + 13_000 // 8) * 13_000), bits=1)


def is_scene(image: Image.Image) -> bool:
    """Whether it shows the same; edges may be soft."""
    plain = scene().tobytes()
    return image.size == (48, 32) and sum(abs(x - y) for x, y in zip(image.tobytes(), plain, strict=True)) < 6 * len(
        plain
    )


# what is in a file


@pytest.mark.parametrize(
    "content",
    [
        encoded(scene(), "PNG"),
        encoded(scene("RGBA"), "PNG"),
        encoded(scene().quantize(), "PNG"),
        encoded(scene(), "JPEG", quality=95),
        encoded(scene(), "JPEG", quality=95, progressive=True),
        encoded(scene("CMYK"), "JPEG", quality=95),
        encoded(scene(), "WEBP", quality=95),
        encoded(scene(), "WEBP", lossless=True),
        encoded(scene("RGBA"), "WEBP", quality=95),
        encoded(scene(), "MPO", save_all=True, append_images=[scene()], quality=95),
        photograph(),
        deep_png(),
    ],
    ids=[
        "png",
        "rgba",
        "palette",
        "jpeg",
        "progressive",
        "cmyk",
        "webp",
        "lossless",
        "webp-alpha",
        "mpo",
        "photo",
        "deep",
    ],
)
def test_every_usual_kind_becomes_the_same_plain_picture(content):
    image = cleaned(content)
    assert image.mode == "RGB"
    assert is_scene(image)


@pytest.mark.parametrize(
    "kind",
    ["PNG", "WEBP"],
)
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, None), (2, Image.Transpose.FLIP_LEFT_RIGHT), (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM), (5, Image.Transpose.TRANSPOSE), (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE), (8, Image.Transpose.ROTATE_270), (9, None),
    ],
)  # fmt: skip
def test_a_picture_stands_upright(kind, orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = scene() if stored is None else scene().transpose(stored)
    assert cleaned(encoded(turned, kind, exif=exif, lossless=True)).tobytes() == scene().tobytes()


def test_a_phone_photograph_stands_upright():
    assert cleaned(photograph(orientation=6)).size == (32, 48)


def test_broken_exif_is_no_reason_to_refuse():
    assert is_scene(cleaned(encoded(scene(), "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_white(mode):
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((0, 0, 0, 128), (16, 0, 32, 32))
    plain = cleaned(
        encoded(image.convert("LA") if mode == "LA" else image.quantize() if mode == "PA" else image, "PNG")
    )
    assert plain.getpixel((2, 2)) == (255, 255, 255)
    assert plain.getpixel((30, 2)) == (127, 127, 127)


def test_sixteen_bits_of_grey_keep_their_brightness():
    content = encoded(Image.new("I;16", (32, 32), 40_000), "PNG")
    assert cleaned(content).getpixel((5, 5)) == (156, 156, 156)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not_an_image"),
        (b"a text that is named picture.png", "not_an_image"),
        (b"\x7fELF" + bytes(100), "not_an_image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "unsupported_kind"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><svg/>', "unsupported_kind"),
        (b"%PDF-1.7\n", "unsupported_kind"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported_kind"),
        (b"8BPS\0\1" + bytes(30), "unsupported_kind"),
        (b"\0\0\0\x18ftypheic", "unsupported_kind"),
        (encoded(scene(), "BMP"), "unsupported_kind"),
        (encoded(scene(), "TIFF"), "unsupported_kind"),
        (frames("GIF"), "unsupported_kind"),
        (frames("PNG"), "animated"),
        (frames("WEBP"), "animated"),
        (encoded(scene(), "PNG")[:-40], "damaged"),
        (encoded(scene(), "JPEG")[:-40], "damaged"),
        (encoded(scene(), "WEBP")[:-40], "damaged"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 ", "damaged"),
        (bomb(), "too_many_pixels"),
        (with_a_size_of(encoded(scene(), "JPEG"), 65_000, 65_000), "too_many_pixels"),
        (with_a_size_of(encoded(scene(), "JPEG"), 4100, 4100), "too_many_pixels"),
        (png(1, 65_535, bytes(2 * 65_535)), "bad_shape"),
        (png(65_535, 1, bytes(65_536)), "bad_shape"),
        (encoded(scene(width=15), "PNG"), "bad_shape"),
        (png(0, 40, b""), "damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_has_one_of_a_few_reasons(content, problem):
    with pytest.raises(Unusable) as refused:
        cleaned(content)
    assert refused.value.problem == problem


def test_text_that_unpacks_to_much_more_is_refused():
    content = encoded(scene(), "PNG")
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    with pytest.raises(Unusable, match="damaged"):
        cleaned(content[:33] + text + content[33:])


def mutated(chance: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(damaged) or 1)
        match chance.randrange(6):
            case 0 | 1:
                damaged[at : at + 1] = bytes([chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))])
            case 2:
                damaged[at : at + 4] = chance.randbytes(4)
            case 3:
                del damaged[at : at + chance.randint(1, 40)]
            case 4:
                damaged[at:at] = damaged[at : at + chance.randint(1, 40)]
            case 5:
                del damaged[chance.randrange(len(damaged) // 2, len(damaged) + 1) :]
    if content.startswith(b"\x89PNG") and chance.random() < 0.8:  # else most of them fail at a checksum already
        return content[:8] + b"".join(chunk(*each) for each in chunks(bytes(damaged)))
    return bytes(damaged)


def whole_files() -> list[bytes]:
    return [
        *(encoded(scene(mode), "PNG") for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")), frames("PNG"),
        encoded(scene(), "JPEG"), encoded(scene("CMYK"), "JPEG"), encoded(scene(), "JPEG", progressive=True),
        photograph(), encoded(scene(), "MPO", save_all=True, append_images=[scene()]),
        encoded(scene(), "WEBP"), encoded(scene("RGBA"), "WEBP"), encoded(scene(), "WEBP", lossless=True),
        frames("WEBP"),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [7, None], ids=["fixed", "fresh"])
def test_mutated_files_are_refused_or_become_plain_pictures(seed):
    seed = secrets.randbits(32) if seed is None else seed
    print(f"{MUTATIONS // 2} mutations with seed {seed}")
    chance = random.Random(seed)
    files = whole_files()
    usable = 0
    for _ in range(MUTATIONS // 2):
        try:
            image = cleaned(mutated(chance, chance.choice(files)))
        except Unusable:
            continue
        usable += 1
        assert image.mode == "RGB"
        assert image.width * image.height <= MAX_PIXELS
    assert 0 < usable < MUTATIONS // 2


# the process


def run_on(tmp_path: Path, content: bytes, before: str = "", after: str = "") -> str:
    """What the process says; `before` and `after` are Python around it."""
    (tmp_path / "in").write_bytes(content)
    program = (
        f"import sys, resource; from pathlib import Path; from engine import given; {before or 'pass'}\n"
        f"given.main(Path(sys.argv[1]), Path(sys.argv[2]))\n{after}"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, tmp_path / "in", tmp_path / "out.png"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_process_limits_itself_and_loads_little(tmp_path):
    after = (
        "print([resource.getrlimit(getattr(resource, 'RLIMIT_' + name))[0] for name in ('AS', 'CPU', 'CORE')])\n"
        "print(sorted({'bot', 'torch', 'aiohttp', 'transformers'} & {name.split('.')[0] for name in sys.modules}))"
    )
    said, limits, loaded = run_on(tmp_path, encoded(scene(), "JPEG"), after=after).splitlines()
    assert json.loads(said) == {"width": 48, "height": 32}
    assert (limits, loaded) == (str([2**30, 10, 0]), "[]")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.png"]


def test_the_largest_picture_that_is_allowed_fits_into_the_limits(tmp_path):
    wide = encoded(Image.new("RGBA", (4098, 4099), (10, 20, 30, 40)), "WEBP", lossless=True, quality=0, method=0)
    assert json.loads(run_on(tmp_path, wide)) == {"width": 4098, "height": 4099}


def test_a_canvas_that_takes_all_memory_is_a_reason_too(tmp_path):
    largest = (16_382).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + largest * 2
    still = encoded(scene(), "WEBP")[12:]
    frame = b"ANMF" + struct.pack("<I", 16 + len(still)) + bytes(6) + b"\x2f\0\0\x1f\0\0\x0a\0\0\0" + still
    body = b"WEBP" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6) + frame
    said = json.loads(run_on(tmp_path, b"RIFF" + struct.pack("<I", len(body)) + body))
    assert said["problem"] in ("too_big", "too_many_pixels", "damaged")


# fetching


class Host:
    """A server on loopback that says `answer` to everyone, and keeps what it was asked."""

    def __init__(self, answer: bytes = b"", *, then: str = "close"):
        self.answer, self.then, self.asked, self.connections = answer, then, [], 0

    async def __aenter__(self) -> "Host":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.name = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            while self.then == "more":
                writer.write(bytes(2**16))
                await writer.drain()
            await writer.drain()
            if self.then == "silence":
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer(content: bytes, status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with Host(answer(photograph())) as host:
        yield host


@pytest.fixture
def take(tmp_path) -> Callable:
    turns = asyncio.Semaphore(given.AT_ONCE)

    async def taken(url: str, *allowed: str, more: dict | None = None, **how: object) -> Path:
        source = given.Source(url, **(more or {}))
        return await given.take(source, allowed_hosts=allowed, folder=tmp_path / "spool" / "given", turns=turns, **how)

    return taken


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Put a shell script in the place of the process that decodes; $5 is what it reads, $6 what it writes."""

    def put(script: str) -> None:
        path = tmp_path / "stand-in"
        path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


def left_in(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "spool").rglob("*") if path.is_file()]


async def problem_of(taking) -> str:
    with pytest.raises(BadImage) as refused:
        await taking
    return refused.value.problem


async def test_a_picture_is_kept_as_a_plain_png_and_nothing_of_its_metadata(host, take, tmp_path):
    path = await take(f"{host.name}/a/photo.gif?ex=1&hm=2", host.name)
    content = path.read_bytes()
    assert {name for name, _ in chunks(content)} == {b"IHDR", b"IDAT", b"IEND"}
    assert SECRET not in content
    assert is_scene(Image.open(path))
    assert path == await take(f"{host.name}/again", host.name)
    assert left_in(tmp_path) == [path.name]
    assert host.asked[0].startswith("GET /a/photo.gif?ex=1&hm=2 ")


async def test_no_proxy_of_the_environment_is_asked(host, take, monkeypatch):
    async with Host() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.name)
        monkeypatch.setenv("http_proxy", proxy.name)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await take(f"{host.name}/a", host.name)
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "https://127.0.0.1:{port}/a.png",
        "https://cdn.example.com@127.0.0.1:{port}/a.png",
        "https://cdn.example.com:x@127.0.0.1:{port}/a.png",
        "https://127.0.0.1:{port}#@cdn.example.com/a.png",
        "https://127.0.0.1:{port}\\@cdn.example.com/a.png",
        "https://127.0.0.1:{port}/@cdn.example.com/a.png",
        "https://user@cdn.example.com/a.png",
        "https://cdn.example.com:{port}/a.png",
        "https://cdn.example.com./a.png",
        "https://cdn.example.com.example.net/a.png",
        "https://cdn.example.com%2eexample.net/a.png",
        "https://0x7f.1:{port}/a.png",
        "https://2130706433:{port}/a.png",
        "https://[::ffff:127.0.0.1]:{port}/a.png",
        "https://localhost:{port}/a.png",
        "https://169.254.169.254/latest/meta-data",
        "http://cdn.example.com/a.png",
        "ftp://cdn.example.com/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,iVBORw0KGgo=",
        "//cdn.example.com/a.png",
        "cdn.example.com/a.png",
        "https://[/a.png",
        "",
    ],
)
async def test_nothing_is_asked_of_another_host(url, host, take):
    more = {"token": "xoxb-secret"}
    assert await problem_of(take(url.format(port=host.port), "cdn.example.com", more=more)) == "other_host"
    assert host.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://0x7f.1:{port}/", "http://127.1:{port}/", "http://127.0.0.2:{port}/", "http://2130706433:{port}/",
        "http://localhost:{port}/", "http://0:{port}/", "http://[::1]:{port}/", "http://x@127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
    ],
)  # fmt: skip
async def test_an_allowed_server_of_this_machine_goes_by_one_name(url, host, take):
    assert await problem_of(take(url.format(port=host.port), host.name)) == "other_host"
    assert host.connections == 0


async def test_plain_http_leaves_this_machine_for_nobody(take):
    assert await problem_of(take("http://cdn.example.com/a.png", "http://cdn.example.com")) == "other_host"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed_and_takes_no_token_along(status, host, take, tmp_path):
    async with Host(answer(b"", status, Location=f"{host.name}/a.png", Content_Length=0)) as first:
        taking = take(f"{first.name}/a.png", first.name, host.name, more={"token": "xoxb-secret"})
        assert await problem_of(taking) == "unreachable"
        assert "Authorization: Bearer xoxb-secret" in first.asked[0]
    assert host.connections == 0
    assert left_in(tmp_path) == []


async def test_without_a_token_none_is_sent(host, take):
    await take(f"{host.name}/a", host.name)
    assert "authorization" not in host.asked[0].lower()


def test_a_source_does_not_show_its_token():
    assert "xoxb" not in repr(given.Source("https://cdn.example.com/a", token="xoxb-secret"))


@pytest.mark.parametrize(
    ("says", "then", "problem"),
    [
        (answer(b"", "404 Not Found"), "close", "unreachable"),
        (b"", "close", "unreachable"),
        (b"nonsense\r\n\r\n", "close", "unreachable"),
        (answer(b"short", Content_Length=5000), "close", "unreachable"),
        (answer(b"", Content_Length=30_000_000), "silence", "too_big"),
        (answer(b""), "more", "too_big"),
        (answer(b"", Content_Encoding="gzip"), "more", "too_big"),
        (answer(b"\x89PNG", Content_Length=5000), "silence", "too_slow"),
        (b"", "silence", "too_slow"),
    ],
)
async def test_a_host_that_misbehaves_costs_little(says, then, problem, take, tmp_path):
    async with Host(says, then=then) as host:
        wait = 0.2 if problem == "too_slow" else 10
        assert await problem_of(take(f"{host.name}/a", host.name, max_bytes=100_000, fetch_seconds=wait)) == problem
    assert left_in(tmp_path) == []


async def test_a_host_that_is_away_is_said_to_be(take):
    async with Host() as gone:
        pass
    assert await problem_of(take(f"{gone.name}/a", gone.name)) == "unreachable"


@pytest.mark.parametrize(
    ("more", "problem"),
    [({"size_bytes": MAX_BYTES + 1}, "too_big"), ({"content_type": "text/plain"}, "not_an_image")],
)
async def test_what_a_platform_says_can_be_reason_enough(more, problem, host, take):
    assert await problem_of(take(f"{host.name}/a", host.name, more=more)) == problem
    assert host.connections == 0


async def test_the_reason_of_the_process_arrives_with_its_figures(take, tmp_path):
    async with Host(answer(bomb())) as host:
        with pytest.raises(BadImage) as refused:
            await take(f"{host.name}/a", host.name, more={"content_type": "image/png", "size_bytes": 20_000})
    error = refused.value
    assert (error.problem, error.limit, error.amount) == ("too_many_pixels", MAX_PIXELS, 169_000_000)
    assert left_in(tmp_path) == []


async def test_the_process_is_told_no_secrets(host, take, stand_in, monkeypatch):
    monkeypatch.setenv("LIMNER_DISCORD_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    stand_in('env > "$6"; echo "{}"')
    environment = (await take(f"{host.name}/a", host.name)).read_text()
    assert "PATH=" in environment
    assert "LIMNER_" not in environment
    assert "secret" not in environment


@pytest.mark.parametrize(
    ("script", "problem"),
    [("kill -SEGV $$", "damaged"), ("kill -XCPU $$", "too_slow"), ("kill -KILL $$", "too_slow")],
)
async def test_a_process_that_is_killed_harms_nothing(script, problem, host, take, stand_in, tmp_path):
    stand_in(script)
    assert await problem_of(take(f"{host.name}/a", host.name)) == problem
    assert left_in(tmp_path) == []


async def test_a_process_that_hangs_is_ended(host, take, stand_in, tmp_path):
    stand_in(f"echo $$ > {tmp_path}/pid; touch $6.part; exec sleep 600")
    assert await problem_of(take(f"{host.name}/a", host.name, clean_seconds=0.5)) == "too_slow"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense"])
async def test_what_is_not_the_picture_s_fault_is_not_blamed_on_it(script, host, take, stand_in):
    stand_in(script)
    with pytest.raises(Unavailable):
        await take(f"{host.name}/a", host.name)


async def test_a_folder_that_cannot_be_written_is_not_blamed_on_the_picture(host, take, tmp_path):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(Unavailable):
        await take(f"{host.name}/a", host.name)


async def test_two_are_cleaned_at_once_and_no_more(host, take, stand_in, tmp_path):
    log = tmp_path / "log"
    stand_in(f'echo 1 >> {log}; sleep 0.1; echo -1 >> {log}; echo "$5" > "$6"; echo "{{}}"')
    await asyncio.gather(*(take(f"{host.name}/a", host.name) for _ in range(5)))
    running = [sum(map(int, log.read_text().split()[:end])) for end in range(11)]
    assert max(running) == given.AT_ONCE
