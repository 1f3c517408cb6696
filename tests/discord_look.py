"""What people see on Discord, as one picture: a real flow with the real engine, rendered from the stand-in's log.

python -m tests.discord_look docs/images/discord.jpg
"""

import argparse
import asyncio
import base64
import html
import re
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import async_playwright

from tests.discord_api import DiscordAPI, Interaction, Message, Shown, User
from tests.running import Limner

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_SECONDS = 180
DANGER = 4  # Discord's style of a red button

STYLE = """
* { box-sizing: border-box; margin: 0 }
body { background: #313338; color: #dbdee1; font: 15px/1.38 "gg sans", "Noto Sans", "Liberation Sans", sans-serif }
main { display: flex; width: 1240px }
section { flex: 1 1 0; min-width: 0; padding-bottom: 10px }
section + section { border-left: 6px solid #1e1f22 }
h1 { font-size: 15px; font-weight: 600; color: #f2f3f5; padding: 12px 16px; border-bottom: 1px solid #26272b;
     white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
h1 i { color: #80848e; font-style: normal; font-weight: 400; padding-right: 8px; font-size: 18px }
h1.below { margin-top: 14px; border-top: 6px solid #1e1f22 }
h2 { display: flex; align-items: center; gap: 8px; margin: 12px 16px 0; color: #949ba4;
     font-size: 11.5px; font-weight: 600 }
h2::after { content: ""; flex: 1; border-top: 1px solid #3f4147 }
article { padding: 10px 16px 4px 68px; position: relative }
article.private { background: #3a3a46; box-shadow: inset 2px 0 #5865f2; margin-top: 10px; padding-bottom: 10px }
.face { position: absolute; left: 16px; width: 40px; height: 40px; border-radius: 50%; background: #5865f2; color: #fff;
        text-align: center; line-height: 40px; font-weight: 600; font-size: 17px }
.used { margin-left: -28px; margin-bottom: 4px; font-size: 13px; color: #b5bac1; white-space: nowrap; overflow: hidden;
        text-overflow: ellipsis }
.used::before { content: ""; display: inline-block; width: 24px; height: 9px; margin-right: 5px;
        border: 2px solid #4e5058; border-width: 2px 0 0 2px; border-radius: 6px 0 0 0; position: relative; top: 3px }
.used b { color: #f2f3f5; font-weight: 500 } .used u { color: #00a8fc; text-decoration: none }
.who { color: #f2f3f5; font-weight: 500 } .when { color: #949ba4; font-size: 12px; padding-left: 6px }
.app { background: #5865f2; color: #fff; border-radius: 4px; font-size: 10.5px; padding: 1px 5px; margin-left: 5px;
       font-weight: 600; position: relative; top: -1px }
.text { white-space: pre-wrap; overflow-wrap: anywhere }
.text .small { color: #949ba4; font-size: 12.5px }
.text strong { color: #f2f3f5; font-weight: 700 }
.edited { color: #949ba4; font-size: 10.5px }
.name { background: #3c4270; color: #c9cdfb; border-radius: 3px; padding: 0 2px; font-weight: 500 }
.time { background: #43444b; border-radius: 3px; padding: 0 2px }
code { background: #2b2d31; border-radius: 4px; padding: 1px 4px;
       font: 13px "DejaVu Sans Mono", "Liberation Mono", monospace }
.pictures { display: grid; gap: 4px; width: 350px; margin-top: 6px; border-radius: 8px; overflow: hidden }
.pictures.many { grid-template-columns: 1fr 1fr }
.pictures.preview { width: 170px }
.pictures img { width: 100%; display: block }
.row { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px }
button { border: 0; border-radius: 4px; background: #4e5058; color: #fff; font: 500 13.5px/32px inherit; height: 32px;
         padding: 0 14px; font-family: inherit }
button.danger { background: #da373c }
.dismiss { color: #949ba4; font-size: 12px; margin-top: 6px } .dismiss u { color: #00a8fc; text-decoration: none }
"""


class Look:
    """Messages of the stand-in as HTML."""

    def __init__(self, api: DiscordAPI):
        self._api = api

    def message(self, message: Message, state: Shown, *, used: str = "") -> str:
        """One state of a message; `used` is the command that it answers, which Discord shows above it."""
        asker = message.interaction.user if message.interaction else None
        head = f'<p class="used"><b>{_named(asker)}</b> used <u>{html.escape(used)}</u></p>' if used and asker else ""
        edited = ' <span class="edited">(edited)</span>' if state is not message.history[0] else ""
        text = self._text(state).removesuffix("</div>") + edited + "</div>"
        private = (
            '<p class="dismiss">Only you can see this • <u>Dismiss message</u></p>' if message.is_ephemeral else ""
        )
        return (
            f'<article class="{"private" if message.is_ephemeral else ""}">{head}<div class="face">L</div>'
            f'<p><span class="who">{_named(message.author)}</span><span class="app">APP</span>'
            f'<span class="when">{datetime.fromtimestamp(message.created_at, UTC):%H:%M}</span></p>'
            f'<div class="text">{text}</div>{_pictures(state)}{_rows(state)}{private}</article>'
        )

    def _text(self, state: Shown) -> str:
        return "".join(self._line(line, state.at) for line in state.content.split("\n"))

    def _line(self, line: str, now: float) -> str:
        """Discord's markdown, as far as the bot writes it."""
        small = line.startswith("-# ")
        text = html.escape(line.removeprefix("-# "), quote=False)
        text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
        text = re.sub(r"&lt;@(\d+)&gt;", lambda found: f'<span class="name">@{self._name(found[1])}</span>', text)
        text = re.sub(
            r"&lt;t:(\d+):R&gt;", lambda found: f'<span class="time">{_counted(int(found[1]) - now)}</span>', text
        )
        text = re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text)
        return f'<div class="{"small" if small else ""}">{text}</div>'

    def _name(self, user_id: str) -> str:
        return _named(self._api.users[int(user_id)])


def _named(user: User) -> str:
    return user.name if user.bot else user.name.title()


def _counted(seconds: float) -> str:
    number = max(1, round(abs(seconds)))
    said = f"{number} second{'s' * (number != 1)}"
    return f"in {said}" if seconds > 0 else f"{said} ago"


def _pictures(state: Shown) -> str:
    sources = [
        f'<img src="data:{each.content_type};base64,{base64.b64encode(each.data).decode()}">'
        for each in state.attachments
    ]
    kind = "many" if len(sources) > 1 else "preview" if is_preview(state) else ""
    return f'<div class="pictures {kind}">{"".join(sources)}</div>' if sources else ""


def _rows(state: Shown) -> str:
    return "".join(
        '<div class="row">'
        + "".join(
            f'<button class="{"danger" if part["style"] == DANGER else ""}">{html.escape(part["label"])}</button>'
            for part in row["components"]
        )
        + "</div>"
        for row in state.components
    )


def is_preview(state: Shown) -> bool:
    return any(each.filename == "preview.jpg" for each in state.attachments)


def is_done(message: Message | None) -> bool:
    return bool(message and message.attachments and "More…" in message.labels)


async def play(api: DiscordAPI) -> str:
    """Two people, some pictures and a slip of the pen: the page of what they saw."""
    # as many steps as there may be: on an idle machine a picture is done before its first preview is due
    car = await imagine(api, api.ada, prompt="a red car on a mountain road at sunset", seed=4182, steps=60, count=1)
    await api.press(api.bob, car.message, "Re-roll")
    thread = await api.until(lambda: api.channels.get(car.message.id), PATIENCE_SECONDS)
    await api.until(lambda: any(map(is_done, thread.messages)), PATIENCE_SECONDS)
    woman = "a woman with red hair in a yellow raincoat on a beach"
    several = await imagine(api, api.bob, prompt=woman, count=4, quality="draft", seed=7)
    slip = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a boat on a lake --stlye noir"})
    look = Look(api)
    states = list(car.message.history)
    drawing = [state for state in states if is_preview(state)]
    shown = [("at once", states[0]), ("while it is drawn", drawing[len(drawing) // 2]), ("done", states[-1])]
    left = [caption(said) + look.message(car.message, state, used="/imagine") for said, state in shown]
    left += [caption("a slip, answered to its writer alone"), look.message(slip.message, slip.message.history[-1])]
    right = [
        *(look.message(each, each.history[-1]) for each in thread.messages),
        f'<h1 class="below"><i>#</i>{api.channel.name}</h1>',
        look.message(several.message, several.message.history[-1], used="/imagine"),
    ]
    return page(section("#", api.channel.name, left), section("≡", thread.name, right))


async def imagine(api: DiscordAPI, person: User, **options: object) -> Interaction:
    asked = await api.slash(person, api.channel, "imagine", options)
    await api.until(lambda: is_done(asked.message), PATIENCE_SECONDS)
    return asked


def caption(said: str) -> str:
    return f"<h2>{html.escape(said)}</h2>"


def section(sign: str, name: str, parts: Iterable[str]) -> str:
    return f"<section><h1><i>{sign}</i>{html.escape(name)}</h1>{''.join(parts)}</section>"


def page(*sections: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><main>{"".join(sections)}</main>'


async def photograph(content: str, file: Path) -> None:
    """The page as a PNG or, where the name ends so, a JPEG."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = await browser.new_page(viewport={"width": 1240, "height": 400}, device_scale_factor=1.5)
        await tab.set_content(content, wait_until="load")
        quality = {"type": "jpeg", "quality": 85} if file.suffix == ".jpg" else {"type": "png"}
        await tab.locator("main").screenshot(path=file, **quality)
        await browser.close()


async def main(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with DiscordAPI() as api:
            limner = Limner(Path(folder) / "data", LIMNER_DISCORD_TOKEN=api.token, LIMNER_DISCORD_API_URL=api.url)
            try:
                await limner.start()
                await api.until(lambda: api.is_connected and api.commands, PATIENCE_SECONDS)
                content = await play(api)
            finally:
                await limner.close()
    await photograph(content, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="what to write: .png or .jpg")
    asyncio.run(main(parser.parse_args().file))
