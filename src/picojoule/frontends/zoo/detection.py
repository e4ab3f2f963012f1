"""R-CNN, Fast R-CNN and Faster R-CNN on the 2012 AlexNet, 21 classes: what each repeats for every proposal."""

from dataclasses import dataclass
from typing import Final

from picojoule.workload import Access, Graph, Tensor, Work, Workload, ops

from ._entry import Entry, Options
from ._image import choose_spec, run
from ._layers import act, conv, flatten, linear
from .classic import alexnet_2012_features

CLASSES: Final = 21
SIDE: Final = 227
ANCHORS: Final = 9


@dataclass(frozen=True, slots=True)
class Plan:
    """`shared`: one pass of the convolutions for all proposals. `network`: a network proposes, not a search outside."""

    proposals: int
    shared: bool = True
    network: bool = False


def detector(plan: Plan, about: str, aliases: tuple[str, ...], example: str = "") -> Entry:
    """Girshick et al. 2013 (arXiv 1311.2524), Girshick 2015 (1504.08083), Ren et al. 2015 (1506.01497)."""

    def build(name: str, options: Options) -> Workload:
        spec = choose_spec(name, options, *example.split(":")[1:])

        def body(g: Graph, x: Tensor) -> Tensor:
            _say(g, plan, spec)
            return _from_shared_maps(g, x, plan, spec) if plan.shared else _from_crops(g, x, plan, spec)

        return run(name, options, (3, SIDE, SIDE), body)

    return Entry(build, about, aliases, example)


def _say(g: Graph, plan: Plan, spec: str) -> None:
    g.notes.append(f"{plan.proposals} proposals an image, {CLASSES} classes, AlexNet of 2012 as backbone")
    if not plan.network:
        g.notes.append("the search for proposals runs outside the network and is not counted")
    elif spec == "no-rpn":
        g.notes.append("the region proposal network is left out")
    else:
        g.notes.append("the region proposal network is under the path rpn; decoding of its boxes and suppression of "
                       "overlaps depend on the data and are not counted")  # fmt: skip
    if plan.shared:
        g.notes.append("region pooling is a bound: every proposal is taken to cover the whole map")
    else:
        g.notes.append("warping a region to the input size counts its bytes, not its interpolation")
        if spec != "svm":
            g.notes.append(f"the {CLASSES} support vector machines are left out; rcnn:svm counts them")


def _from_crops(g: Graph, x: Tensor, plan: Plan, spec: str) -> Tensor:
    """R-CNN: warp each region to 227 x 227, the whole network on it, one linear machine for each class."""
    with g.repeated(plan.proposals):
        shape = (x.shape[0], 3, SIDE, SIDE)
        crop = ops.select(g, x, x.elements, shape, op="warp", name="warp")
        y = _head(g, flatten(g, alexnet_2012_features(g, crop)))
        return linear(g, y, CLASSES, name="svm") if spec == "svm" else y


def _from_shared_maps(g: Graph, x: Tensor, plan: Plan, spec: str) -> Tensor:
    """Fast R-CNN: one pass of convolutions, then region pooling to 6 x 6 and the products for each proposal."""
    maps = alexnet_2012_features(g, x, last_pool=False)
    if plan.network and spec != "no-rpn":
        with g.scope("rpn"):
            _propose(g, maps)
    with g.repeated(plan.proposals):
        with g.scope("roi_pool"):
            region = _region_pool(g, maps, 6)
        y = _head(g, flatten(g, region))
        boxes = linear(g, y, 4 * CLASSES, name="bbox_pred")
        scores = linear(g, y, CLASSES, name="cls_score")
        with g.scope("softmax"):
            scores = ops.softmax(g, scores)
    g.output(boxes)
    return scores


def _head(g: Graph, x: Tensor) -> Tensor:
    with g.scope("classifier"):
        for place in (0, 3):
            x = act(g, linear(g, x, 4096, name=str(place)), name=str(place + 1))
    return x


def _propose(g: Graph, maps: Tensor) -> None:
    """A 3 x 3 convolution as wide as the maps; two scores and four offsets for each of nine anchors."""
    hidden = act(g, conv(g, maps, maps.shape[1], 3, padding=1, name="conv"))
    scores = conv(g, hidden, 2 * ANCHORS, 1, name="cls_logits")
    with g.scope("softmax"):
        ops.softmax(g, g.view(scores, (scores.elements // 2, 2)))
    conv(g, hidden, 4 * ANCHORS, 1, name="bbox_pred")


def _region_pool(g: Graph, maps: Tensor, side: int) -> Tensor:
    """The largest value of each cell of a side x side grid over the region: at most one compare for each element."""
    batch, channels, height, width = maps.shape
    shape = (batch, channels, side, side)
    work = Work.of(compare=batch * channels * max(0, height * width - side * side))
    space = [("b", batch), ("c", channels), ("p0", side), ("p1", side)]
    # Where the region lies depends on the data: the two axes of position are open.
    read = Access(maps.name, ((("b", 1),), (("c", 1),), (), ()), maps.stored_elements)
    written = [((dim, 1),) for dim, _ in space]
    return g.emit("roi_pool", "pool", space, [read], [(shape, written)], work, dtype=maps.dtype)[0]


MODELS: Final[dict[str, Entry]] = {
    "rcnn": detector(
        Plan(2000, shared=False), "R-CNN, 2000 proposals: Girshick et al. 2013", ("r-cnn",), "rcnn:svm"
    ),
    "fast-rcnn": detector(Plan(2000), "Fast R-CNN, 2000 proposals: Girshick 2015", ("fast-r-cnn",)),
    "faster-rcnn": detector(
        Plan(300, network=True), "Faster R-CNN, 300 proposals: Ren et al. 2015", ("faster-r-cnn",),
        "faster-rcnn:no-rpn",
    ),
}  # fmt: skip
