"""`python -m picojoule` and the `picojoule` command."""

import sys


def run() -> None:
    """Run the command line and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from picojoule._version import __version__

        sys.stdout.write(f"picojoule {__version__}\n")
        return
    from picojoule.cli import main

    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
