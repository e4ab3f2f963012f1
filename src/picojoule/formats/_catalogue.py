"""Published energies per action, one by one: what `explain` prints and what the laws start from."""

from dataclasses import dataclass
from functools import cache

from picojoule.quantity import InputError, Value

from ._built import read_value
from ._place import built


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One published energy. `per` says of what: an "access" of `bits`, a "bit", a "byte", an "op", a "second"."""

    name: str
    component: str
    action: str
    per: str
    value: Value
    node: float | None = None  # feature size [m]
    bits: int | None = None


@cache
def read_catalogue() -> dict[str, CatalogueEntry]:
    """Every entry of library/energy/actions.yaml, by name."""
    entries = {}
    for name, component, action, per, value, node, bits in built("_catalogue")["entries"]:
        entries[name] = CatalogueEntry(name, component, action, per, read_value(value), node, bits)
    return entries


def catalogue_entry(name: str) -> CatalogueEntry:
    """One entry by name. Raises InputError with the nearest names if there is none."""
    entries = read_catalogue()
    if name not in entries:
        from difflib import get_close_matches

        near = get_close_matches(name, entries, 3, 0.3) or sorted(entries)[:3]
        raise InputError(f"no energy {name!r} in the catalogue", expected="a name of it", example=", ".join(near))
    return entries[name]
