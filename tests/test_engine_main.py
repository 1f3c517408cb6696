"""`python -m engine`: the engine without a bot, with the fake engine in place of the model."""

import json
import os
import signal
import subprocess
import sys

import pytest


def engine(*arguments, faults=os.devnull, folder):
    command = [sys.executable, "-m", "engine", *arguments, "--out", str(folder)]
    environment = {"LIMNER_ENGINE": "tests.fake_engine", "LIMNER_FAKE_FAULTS": str(faults)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_every_file_is_printed_with_its_seed(tmp_path):
    printed = engine("a red car", "--seed", "7", "--n", "2", "--ar", "16:9", folder=tmp_path).stdout.splitlines()
    assert printed[0] == f"{tmp_path}/limner-7.png  seed 7  2048×1152"
    assert printed[1] == f"{tmp_path}/limner-8.png  seed 8  2048×1152"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["limner-7.png", "limner-8.png"]


def test_json_is_one_object_and_an_older_picture_stays(tmp_path):
    first, second = (engine("a red car", "-s", "7", "--quality", "draft", "--json", folder=tmp_path) for _ in "ab")
    assert json.loads(first.stdout)["images"] == [
        {"path": f"{tmp_path}/limner-7.png", "seed": 7, "width": 256, "height": 256}
    ]
    assert json.loads(second.stdout)["images"][0]["path"] == f"{tmp_path}/limner-7-2.png"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seed", "-1"], "--seed is 0 to 4294967295"),
        (["--ar", "40:1"], "--ar is W:H, 1:3 to 3:1"),
        (["--ar", "wide"], "--ar is W:H, 1:3 to 3:1"),
        (["--steps", "999"], "--steps is 1 to 60 for builtin"),
        (["--guidance", "nan"], "--guidance is 0 to 12"),
        (["--n", "5"], "invalid choice: 5"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(arguments, says, tmp_path):
    refused = engine("a red car", *arguments, folder=tmp_path)
    assert (refused.returncode, says in refused.stderr) == (2, True)


def test_a_prompt_of_10000_characters_is_refused(tmp_path):
    refused = engine("x" * 10_000, folder=tmp_path)
    assert (refused.returncode, "longer than 1500 characters" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("fault", "exit_code", "says"),
    [
        ("start", 75, "The image engine stopped"),
        ("kill 2", 75, "The image engine stopped (killed by SIGKILL"),
        ("fail bad_model", 78, "The model builtin is missing or damaged"),
        ("fail out_of_memory", 75, "try --quality draft"),
    ],
)
def test_a_failure_is_one_sentence_and_leaves_no_file(fault, exit_code, says, tmp_path):
    faults = tmp_path / "faults"
    faults.write_text(f"{fault}\n")
    failed = engine("a red car", faults=faults, folder=tmp_path)
    assert (failed.returncode, says in failed.stderr) == (exit_code, True)
    assert list(tmp_path.iterdir()) == [faults]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    failed = engine("a red car", folder=tmp_path / "file" / "out")
    assert (failed.returncode, "choose another --out" in failed.stderr) == (78, True)


@pytest.mark.parametrize(
    ("command", "number"),
    [(["engine", "a red car"], signal.SIGTERM), (["bot", "imagine", "a red car"], signal.SIGINT)],
)
def test_a_drawing_that_is_stopped_leaves_no_file(tmp_path, command, number):
    environment = {
        "LIMNER_ENGINE": "tests.fake_engine",
        "LIMNER_FAKE_STEP_SECONDS": "0.5",
        "LIMNER_DATA": str(tmp_path / "data"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--out", str(tmp_path)], env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in a shell's background ignores it
    )  # fmt: skip
    while not list(tmp_path.glob(".limner-*/0")):
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=20) == 130
    assert list(tmp_path.iterdir()) == []
