"""Records as the commands write them: a release, attacks on it, other strengths, siblings."""

from dataclasses import replace
from typing import Any

from catch11.evaluation.interval import wilson
from catch11.evaluation.record import Condition, Record, Role

VERIFY = "catch11 verify released --model hf:deit --source photos --rival onnx:<b>.onnx"
ATTACK = "catch11 attack released --rival onnx:mobile.onnx --public pictures"
FACTS = {"method": "spectral", "format": "png8", "release": "0a1b2c3d"}
MODELS: tuple[tuple[str, Role], ...] = (
    ("deit", "authorized"), ("mobile", "ga"), ("squeeze", "ga"), ("twin", "ta"),
)  # fmt: skip
PLAIN: dict[Condition, tuple[int, ...]] = {
    "clean": (87, 82, 65, 84),
    "nte": (86, 5, 1, 30),
    "gaussian": (8, 1, 0, 6),
    "control": (87, 82, 65, 84),
}
ATTACKS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "none": (("released",), 5, 1),
    "blur": (("released",), 12, 8),
    "codec": (("released",), 9, 3),
    "blind-wiener": (("public", "released"), 58, 38),
    "blind-subspace": (("public", "released"), 42, 20),
    "average": (("others", "released"), 20, 10),
    "fine-tune": (("labels", "released"), 35, 30),
    "linear-reconstruction": (("pairs", "released"), 70, 55),
    "probe": (("key-queries", "public", "released"), 70, 56),
    "project-inpaint": (("front", "public", "released"), 80, 65),
    "training-use": (("labels", "released"), 22, 20),
}


def make(model: str, role: Role, hits: int, *, n: int = 100, **more: Any) -> Record:
    """An accuracy with its interval."""
    share = wilson(hits, n)
    facts: dict[str, Any] = {"metric": "accuracy", "command": VERIFY, "settings": FACTS} | more
    return Record(
        model=model, role=role, value=share.estimate, low=share.low, high=share.high, n=n,
        key_fingerprint="f" * 64, versions={"catch11": "0.1.0"}, **facts,
    )  # fmt: skip


def rows() -> list[Record]:
    """Everything at once."""
    found = [
        make(model, role, hits, condition=condition, psnr=None if condition == "clean" else 8.6)
        for condition, scores in PLAIN.items()
        for (model, role), hits in zip(MODELS, scores, strict=True)
    ]
    for name, (known, mobile, squeeze) in ATTACKS.items():
        facts = {**FACTS, "setting": f"{name} <best>", "tries": 8}
        more: dict[str, Any] = {
            "condition": "attack", "attack": name, "knowledge": known, "settings": facts,
            "command": ATTACK, "psnr": 20.0,
        }  # fmt: skip
        found += [make("mobile", "ga", mobile, **more), make("squeeze", "ga", squeeze, **more)]
    found.append(
        replace(
            found[-1], model="roughness detector", metric="auc", attack="detection",
            knowledge=("public", "released"),
        )
    )  # fmt: skip
    for psnr, kept, rival in ((7.0, 80, 2), (12.0, 87, 30), (16.0, 87, 60)):
        facts = {"method": "spectral", "release": f"r{psnr:.0f}"}
        found.append(make("deit", "authorized", kept, condition="nte", psnr=psnr, settings=facts))
        found.append(make("mobile", "ga", rival, condition="nte", psnr=psnr, settings=facts))
    study = "catch11 study siblings --quick"
    for drift, read in ((0.002, 86), (0.01, 84), (0.1, 60)):
        facts = {"drift": drift, "method": "spectral"}
        for condition, hits in (("clean", 86), ("nte", read)):
            more = {"condition": condition, "settings": facts, "command": study}
            found.append(make("descendant", "sibling", hits, **more))
    return found
