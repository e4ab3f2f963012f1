"""All faults of one file at once: each with its line, what was expected, and an example that passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from picojoule.quantity import InputError

from ._yaml import Document, Location


@dataclass(slots=True)
class Faults:
    """Collects the faults of one document, so that a user mends a file in one go."""

    document: Document
    found: list[InputError] = field(default_factory=list)

    def add(self, at: Location, what: str, expected: str = "", example: str = "") -> None:
        """Note one fault at the path `at`."""
        self.found.append(InputError(what, where=self.document.where(at), expected=expected, example=example))

    @contextmanager
    def at(self, location: Location, expected: str = "", example: str = "") -> Iterator[None]:
        """Turn a ValueError of the block into a fault at `location`."""
        try:
            yield
        except InputError as error:
            self.found.append(
                InputError(
                    error.what, where=error.where or self.document.where(location),
                    expected=error.expected or expected, example=error.example or example,
                )
            )  # fmt: skip
        except ValueError as error:
            self.add(location, str(error), expected, example)

    def raise_all(self) -> None:
        """Raise one InputError that lists every fault, if there is any."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise InputError("\n".join([f"{self.document.file}: {len(self.found)} faults", *map(str, self.found)]))
