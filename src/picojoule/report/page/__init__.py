"""One self-contained HTML page: where the joules, the seconds and the bytes go, and how sure that is."""

from ._page import page as page
