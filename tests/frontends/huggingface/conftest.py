"""Configurations as files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[Mapping[str, Any]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a config.json and give its path."""

    def write(values: Mapping[str, Any]) -> Path:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(values))
        return path

    return write
