"""Two machines of the literature in shape, with weights relative to one MAC; for tests and for timing only."""

from picojoule.mapping import Accelerator, Array, Level, SpatialAxis, contraction, per_level

ROLES = ("input", "weight", "output")


def eyeriss_like():
    """12 × 14 PEs, three levels: DRAM, a 128 KiB buffer for inputs and outputs, a partitioned scratchpad."""
    levels = (
        Level("DRAM", ROLES),
        Level("GLB", ("input", "output"), 131072 * 8),
        Level("spad", ROLES, None, (("input", 24 * 8), ("weight", 384 * 8), ("output", 16 * 8))),
    )
    axes = (SpatialAxis("x", 14, ("p", "q", "m", "b")), SpatialAxis("y", 12, ("c", "r", "s", "m")))
    return Accelerator("eyeriss-like", levels, Array("GLB", axes), (("input", 8), ("weight", 8), ("output", 8)))


def tpu_like():
    """32 × 32 PEs, three levels: DRAM, 2 MiB for inputs and outputs, weights and one sum in the PE."""
    levels = (
        Level("DRAM", ROLES),
        Level("SRAM", ("input", "output"), 2 * 2**20 * 8),
        Level("PE", ("weight", "output"), None, (("weight", 128 * 8), ("output", 16))),
    )
    axes = (SpatialAxis("x", 32, ("m", "p", "q")), SpatialAxis("y", 32, ("c", "r", "s")))
    return Accelerator("tpu-like", levels, Array("SRAM", axes), (("input", 8), ("weight", 8), ("output", 16)))


def weights_of(accelerator):
    """200 per word outermost, 6 at the array's side, 1 in the PE."""
    cost = dict(zip([level.name for level in accelerator.levels], (200.0, 6.0, 1.0), strict=True))
    return per_level(accelerator, 1.0, cost, cost)


def conv(name, m, c, p, r, stride=1, g=1, q=None, s=None, b=1):
    q, s = q or p, s or r
    extents = {"b": b, "g": g, "m": m, "c": c, "p": p, "q": q, "r": r, "s": s}
    axes = {
        "input": [(("b", 1),), (("g", c), ("c", 1)), (("p", stride), ("r", 1)), (("q", stride), ("s", 1))],
        "weight": [(("g", m), ("m", 1)), (("c", 1),), (("r", 1),), (("s", 1),)],
        "output": [(("b", 1),), (("g", m), ("m", 1)), (("p", 1),), (("q", 1),)],
    }
    return contraction(name, extents, axes)


RESNET50 = (
    conv("conv1", 64, 3, 112, 7, 2), conv("1.0.1", 64, 64, 56, 1), conv("1.0.2", 64, 64, 56, 3),
    conv("1.0.3", 256, 64, 56, 1), conv("1.1.1", 64, 256, 56, 1), conv("2.0.1", 128, 256, 56, 1),
    conv("2.0.2", 128, 128, 28, 3, 2), conv("2.0.3", 512, 128, 28, 1), conv("2.0.d", 512, 256, 28, 1, 2),
    conv("2.1.1", 128, 512, 28, 1), conv("2.1.2", 128, 128, 28, 3), conv("3.0.1", 256, 512, 28, 1),
    conv("3.0.2", 256, 256, 14, 3, 2), conv("3.0.3", 1024, 256, 14, 1), conv("3.0.d", 1024, 512, 14, 1, 2),
    conv("3.1.1", 256, 1024, 14, 1), conv("3.1.2", 256, 256, 14, 3), conv("4.0.1", 512, 1024, 14, 1),
    conv("4.0.2", 512, 512, 7, 3, 2), conv("4.0.3", 2048, 512, 7, 1), conv("4.0.d", 2048, 1024, 7, 1, 2),
    conv("4.1.1", 512, 2048, 7, 1), conv("4.1.2", 512, 512, 7, 3), conv("fc", 1000, 2048, 1, 1),
)  # fmt: skip
