import os

import pytest

from bot.errors import CannotStart
from bot.settings import read_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("LIMNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))


def test_without_any_setting_limner_listens_on_this_machine_only(tmp_path):
    settings = read_settings()
    assert (settings.web_host, settings.web_port, settings.engine) == ("127.0.0.1", 8420, "torch")
    assert settings.models_path == tmp_path / "models"


def test_the_environment_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / "limner.toml").write_text("web_port = 9000\nallowance = 40\n")
    monkeypatch.setenv("LIMNER_WEB_PORT", "9001")
    settings = read_settings()
    assert (settings.web_port, settings.allowance) == (9001, 40)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIMNER_WEB_PORT", "eighty"),
        ("LIMNER_WEB_PORT", "70000"),
        ("LIMNER_ENGINE", "cuda"),
        ("LIMNER_ALLOWANCE", "-1"),
        ("LIMNER_WAITING", "0"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(CannotStart, match=f"^{variable} is set to a value that cannot be used: ") as error:
        read_settings()
    assert error.value.exit_code == 78


BAD_FILES = ("allowence = 3\n", "allowance = \n", "allowance = 'many'\n", "[styles.ink]\nafterr = ''\n")


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_settings_file_is_refused_by_its_path(tmp_path, text):
    (tmp_path / "limner.toml").write_text(text)
    with pytest.raises(CannotStart, match=r"limner\.toml"):
        read_settings()


def test_a_settings_file_that_is_named_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMNER_SETTINGS", str(tmp_path / "missing.toml"))
    with pytest.raises(CannotStart, match="LIMNER_SETTINGS"):
        read_settings()


def test_tokens_do_not_show_themselves(monkeypatch):
    monkeypatch.setenv("LIMNER_DISCORD_TOKEN", "canary")
    assert "canary" not in repr(read_settings())
