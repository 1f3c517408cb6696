"""Pictures that people attach on Slack, which keeps them behind the bot's token."""

import asyncio
from pathlib import Path

from bot import given
from bot.errors import BadImage
from bot.settings import Settings
from bot.slack.web import UNREACHED, Web


class Given:
    def __init__(self, settings: Settings, web: Web, folder: Path):
        self._web, self._folder, self._turns = web, folder, asyncio.Semaphore(given.AT_ONCE)
        self._hosts = frozenset(settings.slack_file_hosts)

    async def take(self, file_id: str) -> Path:
        """The path of a plain PNG of it. Raises BadImage and Unavailable."""
        try:
            file = (await self._web.files_info(file=file_id)).get("file") or {}
        except UNREACHED:
            raise BadImage("unreachable") from None
        url = str(file.get("url_private_download") or file.get("url_private") or "")
        source = given.Source(url, file.get("size"), file.get("mimetype") or None, str(self._web.token))
        return await given.take(source, allowed_hosts=self._hosts, folder=self._folder, turns=self._turns)
