"""The commands as people and programs run them: real processes, the fake engine in place of the model."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import zipfile
from contextlib import contextmanager

import msgspec
import pytest

from bot import serve
from bot.errors import CannotStart
from bot.settings import Settings
from engine.catalogue import read_catalogue


@pytest.fixture
def environment(tmp_path):
    return {
        "PATH": os.environ["PATH"],
        "LIMNER_DATA": str(tmp_path / "data"),
        "LIMNER_ENGINE": "tests.fake_engine",
        "LIMNER_WEB_PORT": "0",
    }


@pytest.fixture
def limner(environment):
    def run(*arguments, cwd=None, **changes):
        command = [sys.executable, "-m", "bot", *arguments]
        changed = environment | changes
        return subprocess.run(command, capture_output=True, text=True, env=changed, timeout=60, cwd=cwd)

    return run


@contextmanager
def running(environment, **changes):
    """`limner run` with its page up."""
    command = [sys.executable, "-m", "bot", "run"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment | changes
    )
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


def lines_until(process, fragment):
    lines = []
    while not lines or fragment not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], f"it ended before it printed {fragment!r}: {process.stderr.read()}"
    return lines


def ended_by(process, number):
    process.send_signal(number)
    _, complaints = process.communicate(timeout=40)
    return process.returncode, complaints


def test_a_picture_is_drawn_and_its_file_printed_with_its_seed(limner, tmp_path):
    done = limner(
        "imagine", "a red car on a mountain road", "--seed", "7", "--ar", "16:9", "--n", "2", "--out", tmp_path
    )
    assert done.stdout.splitlines()[:2] == [
        f"{tmp_path}/limner-7.png  seed 7  2048×1152",
        f"{tmp_path}/limner-8.png  seed 8  2048×1152",
    ]


def test_json_is_one_object_and_nothing_else(limner, tmp_path):
    done = limner("imagine", "a {red, blue} car --seed 7 --quality draft", "--json", "--out", tmp_path)
    found = json.loads(done.stdout)
    assert [image["seed"] for image in found["images"]] == [7, 7]
    assert set(found["images"][0]) == {"path", "seed", "width", "height"}
    assert found["seconds"] > 0
    assert done.stderr == ""


def test_words_that_the_model_does_not_know_are_named_before_it_draws(limner, tmp_path):
    done = limner("imagine", "a zebra on a road", "--quality", "draft", "--out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "The built-in model does not know: zebra\n")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a car --stlye oil", "Unknown option `--stlye`. Did you mean `--style`?"),
        ("a car --ar 40:1", "`--ar 40:1` is out of range. 1:3 to 3:1."),
        ("a car --steps 999", "out of range"),
        ("x" * 10_000, "That prompt is too long"),
        ("a nude 12 year old", "That prompt is not allowed. That is drawn nowhere: sexual content with minors."),
    ],
)
def test_a_refused_prompt_is_one_sentence_and_exit_code_2(limner, prompt, says, tmp_path):
    refused = limner("imagine", prompt, "--out", tmp_path)
    assert (refused.returncode, says in refused.stderr, refused.stderr.count("\n")) == (2, True, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_program_reads_a_refusal_as_json(limner):
    refused = limner("imagine", "a car --ar 40:1", "--json")
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["code"] == "bad_option"


@pytest.mark.parametrize(("fault", "exit_code"), [("start", 75), ("fail bad_model", 78)])
def test_an_engine_that_fails_is_one_sentence(limner, tmp_path, fault, exit_code):
    (tmp_path / "faults").write_text(f"{fault}\n")
    failed = limner("imagine", "a car", "--out", str(tmp_path / "out"), LIMNER_FAKE_FAULTS=str(tmp_path / "faults"))
    assert (failed.returncode, failed.stderr.count("\n")) == (exit_code, 1)


def test_the_first_start_draws_a_picture_and_the_next_does_not(environment, limner):
    with running(environment) as (process, _):
        printed = lines_until(process, " · 2048×2048 · seed ")
        assert f'Drawing a first picture: "{serve.FIRST_PROMPT}"\n' in printed
        assert ended_by(process, signal.SIGTERM)[0] == 0
    with running(environment) as (process, url):
        jobs = json.load(urllib.request.urlopen(f"{url}/api/jobs"))["jobs"]
        assert [job["status"] for job in jobs] == ["delivered"]
    assert json.loads(limner("quota", "--json").stdout)["used"] == 2


def test_a_picture_that_is_being_drawn_is_finished_before_it_stops(environment):
    slow = {"LIMNER_FAKE_STEP_SECONDS": "0.05"}
    with running(environment, **slow) as (process, url), urllib.request.urlopen(f"{url}/api/events") as events:
        while b"drawing" not in events.readline():
            pass
        assert ended_by(process, signal.SIGINT)[0] == 0
    with running(environment) as (_, url):
        job = json.load(urllib.request.urlopen(f"{url}/api/jobs"))["jobs"][0]
        assert (job["status"], len(job["images"])) == ("delivered", 1)


def test_a_second_signal_ends_it_at_once_and_the_job_is_kept(environment):
    with running(environment, LIMNER_FAKE_STEP_SECONDS="10") as (process, url):
        with urllib.request.urlopen(f"{url}/api/events") as events:
            while b"loading" not in events.readline():
                pass
        process.send_signal(signal.SIGINT)
        while "stopping" not in process.stderr.readline():
            pass
        assert ended_by(process, signal.SIGINT)[0] == 1
    with running(environment) as (process, url), urllib.request.urlopen(f"{url}/api/events") as events:
        while b'"delivered"' not in events.readline():
            pass


def test_a_port_in_use_is_one_sentence(limner):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = limner("run", LIMNER_WEB_PORT=str(taken.getsockname()[1]))
    assert (failed.returncode, failed.stderr.count("\n")) == (78, 1)
    assert "set LIMNER_WEB_PORT to a free port" in failed.stderr


def test_a_second_limner_on_the_same_data_is_one_sentence(environment, limner):
    with running(environment):
        failed = limner("run")
    assert (failed.returncode, failed.stderr.count("\n")) == (78, 1)
    assert "Another Limner is running" in failed.stderr


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("LIMNER_WEB_PORT", "many", "LIMNER_WEB_PORT is set to a value that cannot be used"),
        ("LIMNER_DATA", "/proc/limner", "The data directory /proc/limner cannot be written"),
        ("LIMNER_MODEL", "nobody", "`limner models` lists what there is"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_sentence(limner, variable, value, says):
    failed = limner("run", **{variable: value})
    assert (failed.returncode, says in failed.stderr, failed.stderr.count("\n")) == (78, True, 1)


def test_a_missing_model_file_stops_the_start_with_its_name(tmp_path):
    model = msgspec.structs.replace(read_catalogue()["builtin"], packaged=False)
    with pytest.raises(CannotStart, match=r"model_index.json is missing or damaged.*limner models add builtin"):
        serve._require_model(model, Settings(models_dir=tmp_path))


def test_the_doctor_tells_what_is_wrong_and_how_to_mend_it(limner, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "limner.db").write_bytes(b"no database" * 1000)
    nowhere = {"LIMNER_DISCORD_TOKEN": "a-secret", "LIMNER_DISCORD_API_URL": "http://127.0.0.1:9"}
    found = limner("doctor", "--json", **nowhere)
    checks = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
    assert (found.returncode, checks["database"]["state"]) == (78, "fail")
    assert checks["torch"]["state"] == "ok"
    assert checks["discord"]["state"] == "warn"
    assert "a-secret" not in found.stdout


def test_a_gpu_without_a_photographic_model_is_worth_a_hint():
    assert not any("GPU" in line for line in serve.next_steps("http://here", wants_photographs=False))
    assert any("limner models add sd15" in line for line in serve.next_steps("http://here", wants_photographs=True))


def test_every_command_is_told_in_one_whole_line(limner):
    assert "..." not in limner("--help").stdout.partition("Commands:")[2]
    head, *lines = limner("models").stdout.splitlines()
    assert [line.split()[0] for line in (head, *lines)] == ["name", *read_catalogue()]


def test_somebody_who_has_left_is_shown_exported_and_erased_on_their_written_request(limner, environment, tmp_path):
    """Also of a platform that is not connected; nobody is made up for it."""
    who = "discord:123456789012345678"
    assert f"no person `@{who}`" in limner("admin", "privacy", "show", who).stderr
    limner("admin", "block", who)
    shown = limner("admin", "privacy", "show", who).stdout
    assert shown.startswith("Kept of @123456789012345678: 0 jobs, 0 pictures, 0 entries of units, id and name")
    with running(environment) as (_, url):
        urllib.request.urlopen(url, timeout=5).read()
        exported = limner("admin", "privacy", "export", who, cwd=tmp_path)
        with zipfile.ZipFile(tmp_path / "limner-export.zip") as archive:
            kept = json.loads(archive.read("limner.json"))
        assert (exported.returncode, [row["user_id"] for row in kept["identities"]]) == (0, [who.partition(":")[2]])
        asked = limner("admin", "privacy", "erase", who)
        assert (asked.returncode, f"all that is kept of {who}" in asked.stderr) == (2, True)
        erased = limner("admin", "privacy", "erase", who, "yes").stdout
        assert erased == "Somebody: known → erased · by the operator · logged #2\n"
    assert f"no person `@{who}`" in limner("admin", "privacy", "show", who).stderr


def test_the_version_is_printed(limner):
    assert limner("--version").stdout.startswith("limner 0.")


def test_orders_are_given_while_limner_runs_and_while_it_does_not(limner, environment, tmp_path):
    assert limner("admin", "quota", "default", "30", "--reason", "so many people").stdout == (
        "everyone: default → 30 units a day · `so many people` · by the operator · logged #1\n"
    )
    with running(environment) as (_, url):
        urllib.request.urlopen(url, timeout=5).read()
        said = limner("admin", "quota", "default", "40")
        assert said.stdout == "everyone: 30 → 40 units a day · by the operator · logged #2\n"
        refused = limner("admin", "quota", "default", "lots")
        assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
            2, "`lots` is not a whole number. 0 to 1,000,000."
        )  # fmt: skip
    found = json.loads(limner("admin", "quota", "show", "--json").stdout)
    assert found["answer"].splitlines()[1] == "everyone: 40 units a day"
    assert limner("admin", "frobnicate").returncode == 2
    assert "not blocked → blocked" in limner("admin", "block", "slack:T0123456:U0123456", "--reason", "spam").stdout
    unknown = limner("admin", "block", "ada")
    assert (unknown.returncode, "give an id like `discord:1234`" in unknown.stderr) == (2, True)
