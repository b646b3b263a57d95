"""The cases: each runs something in an empty folder and returns the texts of its files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.golden import folders, produce
from tests.golden.commands import ROOT, lab, many, plain, poolkit, without_machine
from tests.golden.folders import OUT, RECORDINGS, SQL, TARGETS
from tests.golden.report_text import seen_in

EXPECTED = Path(__file__).parent / "expected"
HISTORY = RECORDINGS / "history"
DEMAND = "kept/demand/lab-cpu.csv"
Case = Callable[[Path], dict[str, str]]

COMMANDS = (
    "demo",
    "review",
    "size",
    "sweep",
    "audit",
    "probe",
    "lab",
    "doctor",
    "history",
    "observe",
)
REVIEWED = ("--targets", TARGETS, "--out", OUT)

WAIVERS = """\
[[waiver]]
target = "lab-cpu"
gate = "plateau"
owner = "ana@example.com"
reason = "the new TLS stack costs a fifth; more servers come in March"
expires = 2099-03-31
[[waiver]]
target = "lab-cpu"
gate = "size"
owner = "bo@example.com"
reason = "known"
expires = 2026-01-31
"""

# -- bad input ------------------------------------------------------------------------------------

GOOD = """\
[targets.orders-api]
driver = "aiohttp"
url = "http://127.0.0.1:9/orders"
target_rate = 500
"""
DATABASE = """\
[targets.orders-db]
driver = "asyncpg"
dsn_env = "POOLKIT_GOLDEN_UNSET"
statements = ["select 1"]
target_rate = 5
"""
BAD_FILES: Mapping[str, str | None] = {
    "no file": None,
    "empty": "",
    "no target": "allow_hosts = []\n",
    "no TOML": "[targets.orders-api",
    "unknown key": GOOD + "max_sise = 3\n",
    "unknown key of the file": "alow_hosts = []\n" + GOOD,
    "value out of range": GOOD + "max_size = 0\n",
    "wrong type": GOOD.replace("500", '"500"'),
    "several mistakes": GOOD.replace("500", "0") + "max_size = 0\nsize = 3\nheadroom = -1\n",
    "mistakes in two targets": GOOD.replace("500", "0") + DATABASE + "pause = -1\n",
    "another host": GOOD.replace("127.0.0.1", "db.internal"),
    "unknown driver": GOOD.replace("aiohttp", "aiohtp"),
    "no url": "".join(GOOD.splitlines(keepends=True)[:2]) + "target_rate = 5\n",
    "both url and urls": GOOD + 'urls = ["http://127.0.0.1:9/"]\n',
    "no url at all": GOOD.replace("http://127.0.0.1:9/orders", "orders"),
    "setting of another driver": GOOD + "pool_pre_ping = true\n",
    "statements over HTTP": GOOD + 'statements = ["select 1"]\n',
    "a header twice": GOOD + 'headers = { Accept = "a", accept = "b" }\n',
    "a variable of a header is not set": GOOD
    + 'headers = { Authorization = { env = "POOLKIT_GOLDEN_UNSET" } }\n',
    "name that is no file name": GOOD.replace("orders-api", '"orders/api"'),
    "max_rate too low": GOOD + "max_rate = 500\n",
    "max_size below the pools": GOOD + "max_size = 3\nreplicas = 4\n",
    "more than the server has": GOOD + "max_connections = 10\nmax_size = 20\n",
    "lost replicas": GOOD + "replicas = 2\nlost_replicas = 2\n",
    "zones and lost replicas": GOOD + "replicas = 4\nlost_replicas = 1\nzones = 2\n",
    "no dsn in the environment": DATABASE,
    "dsn as the name": DATABASE.replace("POOLKIT_GOLDEN_UNSET", "postgresql://u:p@h/d"),
    "dsn and dsn_env": DATABASE + 'dsn = "postgresql://u:hunter2@127.0.0.1/d"\n',
    "no statements": DATABASE.replace('["select 1"]', "[]"),
    "no such placeholder": DATABASE.replace("select 1", "select :id"),
    "parameter that is not used": DATABASE + "parameters = { id = { uniform = [1, 2] } }\n",
    "wrong draw": DATABASE.replace("select 1", "select :id")
    + "parameters = { id = { zipf = [5, 1, 1.1] } }\n",
    "work is no function": GOOD + 'work = "orders"\n',
    "unknown library": GOOD.replace("aiohttp", "httpx") + 'library = "httpx3"\n',
}
BAD_WORDS: tuple[tuple[str, ...], ...] = (
    ("revew",),
    ("review",),
    ("review", "--nonsense"),
    ("size", "order-api", *REVIEWED),
    ("review", *REVIEWED, "--only", "order-api"),
    ("sweep", "orders-api", *REVIEWED, "--sizes", "1,two"),
    ("sweep", "orders-api", *REVIEWED, "--sizes", "65"),
    ("sweep", "orders-api", *REVIEWED, "--budget", "0"),
    ("sweep", "orders-api", *REVIEWED, "--budget", "soon"),
    ("size", "orders-api", *REVIEWED, "--seed", "-1"),
    ("size", "orders-api", *REVIEWED, "--rate", "0"),
    ("size", "orders-api", *REVIEWED, "--wait", "nan"),
    ("size", "orders-apy", *REVIEWED, "--events"),
    ("review", *REVIEWED, "--since", "nowhere"),
    ("review", *REVIEWED, "--since", OUT),
    ("review", "--targets", TARGETS, "--out", TARGETS),
    ("size", "orders-api", *REVIEWED),
    ("probe", "orders-api", "--targets", TARGETS, "--only", "idel"),
    ("probe", "orders-api", "--targets", TARGETS, "--cap", "0.5"),
    ("probe", "orders-api", "--targets", TARGETS, "--in-transaction"),
    ("probe", "orders-apy", "--targets", TARGETS),
    ("review", *REVIEWED, "--history", TARGETS),
    ("history", "nowhere"),
    ("history", "nowhere", "--fail-on", "plateu,headroom"),
    ("review", *REVIEWED, "--fail-on", "headroom=20"),
    ("review", *REVIEWED, "--fail-on", "size", "--waivers", "nowhere"),
    ("review", *REVIEWED, "--fail-on", "size", "--waivers", TARGETS),
    ("review", *REVIEWED, "--fail-on", "size", "--junit", f"{TARGETS}/gates.xml"),
    ("review", *REVIEWED, "--summary", "gates.md"),
    ("audit",),
    ("audit", "nowhere"),
    ("audit", ".", "--format", "xml"),
    ("audit", ".", "--processes", "0"),
    ("lab", "--targets-out", TARGETS),
    ("demo", "--out", "."),
    ("demo", "--budget", "0"),
)


def help_of_commands(folder: Path) -> dict[str, str]:
    """`--help` of every command, and what `poolkit` alone and `--version` say."""
    asked: dict[str, tuple[str, ...]] = {"poolkit": ("--help",), "nothing": ()}
    asked |= {"version": ("--version",), **{name: (name, "--help") for name in COMMANDS}}
    ran = many(asked.values(), cwd=folder)
    return {f"{name}.txt": one.text() for name, one in zip(asked, ran, strict=True)}


def bad_files(folder: Path) -> dict[str, str]:
    """targets.toml with mistakes: exit code 2, and what is wrong."""
    commands = []
    for number, text in enumerate(BAD_FILES.values()):
        file = folder / f"{number}.toml"
        if text is not None:
            file.write_text(text, encoding="utf-8")
        commands.append(("review", "--targets", file.name, "--out", f"{number}"))
    said = ""
    for words, ran in zip(BAD_FILES, many(commands, cwd=folder), strict=True):
        # The file is named by its case and not by its number, so that a new case moves none.
        text = re.sub(r"\b\d+\.toml", "targets.toml", ran.text()).replace(ran.words[-1], "out", 1)
        said += f"# {words}\n{text}\n"
    return {"messages.txt": said}


def bad_words(folder: Path) -> dict[str, str]:
    """Arguments and options with mistakes."""
    (folder / TARGETS).write_text(GOOD, encoding="utf-8")
    return {"messages.txt": "\n".join(ran.text() for ran in many(BAD_WORDS, cwd=folder))}


# -- commands that measure nothing ----------------------------------------------------------------


def audit(folder: Path) -> dict[str, str]:
    """The cases of the rules in every format, and with every option."""
    for case in sorted((ROOT / "tests" / "audit" / "cases").glob("*.py")):
        (folder / case.name).write_text(case.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "torn.py").write_text("def torn(:\n", encoding="utf-8")
    options: tuple[str, ...] = (
        "--max-connections",
        "20",
        "--processes",
        "4",
        "--server-keepalive",
        "5",
    )
    options += ("--db-idle", "60")
    (folder / "clean").mkdir()
    (folder / "clean" / "clean.py").write_text("import aiohttp\n", encoding="utf-8")
    asked = {form: ("audit", ".", "--format", form, *options) for form in ("text", "json", "sarif")}
    asked |= {"no-options": ("audit", "."), "clean": ("audit", "clean")}
    ran = many(asked.values(), cwd=folder)
    return {f"{name}.txt": one.text() for name, one in zip(asked, ran, strict=True)}


def doctor(folder: Path) -> dict[str, str]:
    """The names of its checks: what they say is of this machine."""
    ran = poolkit("doctor", cwd=folder)
    assert ran.exit_code in (0, 1), ran.text()
    names = re.findall(r"^(?:ok|no) +(\w+)", ran.stdout, re.MULTILINE)
    return {"checks.txt": "\n".join(names) + "\n"}


def of_lab(_folder: Path) -> dict[str, str]:
    """What the lab prints, and the targets.toml that it writes."""
    printed = re.sub(r"^targets: .*", "targets: FILE", plain(lab().printed), flags=re.MULTILINE)
    return {"printed.txt": printed, "targets.toml": plain(lab().targets_toml)}


# -- measurements that find all their trials on disk ----------------------------------------------


def review(folder: Path) -> dict[str, str]:
    """The recorded review again, compared with the earlier one, with its report."""
    folders.put_recorded(folder)
    folders.put_earlier(folder)
    before = folders.trials_of(folder)
    gates = "--fail-on size,plateau,p99,headroom=20% --summary gates.md --junit gates.xml"
    words = ("review", *REVIEWED, "--since", "earlier", *gates.split())
    ran = poolkit(*words, cwd=folder, variables=folders.variables())
    assert not folders.load_sent(folder, before)
    made = {"printed.txt": ran.text(), **_files(folder, "recommended.json", "since.json")}
    for name in ("gates.md", "gates.xml"):
        made[name] = (folder / name).read_text(encoding="utf-8")
    made["folder.txt"] = "".join(f"{path.name}\n" for path in sorted((folder / OUT).iterdir()))
    page = (folder / OUT / "report.html").read_text(encoding="utf-8")
    made["report.txt"] = seen_in(page)
    endpoint = re.sub(r"//.*@", "//", lab().variables["POOLKIT_LAB_DSN"])
    folders.put_probe(folder, "lab-db", "asyncpg", endpoint, "kept-db")
    shown = produce.tables_of_folder(folder / OUT, "lab-db")
    made["tables-of-lab-db.html"] = _tables(shown)[1]
    for name in lab().targets:
        sizing = (folder / OUT / f"{name}.sizing.json").read_text(encoding="utf-8")
        made[f"{name}.sizing.json"] = sizing
    return made


def history(folder: Path) -> dict[str, str]:
    """The made history, with a review that was cut off, as a terminal and as programs have it."""
    shutil.copytree(HISTORY, folder / "kept")
    cut = folder / "kept" / "cut"
    cut.mkdir()
    (cut / "recommended.json").write_text('{"schema": "poolkit.recomm')
    all_of_it, one = (
        ("history", "kept"),
        ("history", "kept", "--target", "lab-cpu", "--csv", "history.csv", "--demand", DEMAND),
    )
    (folder / "waivers.toml").write_text(WAIVERS, encoding="utf-8")
    gates = ("--fail-on", "size,plateau=5%,p99,headroom=20%", "--waivers", "waivers.toml")
    ran = many((all_of_it, one, (*one[:4], *gates)), cwd=folder)
    made = {"printed.txt": ran[0].text(), "one-target.txt": ran[1].text()}
    made["gates.txt"] = ran[2].text()
    return made | {"history.csv": (folder / "history.csv").read_text(encoding="utf-8")}


def one_target(folder: Path) -> dict[str, str]:
    """`size` and `sweep` of one recorded target, and the events of a measuring process."""
    folders.put_recorded(folder)
    before = folders.trials_of(folder)
    made = {}
    for words in (
        ("size", "lab-http"),
        ("size", "lab-http", "--events"),
        ("sweep", "lab-cpu"),
        ("sweep", "lab-cpu", "--rate", "900"),
        ("sweep", "lab-cpu", "--rate", "300", "--wait", "0.002"),
    ):
        ran = poolkit(*words, *REVIEWED, cwd=folder, variables=folders.variables())
        made[f"{' '.join(words).replace(' --', '-').replace(' ', '-')}.txt"] = ran.text()
    assert not folders.load_sent(folder, before)
    return made | _files(folder)


HTTP_TARGETS: Mapping[str, str] = {
    "aiohttp-set": 'driver = "aiohttp"\nurl = "{url}?key=hunter2"\nkeepalive_timeout = 4\n'
    "ttl_dns_cache = 60\nmax_rate = 720\nmax_calls = 100000\n"
    'headers = { Accept = "text/plain", Authorization = { env = "GOLDEN_TOKEN" } }\n',
    "aiohttp-hosts": 'driver = "aiohttp"\nurls = ["{url}", "{url2}"]\nurl_order = "random"\n'
    'sweep = "limit"\n',
    "aiohttp-probed": 'driver = "aiohttp"\nurl = "{url}"\n',
    "httpx-set": 'driver = "httpx"\nurl = "{url}"\nkeepalive_timeout = 4\n'
    'max_keepalive_connections = 5\nheaders = { Accept = "text/plain" }\n',
    "httpx2-probed": 'driver = "httpx"\nlibrary = "httpx2"\nurl = "{url}"\n',
    "gone": 'driver = "aiohttp"\nurl = "http://127.0.0.1:9/"\n',
}
OF_HTTP = "target_rate = 600\nwait_p99 = 0.010\n"
SQL_TARGETS: Mapping[str, str] = {
    "asyncpg-gate": f'driver = "asyncpg"\n{SQL}gate = true\n',
    "asyncpg-set": f'driver = "asyncpg"\n{SQL}min_size = 2\nstatement_cache_size = 0\n'
    'reset = false\ninit = "golden_work:of_connection"\nsetup = "golden_work:of_connection"\n',
    "asyncpg-work": 'driver = "asyncpg"\ndsn_env = "POOLKIT_LAB_DSN"\n'
    'work = "golden_work:of_connection"\n',
    "sqlalchemy-set": f'driver = "sqlalchemy"\n{SQL}max_overflow = 3\npool_timeout = 5\n'
    "pool_pre_ping = true\npool_recycle = 300\npool_use_lifo = true\n",
    "sqlalchemy-probed": f'driver = "sqlalchemy"\n{SQL}',
    "psycopg-drawn": 'driver = "psycopg"\ndsn_env = "POOLKIT_LAB_DSN"\nread_only = false\n'
    'pause = 0.001\nstatements = ["select :a::int", "select :b::text"]\n'
    'parameters = { a = { zipf = [1, 9, 1.1] }, b = { choice = ["x", "y"] } }\n',
    "psycopg-probed": f'driver = "psycopg"\n{SQL}',
}
OF_SQL = "target_rate = 330\nwait_p99 = 0.010\nmax_size = 32\n"


def drivers(folder: Path) -> dict[str, str]:
    """Every driver with settings of its own, some probed, and a target that is gone."""
    targets = {name: keys + OF_HTTP for name, keys in HTTP_TARGETS.items()}
    targets |= {name: keys + OF_SQL for name, keys in SQL_TARGETS.items()}
    recorded = {name: "lab-http" if name in HTTP_TARGETS else "lab-db" for name in targets}
    folders.put_targets(folder, targets, recorded)
    (folder / OUT / "gone.trials.jsonl").unlink()
    dsn = re.sub(r"//.*@", "//", lab().variables["POOLKIT_LAB_DSN"])
    for name in targets:
        driver, _, kind = name.partition("-")
        if kind == "probed" and name in HTTP_TARGETS:
            url = lab().url("lab-http")
            folders.put_probe(folder, name, driver.removesuffix("2"), url, "kept-web")
        elif kind == "probed":
            folders.put_probe(folder, name, driver, dsn, "kept-db")
        if kind == "gate":
            folders.change_trials(folder, name, folders.with_crowd)
    return _of_drivers(folder)


def _of_drivers(folder: Path) -> dict[str, str]:
    before = folders.trials_of(folder)
    # No report, whose notebook takes long and shows nothing more of a driver.
    absent = folder / "absent"
    absent.mkdir()
    (absent / "papermill.py").write_text("raise ImportError\n", encoding="utf-8")
    ran = poolkit("review", *REVIEWED, cwd=folder, variables=folders.variables(), first=absent)
    assert not folders.load_sent(folder, before)
    for path in (folder / OUT).iterdir():
        assert b"hunter2" not in path.read_bytes(), path.name
    return {"printed.txt": ran.text(), **_files(folder)}


def _files(folder: Path, *more: str) -> dict[str, str]:
    """What a review writes beside its report; recommended.json, which is long, where asked."""
    made = {}
    for name in ("recommended.csv", "recommended.md", "pools.py", *more):
        text = plain((folder / OUT / name).read_text(encoding="utf-8"))
        # No tool for the project's own code is to find it.
        made["pools.py.txt" if name == "pools.py" else name] = text
    manifest = (folder / OUT / "manifest.json").read_text(encoding="utf-8")
    return made | {"manifest.json": without_machine(manifest)}


# -- what no command shows without load -----------------------------------------------------------

# What else a probe may find, in place of the close after 2 s that was recorded.
FOUND: Mapping[str, Mapping[str, object]] = {
    "as recorded": {},
    "closed after 75 s": {
        "timeout": 75.0,
        "bounds": [74.9, 75.1],
        "seen": "an idle connection is closed after 75 s",
    },
    "never closed": {
        "kind": "longer",
        "timeout": None,
        "bounds": None,
        "longer_than": 75.0,
        "seen": "an idle connection lives for longer than 75 s",
    },
    "at random": {
        "kind": "random",
        "timeout": None,
        "bounds": [3.0, 9.0],
        "seen": "idle connections are closed at random, after 3 s to 9 s",
    },
    "not kept": {
        "kind": "not_kept",
        "timeout": None,
        "bounds": None,
        "seen": "the server closes after each call",
    },
}
OLD_AGE = {"seconds": 60.0, "seen": "a connection in use is closed 60 s after its dial"}


def parameters(_folder: Path) -> dict[str, str]:
    """Every driver's parameters on several bases, and with what a probe found."""
    made = {}
    for driver, target in produce.DRIVERS.items():
        found = {words: produce.parameters_on(basis, target)
                 for words, basis in produce.bases().items()}  # fmt: skip
        recorded = "kept-web" if target.is_http else "kept-db"
        path = folders.RECORDINGS / "lifecycle" / f"{recorded}.probe.json"
        probe = path.read_text(encoding="utf-8")
        for words, changes in FOUND.items():
            found[f"probed: {words}"] = produce.with_probe(target, _probe(probe, changes))
        aged = _probe(probe, FOUND["never closed"], OLD_AGE)
        found["probed: closed at an age"] = produce.with_probe(target, aged)
        made[f"{driver}.txt"] = "\n".join(
            f"# {words}\n" + "".join(f"{produce.line(row)}\n" for row in rows)
            for words, rows in found.items()
        )
    return made


def _probe(recorded: str, idle: Mapping[str, object], age: Mapping[str, object] = {}) -> str:
    """The recorded probe with this found instead; without the proof of the recorded value."""
    content = json.loads(recorded)
    content["idle"] = [limit | idle for limit in content["idle"]]
    content["age"] |= age
    if idle:
        content["proof"] = None
    return json.dumps(content)


def each_driver_alone(folder: Path) -> dict[str, str]:
    """The files of one target of each driver, plain, probed, and with several sets of options."""
    made = {}
    alone = {name: (target, False) for name, target in produce.DRIVERS.items()}
    alone |= {f"{name}-probed": (target, True) for name, target in produce.DRIVERS.items()}
    alone |= {name: (target, False) for name, target in produce.VARIANTS.items()}
    for name, (target, is_probed) in alone.items():
        recorded = "kept-web" if target.is_http else "kept-db"
        path = folders.RECORDINGS / "lifecycle" / f"{recorded}.probe.json"
        probe = path.read_text(encoding="utf-8")
        produce.write_target(folder, name, target, is_probed=is_probed, probe_json=probe)
        made[f"{name}-pools.py.txt"] = (folder / "pools.py").read_text(encoding="utf-8")
        if name in produce.DRIVERS:
            text = (folder / "recommended.md").read_text(encoding="utf-8")
            made[f"{name}-recommended.md"] = text
    return made


def endings(folder: Path) -> dict[str, str]:
    """Made-up targets that end in every way: files, tables of the commands and of the report."""
    made = dict.fromkeys(("recommended.csv", "recommended.md"), "")
    for words, recommendation in produce.endings().items():
        produce.write_ending(folder, recommendation)
        for name in made:
            made[name] += f"# ---- {words}\n{(folder / name).read_text(encoding='utf-8')}\n"
    made["printed.txt"] = plain(produce.printed_endings(100))
    made["printed-80.txt"] = plain(produce.printed_endings(80))
    made["tables.md"], _ = _tables(produce.tables_of_endings())
    return made


def _tables(shown: Iterable[tuple[str, str, str]]) -> tuple[str, str]:
    """Tables as one text of Markdown, and one of HTML."""
    found = [(caption, markdown, html) for caption, markdown, html in shown]
    return (
        plain("\n".join(f"## {caption}\n\n{markdown}" for caption, markdown, _ in found)),
        plain("\n".join(f"<!-- {caption} -->\n{html}" for caption, _, html in found)),
    )


CASES: Mapping[str, Case] = {
    "review": review,
    "history": history,
    "drivers": drivers,
    "one-target": one_target,
    "bad-files": bad_files,
    "bad-words": bad_words,
    "help": help_of_commands,
    "audit": audit,
    "lab": of_lab,
    "doctor": doctor,
    "parameters": parameters,
    "each-driver-alone": each_driver_alone,
    "endings": endings,
}
