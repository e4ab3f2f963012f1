"""The one exception that means: what the user gave cannot be used, and here is what would pass."""


class InputError(ValueError):
    """Bad input: what is wrong, where, what was expected, and an example that would pass.

    The command line prints it without a traceback and exits with 2.
    """

    def __init__(self, what: str, *, where: str = "", expected: str = "", example: str = "") -> None:
        self.what, self.where, self.expected, self.example = what, where, expected, example
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected:
            lines.append(f"expected: {self.expected}")
        if self.example:
            lines.append(f"for example: {self.example}")
        return "\n".join(lines)
