"""Image classification and segmentation: the shelf of the zoo that joins its families."""

from typing import Final

from . import classic, inception, mobile, resnet
from ._entry import Entry

MODELS: Final[dict[str, Entry]] = {**classic.MODELS, **resnet.MODELS, **inception.MODELS, **mobile.MODELS}
