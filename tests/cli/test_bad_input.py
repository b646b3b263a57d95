"""Every request that cannot be carried out: one message with its remedy, exit 2, nothing sent."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poolkit.cli.application import app
from poolkit.cli.reviewing import MARK
from poolkit.errors import BadInput
from poolkit.events import Done, Failed, from_line
from poolkit.measure.store import make_anew
from poolkit.review.export import read_recommended, write_recommended
from tests.cli import recorded
from tests.recommend import examples

GOOD = """
[targets.orders-api]
driver = "aiohttp"
url = "http://127.0.0.1:9/orders"
target_rate = 500
"""


def run(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.mark.parametrize("command", ["review", "size", "sweep"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["no such file", "targets.example.toml"]),
        ("[targets.orders-api", ["is not TOML"]),
        (GOOD + "max_sise = 3\n", ["max_sise: unknown key", "did you mean max_size?"]),
        (GOOD + "max_size = 0\n", ["max_size: must be 1 or more, got 0"]),
        (GOOD.replace("= 500", "= 0"), ["target_rate: must be more than 0, got 0"]),
        (
            GOOD.replace("= 500", "= 0") + "max_size = 0\nsize = 3\n",
            ["3 mistakes", "target_rate", "max_size", "size: unknown key"],
        ),
        (GOOD.replace("127.0.0.1", "db.internal"), ["db.internal", "allow_hosts"]),
        (
            '[targets.orders-api]\ndriver = "asyncpg"\ndsn_env = "POOLKIT_TEST_UNSET"\n'
            'statements = ["select 1"]\ntarget_rate = 5\n',
            ["POOLKIT_TEST_UNSET is not set", "export POOLKIT_TEST_UNSET="],
        ),
    ],
)
def test_a_targets_file_with_mistakes(
    tmp_path: Path, command: str, content: str | None, words: list[str]
) -> None:
    """All mistakes at once on stderr, and not even the output folder is made."""
    path = tmp_path / "targets.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    name = [] if command == "review" else ["orders-api"]
    out = tmp_path / "out"
    code, stdout, stderr = run(command, *name, "--targets", str(path), "--out", str(out))
    assert code == 2
    assert stdout == ""
    assert "Traceback" not in stderr
    for word in words:
        assert word in stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["size", "order-api"], ["no such target", "did you mean orders-api?"]),
        (["sweep", "orders-api", "--sizes", "1,two"], ["--sizes", "'two'", "--sizes 1,2,4,8"]),
        (["sweep", "orders-api", "--sizes", "0"], ["--sizes", "from 1 to max_size = 64"]),
        (["sweep", "orders-api", "--sizes", "65"], ["--sizes", "from 1 to max_size = 64"]),
        (["sweep", "orders-api", "--sizes", ""], ["--sizes"]),
        (["sweep", "orders-api", "--budget", "0"], ["--budget", "got 0"]),
        (["sweep", "orders-api", "--budget", "nan"], ["--budget", "got nan"]),
        (["size", "orders-api", "--seed", "-1"], ["--seed", "got -1"]),
        (["review", "--only", "order-api"], ["no such target", "did you mean orders-api?"]),
        (["review", "--budget", "inf"], ["--budget", "got inf"]),
        (["review", "--since", "nowhere"], ["nowhere", "folder of a finished review"]),
    ],
)
def test_an_argument_out_of_range(
    tmp_path: Path, targets: Path, arguments: list[str], words: list[str]
) -> None:
    """The message names the option, the rule and the value."""
    out = tmp_path / "out"
    code, stdout, stderr = run(*arguments, "--targets", str(targets), "--out", str(out))
    assert (code, stdout) == (2, "")
    for word in words:
        assert word in stderr
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("command", ["review", "size", "sweep", "probe"])
def test_an_output_folder_that_cannot_be_written(
    tmp_path: Path, targets: Path, command: str
) -> None:
    """It is found before any target is sent a call."""
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder", encoding="utf-8")
    name = [] if command == "review" else ["orders-api"]
    code, stdout, stderr = run(
        command, *name, "--targets", str(targets), "--out", str(blocked / "out")
    )
    assert (code, stdout) == (2, "")
    assert "cannot be written" in stderr
    assert "choose a folder" in stderr


def test_trials_of_other_settings_are_not_mixed_in(tmp_path: Path, targets: Path) -> None:
    """A folder with trials of another endpoint is refused before anything is sent."""
    out = tmp_path / "out"
    out.mkdir()
    line = examples.trial(fingerprint="of another url").model_dump_json()
    (out / "orders-api.trials.jsonl").write_text(line + "\n", encoding="utf-8")
    code, _, stderr = run("review", "--targets", str(targets), "--out", str(out))
    assert code == 2
    assert "measured with other settings" in stderr
    assert [path.name for path in out.iterdir()] == ["orders-api.trials.jsonl"]


def test_since_and_out_must_be_two_folders(tmp_path: Path, targets: Path) -> None:
    """An earlier review is not written over by the one that is compared with it."""
    where = str(tmp_path)
    code, _, stderr = run("review", "--targets", str(targets), "--out", where, "--since", where)
    assert code == 2
    assert "same folder" in stderr


@pytest.mark.parametrize(
    ("driver", "missing"),
    [
        ("aiohttp", "aiohttp"),
        ("httpx", "httpx"),
        ("httpx2", "httpx2"),
        ("asyncpg", "asyncpg"),
        ("sqlalchemy", "greenlet"),
        ("psycopg", "psycopg_pool"),
    ],
)
@pytest.mark.parametrize("command", ["size", "review"])
def test_a_driver_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, driver: str, missing: str
) -> None:
    """Exit 2 with the library and the extra that holds it, before anything is sent."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == missing else find(name, *a)
    )
    path = tmp_path / "targets.toml"
    is_http = driver in ("aiohttp", "httpx", "httpx2")
    place = 'url = "http://127.0.0.1:9/"' if is_http else (
        'dsn = "postgresql://u:p@127.0.0.1:9/d"\nstatements = ["select 1"]'
    )  # fmt: skip
    named = 'driver = "httpx"\nlibrary = "httpx2"' if driver == "httpx2" else f'driver = "{driver}"'
    path.write_text(f"[targets.t]\n{named}\n{place}\ntarget_rate = 5\n", encoding="utf-8")
    name = [] if command == "review" else ["t"]
    out = tmp_path / "out"
    code, stdout, stderr = run(command, *name, "--targets", str(path), "--out", str(out))
    assert (code, stdout) == (2, "")
    assert f"{missing} is not installed" in stderr
    assert "pip install 'poolkit[drivers]'" in stderr
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("mode", ["size", "sweep"])
def test_bad_input_is_an_event_too(tmp_path: Path, mode: str) -> None:
    """With --events stdout holds events alone, also when nothing can be measured."""
    words = [mode, "x", "--targets", str(tmp_path / "none.toml"), "--out", str(tmp_path / "out")]
    code, stdout, _ = run(*words, "--events")
    assert code == 2
    failed, done = (from_line(line) for line in stdout.splitlines())
    assert isinstance(failed, Failed)
    assert "no such file" in failed.cause
    assert failed.remedy
    assert isinstance(done, Done)
    assert done.exit_code == 2


def test_an_unreachable_target_is_told_and_written(tmp_path: Path) -> None:
    """A refused connection: no load, exit 3, and the files say why."""
    import socket

    with socket.socket() as taken:
        # Bound but not listening: every dial to it is refused.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        path = tmp_path / "targets.toml"
        path.write_text(GOOD.replace(":9/", f":{port}/"), encoding="utf-8")
        out = tmp_path / "out"
        code, stdout, stderr = run("size", "orders-api", "--targets", str(path), "--out", str(out))
    assert code == 3
    assert "connection refused" in stderr
    assert "check host and port" in stderr
    assert "unreachable" in stdout
    assert "connection refused" in (out / "recommended.md").read_text(encoding="utf-8")
    assert not (out / "orders-api.trials.jsonl").exists()


def test_a_finished_result_outlives_an_attempt_without_one(tmp_path: Path, targets: Path) -> None:
    """And the other targets of the folder stay as they are."""
    done = recorded.recommendation()
    other = done.model_copy(update={"target": "users-api"})
    write_recommended(tmp_path, (other, done))
    code, _, _ = run("size", "orders-api", "--targets", str(targets), "--out", str(tmp_path))
    assert code == 3  # nothing listens there
    statuses = [(entry.target, entry.status) for entry in read_recommended(tmp_path).targets]
    assert statuses == [("users-api", "done"), ("orders-api", "done")]


@pytest.mark.parametrize("command", ["", "demo", "review", "size", "sweep", "lab", "doctor"])
def test_help_shows_examples(command: str) -> None:
    """Every command explains itself with a line to copy; no arguments at all is a question too."""
    code, stdout, _ = run(*([command, "--help"] if command else []))
    assert code == 0
    assert "poolkit " + (command or "demo") in stdout
    assert "Examples" in stdout or not command


def test_an_unknown_command_is_bad_input() -> None:
    """With the nearest one."""
    code, _, stderr = run("revew")
    assert code == 2
    assert "review" in stderr


def test_the_version() -> None:
    """As the package has it."""
    code, stdout, _ = run("--version")
    assert code == 0
    assert stdout.startswith("poolkit 0.")


def test_lab_does_not_write_over_a_file_of_the_user(tmp_path: Path, targets: Path) -> None:
    """--targets-out takes a new file, or one that a lab wrote."""
    code, stdout, stderr = run("lab", "--targets-out", str(targets))
    assert (code, stdout) == (2, "")
    assert "was not written by poolkit lab" in stderr
    assert targets.read_text(encoding="utf-8") == GOOD


def test_demo_refuses_a_folder_of_the_user(tmp_path: Path, targets: Path) -> None:
    """A folder that holds anything and was not made by the demo stays as it is."""
    code, stdout, stderr = run("demo", "--out", str(tmp_path))
    assert (code, stdout) == (2, "")
    assert "was not made by poolkit demo" in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["targets.toml"]


def test_demo_empties_its_own_folder_of_what_it_wrote(tmp_path: Path) -> None:
    """A second demo starts fresh, and a file that somebody put there is kept."""
    out = tmp_path / "demo"
    make_anew(out, MARK, "poolkit demo")
    for name in ("lab-http.trials.jsonl", "report.html", "targets.toml", "notes.txt"):
        (out / name).write_text("x", encoding="utf-8")
    make_anew(out, MARK, "poolkit demo")
    assert sorted(path.name for path in out.iterdir()) == [MARK, "notes.txt"]


def test_demo_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Before the lab is started."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be written"):
        make_anew(tmp_path / "file" / "demo", MARK, "poolkit demo")
    with pytest.raises(BadInput, match="cannot be written: File name too long"):
        make_anew(tmp_path / ("a" * 300), MARK, "poolkit demo")
    assert os.listdir(tmp_path) == ["file"]


def test_several_wrong_options_are_told_at_once(tmp_path: Path, targets: Path) -> None:
    """Each on a line with its remedy."""
    words = ["--rate", "0", "--wait", "nan", "--sizes", "0", "--budget", "0", "--seed", "-1"]
    out = tmp_path / "out"
    code, _, stderr = run(
        "sweep", "orders-api", "--targets", str(targets), "--out", str(out), *words
    )
    assert code == 2
    assert stderr.splitlines() == [
        "5 mistakes in the options",
        "  --rate must be more than 0, got 0; leave it out for the target_rate of the file",
        "  --wait must be more than 0, got nan; leave it out for the wait_p99 of the file",
        "  --sizes must be whole numbers from 1 to max_size = 64, got '0'; write them like this: "
        "--sizes 1,2,4,8",
        "  --budget must be from 1 to 3600 s, got 0; leave it out for the default",
        "  --seed must be 0 or more, got -1; leave it out for the default",
        "  correct them all; no load was sent",
    ]
    assert not out.exists()


@pytest.mark.parametrize("command", ["sweep", "size", "review"])
def test_without_out_the_results_are_in_a_folder_of_their_own(
    tmp_path: Path, targets: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The output and the help say which."""
    monkeypatch.chdir(tmp_path)
    name = [] if command == "review" else ["orders-api"]
    folder = "-".join(["poolkit", command, *name])
    code, stdout, _ = run(command, *name, "--targets", str(targets))
    assert code == 3  # nothing listens there
    assert stdout.splitlines()[0] == f"results: {folder}"
    assert (tmp_path / folder).is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder, "targets.toml"]
    _, stdout, _ = run(command, "--help")
    assert folder.replace("orders-api", "NAME") in stdout
