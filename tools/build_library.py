"""Build library/built/*.json and docs/schema/*.json from the YAML of the library.

python tools/build_library.py            write what changed
python tools/build_library.py --check    fail if anything would change
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from picojoule.formats import hardware_schema, job_schema, operators_schema, technology_schema  # noqa: E402
from picojoule.formats._built import pack, write_value  # noqa: E402
from picojoule.formats._convert import Converter  # noqa: E402
from picojoule.formats._faults import Faults  # noqa: E402
from picojoule.formats._library import plain_name  # noqa: E402
from picojoule.formats._place import BUILT, LIBRARY, built  # noqa: E402
from picojoule.formats._read import read_hardware  # noqa: E402
from picojoule.formats._validate import validate  # noqa: E402
from picojoule.formats._yaml import read_document  # noqa: E402
from picojoule.hardware import Architecture  # noqa: E402
from picojoule.quantity import parse_quantity  # noqa: E402


def main() -> int:
    """Write the files, or with --check compare them; 1 if anything is out of date."""
    check = "--check" in sys.argv[1:]
    stale = [name for name, text in wanted(check) if not _same(name, text, check)]
    if check and stale:
        print("out of date, run tools/build_library.py:", *stale, sep="\n  ")
    return int(check and bool(stale))


def wanted(check: bool = False) -> list[tuple[Path, str]]:
    """Every built file with its content. Tables and catalogue come first: the laws read them."""
    files = [
        (BUILT / "_tables.json", _compact(read_document(LIBRARY / "energy" / "tables.yaml").data)),
        (BUILT / "_catalogue.json", _compact({"entries": _catalogue()})),
        (BUILT / "_dataflows.json", _compact(_dataflows())),
    ]
    for file, text in files:
        _same(file, text, check)
    built.cache_clear()
    rows: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for path in sorted((LIBRARY / "architectures").glob("*.yaml")):
        machine, technology = read_hardware(path)
        if path.stem != machine.name:
            raise SystemExit(f"{path.name} names itself {machine.name}")
        for name in (machine.name, *machine.aliases):
            for typed in {plain_name(name), plain_name(name).replace("-", "")}:
                if names.setdefault(typed, machine.name) != machine.name:
                    raise SystemExit(f"{typed!r} names both {names[typed]} and {machine.name}")
        files.append((BUILT / f"{machine.name}.json", _compact(pack(machine, technology))))
        rows.append(_row(machine))
    rows.sort(key=lambda row: (row["kind"], row["name"]))
    files.append((BUILT / "index.json", _lines({"names": dict(sorted(names.items())), "rows": rows})))
    schemas = ROOT / "docs" / "schema"
    files.append((schemas / "hardware.schema.json", json.dumps(hardware_schema(), indent=1) + "\n"))
    files.append((schemas / "technology.schema.json", json.dumps(technology_schema(), indent=1) + "\n"))
    files.append((schemas / "job.schema.json", json.dumps(job_schema(), indent=1) + "\n"))
    files.append((schemas / "operators.schema.json", json.dumps(operators_schema(), indent=1) + "\n"))
    return files


def _catalogue() -> list[Any]:
    from picojoule.formats._schema import ActionsFile

    faults = Faults(read_document(LIBRARY / "energy" / "actions.yaml"))
    model = validate(faults.document, ActionsFile, faults)
    faults.raise_all()
    convert, entries = Converter(faults, None), []
    for index, row in enumerate(model.actions):
        unit = "W" if row.per == "second" else "1" if row.per == "ratio" else "J"
        value = convert.value(row, unit, ("actions", index), row.scope)
        node = parse_quantity(row.node, "m") if row.node else None
        if value is not None:
            entries.append([row.id, row.component, row.action, row.per, write_value(value), node, row.bits])
    faults.raise_all()
    return entries


def _dataflows() -> Any:
    from picojoule.formats._schema import DataflowsFile

    faults = Faults(read_document(LIBRARY / "dataflows.yaml"))
    model = validate(faults.document, DataflowsFile, faults)
    faults.raise_all()
    return model.model_dump(mode="json")


def _row(machine: Architecture) -> dict[str, Any]:
    outermost = machine.memories[0]
    peak = {
        dtype: max(unit.peak[dtype].nominal for unit in machine.compute if dtype in unit.peak)
        for dtype in machine.dtypes
    }
    values = [machine.node, machine.max_power, machine.idle_power, *machine.facts.values()]
    values += [value for unit in machine.compute for value in (*unit.peak.values(), unit.clock)]
    values += [value for memory in machine.memories for value in (memory.size, memory.bandwidth)]
    return {
        "name": machine.name, "title": machine.title, "kind": machine.kind, "vendor": machine.vendor, "peak": peak,
        "bandwidth": outermost.bandwidth.nominal if outermost.bandwidth else None, "memory": outermost.kind,
        "size": outermost.size.nominal if outermost.size else None,
        "max_power": machine.max_power.nominal if machine.max_power else None, "year": machine.year,
        "node": machine.node.nominal if machine.node else None,
        "recalled": sum(value is not None and value.provenance == "recalled" for value in values),
        "aliases": list(machine.aliases),
    }  # fmt: skip


def _same(path: Path, text: str, check: bool) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return True
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return False


def _compact(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False) + "\n"


def _lines(index: dict[str, Any]) -> str:
    """One machine per line, so that a change of one is a change of one line."""
    rows = ",\n".join(_compact(row).strip() for row in index["rows"])
    return f'{{"names":{_compact(index["names"]).strip()},\n"rows":[\n{rows}\n]}}\n'


if __name__ == "__main__":
    raise SystemExit(main())
