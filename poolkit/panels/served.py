"""A notebook that Voila serves as a page: opening it must send no load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def is_page(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the notebook is served as a page (Voila)."""
    environment = os.environ if environment is None else environment
    return environment.get("SERVER_SOFTWARE", "").startswith("voila")


def leave_out_the_rest() -> None:
    """Have the cells after this one do nothing: what they are about has not been measured."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is not None:
        shell.input_transformers_cleanup.append(lambda lines: [])
