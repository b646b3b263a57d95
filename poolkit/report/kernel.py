"""A kernel of this very interpreter, whatever kernels are registered on the machine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from poolkit.errors import MissingExtra


@contextmanager
def own_kernel(environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """The kernel manager class for a notebook that `sys.executable` shall run.

    Args:
        environment: variables that the kernel has on top of this process's.

    Raises:
        MissingExtra: ipykernel or jupyter_client is not installed.
    """
    try:
        import ipykernel  # noqa: F401
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
    except ImportError as error:
        raise MissingExtra("ipykernel", "workbook") from error

    spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        # Without it a kernel may print a warning about frozen modules to the terminal.
        env={"PYDEVD_DISABLE_FILE_VALIDATION": "1", **(environment or {})},
    )

    class OwnSpecs(KernelSpecManager):
        """Knows one kernel: this interpreter's."""

        def get_kernel_spec(self, kernel_name: str) -> Any:
            return spec

    with tempfile.TemporaryDirectory(prefix="poolkit-kernel-") as folder:

        class OwnKernel(AsyncKernelManager):
            """Starts it; it is spoken to through files where there are such sockets."""

            def __init__(self, **kwargs: Any) -> None:
                specs = OwnSpecs()
                if os.name == "posix":  # not reachable by other users, unlike a TCP port
                    kwargs |= {"transport": "ipc", "ip": os.path.join(folder, "k")}
                super().__init__(**{**kwargs, "kernel_spec_manager": specs})

        yield OwnKernel
