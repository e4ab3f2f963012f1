"""Two uses of training with frozen parts: adversarial networks, and images optimised against a fixed network."""

from dataclasses import dataclass

from picojoule.workload import Workload

from ._step import training_step


@dataclass(frozen=True, slots=True)
class GanIteration:
    """MACs of one iteration of adversarial training on equal batches (Goodfellow et al. 2014).

    Discriminator's step: the generator forward, the discriminator forward and backward on real and on made samples,
    FG + 6·FD. Generator's step: its own forward and backward, the discriminator forward and backward to its input
    only, 3·FG + 2·FD. `law` is 4·FG + 8·FD; `exact` leaves out the first layers' gradients of real samples, of made
    samples in the discriminator's step, and of the noise, which nobody needs.
    """

    generator_forward: int
    discriminator_forward: int
    discriminator_step: int
    generator_step: int

    @property
    def law(self) -> int:
        """4·FG + 8·FD."""
        return 4 * self.generator_forward + 8 * self.discriminator_forward

    @property
    def exact(self) -> int:
        """Both steps without gradients that nobody needs."""
        return self.discriminator_step + self.generator_step


def gan_iteration(generator: Workload, discriminator: Workload) -> GanIteration:
    """One iteration on the batches of `generator` and `discriminator`, which must be equal in samples."""
    real = training_step(discriminator, optimiser=None).work.macs
    made = training_step(generator, optimiser=None).work.macs
    through = training_step(discriminator, optimiser=None, frozen=lambda _: True, input_gradient=True).work.macs
    forward = generator.work.macs
    return GanIteration(forward, discriminator.work.macs, forward + 2 * real, made + through)


def style_transfer_iteration(net: Workload) -> Workload:
    """Forward, and backward to the image through frozen weights: 2·F MACs (Gatys et al. 2016).

    Products of activations with activations (attention) have two gradients and count 3 times. Gram matrices are left
    out: they are another operator of the loss.
    """
    return training_step(net, optimiser=None, mode="eval", frozen=lambda _: True, input_gradient=True)
