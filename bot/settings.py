"""The only reader of the environment and of the settings file."""

import os
import re
import tomllib
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationError,
)

from bot.allowances import Limits, Window, WindowKind
from bot.errors import CannotStart
from bot.prompt import Style

PREFIX = "LIMNER_"


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # known without a database of time zones
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name[:40]!r}") from None


def _listed(value: Any) -> Any:
    """`A, B` in the environment, a list in the file."""
    return [part for part in re.split(r"[,\s]+", value) if part] if isinstance(value, str) else value


def _operator(name: str) -> str:
    if not re.fullmatch(r"(discord|slack):[^\s:]+(:[^\s:]+)?", name):
        raise ValueError("each is written like discord:1234 or slack:U12")
    return name


def _three_commands(names: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(f"/{name.removeprefix('/').lower()}" for name in names)
    if len(set(names)) != 3 or not all(re.fullmatch(r"/[a-z0-9_-]{1,31}", name) for name in names):
        raise ValueError("it takes three names, like /imagine, /limner, /limner-admin")
    return names


Listed = BeforeValidator(_listed)
Names = Annotated[tuple[str, ...], Listed]


class Settings(BaseModel):
    """Each field is `LIMNER_<NAME>` in the environment and `<name>` in the file; the environment wins."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data: Path = Path("data")
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=8420, ge=0, le=65535)  # 0: any that is free
    log_level: Literal["debug", "info", "warning"] = "info"
    engine: str = Field(default="torch", pattern=r"^(torch|\w+(\.\w+)+)$")  # or a module that draws otherwise
    models_dir: Path | None = None  # <data>/models
    model: str = "builtin"  # what draws where a prompt names none
    allowance: int = Field(default=20, ge=0, le=1_000_000)  # units of one person in a window
    own_waiting: int = Field(default=10, ge=1, le=10_000)  # jobs of one person
    waiting: int = Field(default=50, ge=1, le=1_000_000)  # jobs of everyone
    backups: int = Field(default=24, ge=0, le=10_000)  # hourly ones that are kept; 0: none are made
    window: WindowKind = "rolling"  # or a day, week or month of the calendar of `time_zone`
    time_zone: Annotated[InstanceOf[tzinfo], BeforeValidator(_zone)] = UTC  # a name like Europe/Berlin
    admin_cap: int = Field(default=100, ge=0, le=1_000_000)  # units that a server's admin may let one person have
    # who is the operator in chat: discord:1234, slack:U12
    operators: Annotated[tuple[Annotated[str, AfterValidator(_operator)], ...], Listed] = ()
    keep_prompts_days: int = Field(default=30, ge=0, le=36_500)  # what was typed; 0: for ever
    keep_files_days: int = Field(default=7, ge=0, le=36_500)  # pictures
    keep_jobs_days: int = Field(default=90, ge=0, le=36_500)  # where, when and how; afterwards numbers alone
    keep_backups_days: int = Field(default=14, ge=1, le=36_500)
    report_channel: str = Field(default="", pattern=r"^((discord|slack):\w+)?$")  # where reports go: discord:CHANNEL
    strikes: int = Field(default=3, ge=1, le=1000)  # in 30 days, and a person is suspended
    suspend_days: int = Field(default=7, ge=1, le=3650)
    unchecked_photographs: Literal["", "I answer for what is drawn without a safety check"] = ""
    styles: dict[str, Style] = Field(default_factory=dict)  # [styles.NAME] in the file
    discord_token: SecretStr | None = None
    discord_guilds: Annotated[tuple[int, ...], Listed] = ()  # where the commands are registered; none: everywhere
    discord_api_url: str = "https://discord.com/api/v10"
    discord_gateway_url: str | None = None  # None: what the API names
    discord_attachment_hosts: Names = ("cdn.discordapp.com", "media.discordapp.net")
    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None  # for Socket Mode
    slack_signing_secret: SecretStr | None = None  # for HTTP in its place
    slack_host: str = "127.0.0.1"
    slack_port: int = Field(default=3000, ge=0, le=65535)
    slack_api_url: str = "https://slack.com/api/"
    slack_file_hosts: Names = ("files.slack.com",)
    slack_commands: Annotated[Names, AfterValidator(_three_commands)] = ("/imagine", "/limner", "/limner-admin")
    slack_admins: Names = ()  # user ids
    slack_moderators: Names = ()  # the same
    slack_workspace_admins: bool = False  # whether they and the owners are admins here too
    slack_guests: bool = False  # whether they may draw
    slack_strangers: bool = False  # the same for people of other workspaces, in shared channels

    @property
    def models_path(self) -> Path:
        return self.models_dir or self.data / "models"

    @property
    def secrets(self) -> list[str]:
        """What may stand in no log."""
        found = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in found if isinstance(value, SecretStr)]

    @property
    def limits(self) -> Limits:
        window = Window(self.window, self.time_zone)
        return Limits(self.allowance, self.own_waiting, self.waiting, window, self.admin_cap)


def read_settings() -> Settings:
    """Raises CannotStart, naming the variable or the file, for a value that cannot be used."""
    file = Path(os.environ.get(PREFIX + "SETTINGS") or Path(os.environ.get(PREFIX + "DATA", "data")) / "limner.toml")
    if os.environ.get(PREFIX + "SETTINGS") and not file.is_file():
        raise CannotStart(f"LIMNER_SETTINGS names {file}, which is not a file.")
    variables = {name: PREFIX + name.upper() for name in Settings.model_fields}
    try:
        in_file = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
        return Settings(**in_file | {name: os.environ[each] for name, each in variables.items() if each in os.environ})
    except ValidationError as error:
        first = error.errors()[0]
        raise CannotStart(_sentence(str(first["loc"][0]), first["msg"], file)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CannotStart(f"The settings file {file} cannot be read: {error}.") from error


def _sentence(name: str, problem: str, file: Path) -> str:
    variable = PREFIX + name.upper()
    if name not in Settings.model_fields:
        return f"The settings file {file} names {name!r}, which is no setting: correct its spelling or remove it."
    source = f"{variable} is set to a value" if variable in os.environ else f"{name!r} in {file} has a value"
    return f"{source} that cannot be used: {problem[:1].lower() + problem[1:]}."
