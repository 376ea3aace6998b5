"""Attacks on a release: one file a family, one registry, one frame that judges."""

from catch11.attacks import blind, purify  # each registers its attacks
from catch11.attacks.frame import Attack, Attempt, Finding, Jury, Material, attack_names, register
from catch11.attacks.gather import Effort
from catch11.attacks.session import Assault, attack_release

__all__ = [
    "Assault",
    "Attack",
    "Attempt",
    "Effort",
    "Finding",
    "Jury",
    "Material",
    "attack_names",
    "attack_release",
    "blind",
    "purify",
    "register",
]
