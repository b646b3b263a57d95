"""The sweep panel on old and new ipykernels, in the messages that a page would send.

The thread and the loop of a callback differ between them: main thread after the running cell,
another thread at once, main thread while a cell awaits. The panel must not care.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from tests.browser.kernel import Kernel, install, kernel
from tests.browser.notebook_page import wait_until

pytestmark = pytest.mark.lab

MAKE = """
import json
from poolkit.panels import FileSource, Request, SweepPanel
panel = SweepPanel(FileSource({path!r}), request=Request("api", budget=60))
panel._repr_mimebundle_()
view = panel._view
names = ("start", "cancel", "status", "progress", "alert")
widgets = {{name: getattr(view, name).model_id for name in names}}
print(json.dumps(widgets | {{"sizes": view.form.sizes.model_id}}))
"""


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A targets.toml with one endpoint that answers."""
    file = tmp_path_factory.mktemp("kernels") / "targets.toml"
    with HttpUpstream(Workers(4, 0.005)) as api:
        file.write_text(
            f'[targets.api]\ndriver = "aiohttp"\nurl = "{api.url}"\ntarget_rate = 200\n'
            "max_size = 8\n",
            encoding="utf-8",
        )
        yield file


@pytest.mark.parametrize("version", ["6.31.0", "7.3.0", "current"])
def test_clicks_do_the_same_on_every_ipykernel(
    version: str, targets: Path, request: pytest.FixtureRequest
) -> None:
    """Start, Cancel and a mistake, over a subshell where there are any, and while a cell awaits."""
    environment = {"PYTHONWARNINGS": "ignore"}
    if version != "current":
        assert request.config.cache is not None
        folder = Path(request.config.cache.mkdir(f"ipykernel-{version}"))
        trouble = install(version, folder)
        if trouble is not None:
            assert not os.environ.get("CI"), trouble
            pytest.skip(f"ipykernel {version} cannot be installed here: {trouble}")
        environment["PYTHONPATH"] = str(folder)
    with kernel(environment) as under_test:
        if version != "current":
            assert under_test.version == version
        widgets = json.loads(under_test.run(MAKE.format(path=str(targets))))
        steer(under_test, widgets)
        # Once more while a cell awaits: at once or after it, but right.
        under_test.start("import asyncio\nawait asyncio.sleep(1)")
        steer(under_test, widgets)
        if under_test.open_subshell():
            steer(under_test, widgets)
        assert under_test.run("print(panel.run.story.phase)") == "cancelled\n"


def steer(page: Kernel, widgets: dict[str, str]) -> None:
    """Click Start, see it run, cancel it, then make a mistake and see it told."""
    page.set(widgets["sizes"], "")
    page.click(widgets["start"])
    page.wait_shown(widgets["progress"], lambda words: "<progress" in words and "value=" in words)
    pid = int(page.run("print(panel.run.pid)"))
    assert psutil.pid_exists(pid)
    page.click(widgets["cancel"])
    page.wait_shown(widgets["status"], lambda words: "api: cancelled" in words)
    wait_until(lambda: not psutil.pid_exists(pid), "the end of the child")
    page.set(widgets["sizes"], "two")
    page.click(widgets["start"])
    told = page.wait_shown(widgets["alert"], lambda words: "two" in words)
    assert 'role="alert"' in told
    assert "1, 2, 4, 8" in told
    page.set(widgets["sizes"], "1, 2")
    page.run("panel.guarded(lambda: None)")  # a click that does nothing takes the alert away
    page.wait_shown(widgets["alert"], lambda words: 'role="alert"' not in words)
