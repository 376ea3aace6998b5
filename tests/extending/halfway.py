"""An attack from outside the package: half of what was released, half of what public items are like."""

from collections.abc import Iterator

import torch

from catch11.attacks.frame import Attack, Attempt, Material, register

SEEN: list[Material] = []


@register
class Halfway(Attack):
    """The released items moved towards the mean of public ones."""

    name = "halfway"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})
    modalities = frozenset({"image", "audio"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        SEEN.append(material)
        assert material.public is not None
        usual = material.public.mean(0)
        for share in (0.0, 0.5):
            restored = (1 - share) * material.released + share * usual
            yield Attempt(setting=f"{share:.0%} of the way", restored=restored)
