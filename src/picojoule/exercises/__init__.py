"""The exercises of the users' documents, answered by the library when asked, and the slips of the documents."""

from ._answer import Answer as Answer
from ._answer import answer_json as answer_json
from ._answer import answer_svg as answer_svg
from ._answer import answer_text as answer_text
from ._book import Row as Row
from ._book import answer as answer
from ._book import list_exercises as list_exercises
from ._errata import Erratum as Erratum
from ._errata import list_errata as list_errata
from ._text import errata_text as errata_text
from ._text import list_text as list_text
from ._text import row_json as row_json
