"""MACs of training recipes from the MACs of one forward pass, and when an optimisation pays."""

import math


def gan_macs(generator: int, discriminator: int) -> tuple[int, int]:
    """MACs of the discriminator's and of the generator's step of one iteration, in forward passes G and D.

    D step: G forward, D forward on real and on made samples, each with dW and dX: G + 6 D. G step: G and D forward,
    dX alone through D, dW and dX of G: 3 G + 2 D. Together 4 G + 8 D; no first layer's dX is left out.
    I. Goodfellow et al., Generative Adversarial Nets, 2014, algorithm 1 with k = 1.
    """
    return generator + 6 * discriminator, 3 * generator + 2 * discriminator


def frozen_macs(forward: int, iterations: int = 1) -> int:
    """Frozen weights, gradient to the input: forward and dX, the first layer's too: 2 forward passes an iteration.

    L. Gatys et al., Image Style Transfer Using Convolutional Neural Networks, CVPR 2016. Left out: Gram products.
    """
    return 2 * forward * iterations


def training_macs(per_sample: int, samples: int, epochs: int) -> int:
    """MACs of a whole training: forward and backward MACs of one sample, times samples, times epochs."""
    return per_sample * samples * epochs


def break_even_runs(optimisation_j: float, before_j: float, after_j: float) -> float:
    """Runs after which an optimisation has paid: n = E_opt / (E_before − E_after); infinite if nothing is saved."""
    saved = before_j - after_j
    return optimisation_j / saved if saved > 0 else math.inf
