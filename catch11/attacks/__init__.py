"""Attacks on a release: one file a family, one registry, one frame that judges."""

# In the order they are run and listed; each module registers its attacks as it is imported.
from catch11.attacks import purify, views  # isort: skip
from catch11.attacks import blind, projection, probing, several  # isort: skip
from catch11.attacks import restoration, reconstruction  # isort: skip
from catch11.attacks import adaptation, counter, optimisation, training_use  # isort: skip
from catch11.attacks import unscramble, recovery  # isort: skip
from catch11.attacks import decoder, heads, inversion  # isort: skip
from catch11.attacks import detection, linear
from catch11.attacks.effort import Effort
from catch11.attacks.frame import Attack, Attempt, Finding, Jury, Material, attack_names, register
from catch11.attacks.session import Assault, attack_release

__all__ = [
    "Assault",
    "Attack",
    "Attempt",
    "Effort",
    "Finding",
    "Jury",
    "Material",
    "adaptation",
    "attack_names",
    "attack_release",
    "blind",
    "counter",
    "decoder",
    "detection",
    "heads",
    "inversion",
    "linear",
    "optimisation",
    "probing",
    "projection",
    "purify",
    "reconstruction",
    "recovery",
    "register",
    "restoration",
    "several",
    "training_use",
    "unscramble",
    "views",
]
