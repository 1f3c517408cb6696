"""A house with Discord as its platform, which is on loopback; a fake engine is in a real child process."""

from bot.discord.connection import connect
from bot.settings import Settings
from tests.house import ChatHouse

ANSWER, UPDATE = 4, 7  # the kinds of first answers that have a text
MESSAGES = (
    "/channels/{channel_id}/messages",
    "/channels/{channel_id}/messages/{message_id}",
    "/webhooks/{webhook_id}/{webhook_token}",
    "/webhooks/{webhook_id}/{webhook_token}/messages/@original",
    "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
)


class DiscordHouse(ChatHouse):
    platform, connect = "discord", staticmethod(connect)

    def __init__(self, api, data, *, allowance=100, engine=None, token=None, **settings):
        found = Settings(
            data=data,
            discord_token=token or api.token,
            discord_api_url=api.url,
            discord_attachment_hosts=(api.url_root,),
            **settings,
        )
        super().__init__(api, found, allowance=allowance, engine=engine)

    async def until_connected(self):
        await self.api.until(lambda: self.api.is_connected and self.api.commands)

    def check(self):
        assert_pings_are_forbidden(self.api)
        assert_creates_are_named(self.api)


def assert_pings_are_forbidden(api):
    """Every request that made or changed a message forbade all pings, but that of the one person who waited long."""
    for request in api.requests:
        form = written_by(request)
        if form is None:
            continue
        allowed = form.get("allowed_mentions")
        where = f"{request.method} {request.path}: {form}"
        assert allowed is not None, where
        assert not any(allowed.get(key) for key in ("parse", "roles", "replied_user")), where
        if users := allowed.get("users"):
            assert form["content"].startswith(f"<@{users[0]}> `"), where
            assert form["content"].endswith("` is ready"), where
            assert len(users) == 1, where


def assert_creates_are_named(api):
    """Each has a nonce that a repetition would have too, also after a crash; discord.py's own are random numbers."""
    made = [each for each in api.requests if (each.method, each.template) == ("POST", MESSAGES[0]) and each.form]
    assert not [each.form for each in made if each.form["nonce"].isdigit()]


def written_by(request):
    """What a request says of a message; None where it neither makes nor changes one, or was spoilt unread."""
    form = request.form
    if form is None:
        return None
    if request.template.endswith("/callback"):
        return form.get("data") or {} if form.get("type") in (ANSWER, UPDATE) else None
    writes = request.method in ("POST", "PATCH") and request.template in MESSAGES
    return form if writes else None


def job_id(message):
    """What the message says of its job, in its buttons."""
    return message.buttons[0]["custom_id"].split(":")[2]
