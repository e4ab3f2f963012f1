"""The package as a stranger gets it: wheel and sdist, light import, typed."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("pydantic", "ruamel", "onnx", "torch", "google.protobuf")


def _python(code: str, *, cwd: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_import_is_light() -> None:
    """Bound: `import picojoule` pulls in neither numpy nor any heavier guest; it is the first use that does."""
    loaded = _python("import sys, picojoule; print(' '.join(sys.modules))").split()
    assert not [name for name in loaded if name.startswith((*HEAVY, "numpy"))]


def test_estimate_needs_only_numpy() -> None:
    """Bound: a zoo model on a shipped machine needs no reader of files."""
    loaded = _python(
        "import sys, picojoule as pj; pj.estimate('resnet50', 'h100'); print(' '.join(sys.modules))"
    ).split()
    assert not [name for name in loaded if name.startswith(HEAVY)]
    assert "numpy" in loaded


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dist/ with an sdist and the wheel made from it; from a copy, so that no build folder is left in the checkout."""
    pytest.importorskip("build")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


def test_wheel_holds_the_data(built: Path) -> None:
    """Bound: library, assets and the typing mark travel in the wheel; tests and tools do not."""
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert "picojoule/py.typed" in names
    assert sum(name.startswith("picojoule/library/architectures/") for name in names) >= 70
    assert any(name.startswith("picojoule/report/assets/") for name in names)
    assert not [name for name in names if name.startswith(("tests", "tools", "benchmarks"))]


def test_sdist_holds_the_sources(built: Path) -> None:
    """Bound: licence, readme and sources are in the sdist."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = archive.getnames()
    tails = {name.partition("/")[2] for name in names}
    assert {"LICENSE", "README.md", "pyproject.toml", "src/picojoule/__init__.py"} <= tails


def test_wheel_runs_outside_the_checkout(built: Path, tmp_path: Path) -> None:
    """Round trip: installed alone, from another folder, it estimates ResNet-50 and reads a shipped machine."""
    home = tmp_path / "env"
    venv.create(home, system_site_packages=False, with_pip=False)
    site = next((home / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(site)
    # Dependencies come from the environment that runs the tests; picojoule itself only from the wheel.
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "zz_dependencies.pth").write_text("\n".join(here) + "\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    code = "import picojoule; assert 'env' in picojoule.__file__, picojoule.__file__"
    python = home / "bin" / "python"
    subprocess.run([python, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=60)
    command = [python, "-m", "picojoule", "estimate", "resnet50", "--on", "h100,eyeriss"]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "h100" in done.stdout
