"""How Discord writes people, guilds, channels and messages as JSON."""

from typing import Any

from tests.discord_api.things import DM, FORUM, Channel, Guild, Message, Permission, User, timestamp


class Documents:
    """Reads the state that `World` holds."""

    users: dict[int, User]
    channels: dict[int, Channel]
    bot: User
    application_id: int
    reads_all_messages: bool

    def permissions(self, user: User, channel: Channel) -> Permission:
        raise NotImplementedError

    def member_json(self, guild: Guild, user: User, *, with_user: bool = True) -> dict[str, Any]:
        member = {
            "roles": [str(role) for role in guild.members.get(user.id, [])],
            "joined_at": timestamp(1_700_000_000),
            "nick": None,
            "avatar": None,
            "banner": None,
            "premium_since": None,
            "communication_disabled_until": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }
        return member | {"user": user.json()} if with_user else member

    def guild_json(self, guild: Guild, *, whole: bool = False) -> dict[str, Any]:
        found = {
            "id": str(guild.id),
            "name": guild.name,
            "owner_id": str(guild.owner.id),
            "preferred_locale": guild.locale,
            "premium_tier": guild.premium_tier,
            "features": [],
            "roles": [role.json() for role in guild.roles.values()],
            "emojis": [],
            "stickers": [],
            **dict.fromkeys(("icon", "splash", "discovery_splash", "banner", "description", "afk_channel_id"), None),
            **dict.fromkeys(("application_id", "system_channel_id", "rules_channel_id", "vanity_url_code"), None),
            **dict.fromkeys(("public_updates_channel_id", "safety_alerts_channel_id"), None),
            **dict.fromkeys(("home_header", "widget_channel_id", "max_presences"), None),
            **dict.fromkeys(("verification_level", "default_message_notifications", "explicit_content_filter"), 0),
            **dict.fromkeys(("mfa_level", "nsfw_level", "system_channel_flags", "premium_subscription_count"), 0),
            "afk_timeout": 300,
            "region": "us-central",
            "incidents_data": None,
            "nsfw": False,
            "widget_enabled": False,
            "max_members": 500_000,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "premium_progress_bar_enabled": False,
        }
        if not whole:
            return found
        channels = [c for c in self.channels.values() if c.guild is guild]
        threads = [c for c in channels if c.is_thread and not c.archived]
        return found | {
            "unavailable": False,
            "large": False,
            "member_count": len(guild.members),
            "joined_at": timestamp(1_700_000_000),
            "members": [self.member_json(guild, self.bot)],
            "channels": [self.channel_json(c) for c in channels if not c.is_thread],
            "threads": [self.channel_json(c) for c in threads],
            **{key: [] for key in ("voice_states", "presences", "stage_instances", "guild_scheduled_events")},
            "soundboard_sounds": [],
        }

    def channel_json(self, channel: Channel, *, viewer: User | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {"id": str(channel.id), "type": channel.type, "flags": 0}
        found["last_message_id"] = str(channel.last.id) if channel.messages else None
        if channel.guild is None:
            return found | {"recipients": [channel.recipient.json()]}
        found |= {"guild_id": str(channel.guild.id), "name": channel.name, "rate_limit_per_user": 0}
        found["parent_id"] = str(channel.parent.id) if channel.parent else None
        if viewer:
            found["permissions"] = str(int(self.permissions(viewer, channel)) & ((1 << 53) - 1))
        if not channel.is_thread:
            return found | {
                "position": 0,
                "topic": None,
                "nsfw": channel.nsfw,
                "permission_overwrites": [
                    {
                        "id": str(key),
                        "type": int(key not in channel.guild.roles),
                        "allow": str(int(a)),
                        "deny": str(int(d)),
                    }
                    for key, (a, d) in channel.overwrites.items()
                ],
                **({"available_tags": []} if channel.type == FORUM else {}),
            }
        member = {"id": str(channel.id), "user_id": str(self.bot.id), "join_timestamp": timestamp(channel.created_at)}
        return found | {
            "owner_id": str(channel.owner_id),
            "message_count": len(channel.messages),
            "total_message_sent": len(channel.messages),
            "member_count": len(channel.thread_members),
            "thread_metadata": {
                "archived": channel.archived,
                "locked": channel.locked,
                "auto_archive_duration": channel.auto_archive_minutes,
                "archive_timestamp": timestamp(channel.created_at),
                "create_timestamp": timestamp(channel.created_at),
            },
            **({"member": member | {"flags": 1}} if self.bot.id in channel.thread_members else {}),
        }

    def is_readable(self, message: Message) -> bool:
        """May the bot read the content without the privileged intent?"""
        if self.reads_all_messages or message.author is self.bot or message.channel.type == DM:
            return True
        answers_bot = message.reply_to is not None and message.reply_to.author is self.bot
        return answers_bot or str(self.bot.id) in message.mentions

    def message_json(self, message: Message, *, readable: bool | None = None, quoted: bool = True) -> dict[str, Any]:
        readable = self.is_readable(message) if readable is None else readable
        named = [self.users[int(m)] for m in sorted(message.mentions) if m.isdigit() and int(m) in self.users]
        found: dict[str, Any] = {
            "id": str(message.id),
            "channel_id": str(message.channel.id),
            "author": message.author.json(),
            "content": message.content if readable else "",
            "embeds": message.embeds if readable else [],
            "components": message.components if readable else [],
            "attachments": [
                a.json(**({"ephemeral": True} if message.is_ephemeral else {})) for a in message.attachments
            ]
            if readable
            else [],
            "timestamp": timestamp(message.created_at),
            "edited_timestamp": timestamp(message.edited_at) if message.edited_at else None,
            "flags": message.flags,
            "type": message.type,
            "mentions": [user.json() for user in named],
            "mention_roles": [m.removeprefix("role:") for m in sorted(message.mentions) if m.startswith("role:")],
            "mention_everyone": bool(message.mentions & {"@everyone", "@here"}),
            "pinned": False,
            "tts": False,
        }
        if message.author is self.bot:
            found["application_id"] = str(self.application_id)
        if message.nonce is not None:
            found["nonce"] = message.nonce
        if message.interaction is not None:
            found |= {"webhook_id": str(self.application_id), "interaction_metadata": message.interaction.metadata()}
        if message.thread is not None:
            found["thread"] = self.channel_json(message.thread)
        if message.reply_to is not None:
            target = message.reply_to
            found["message_reference"] = {"type": 0, "message_id": str(target.id), "channel_id": str(target.channel.id)}
            if target.channel.guild:
                found["message_reference"]["guild_id"] = str(target.channel.guild.id)
            if quoted:
                found["referenced_message"] = None if target.is_deleted else self.message_json(target, quoted=False)
        return found
