"""Sounds behind the commands: how a model of sounds gets its key, its releases and its scores."""

from functools import partial
from pathlib import Path

from catch11.data.labels import LabelsRefused
from catch11.errors import InvalidArgument
from catch11.evaluation.verify import verify
from catch11.keys.key import Key, build_key
from catch11.modalities.audio.load import load_audio
from catch11.modalities.audio.model import claims
from catch11.modalities.frame import Facts, Plug, Progress, Result, loading, take
from catch11.modalities.tries import needed_to_attack
from catch11.modalities.views import attack_result, summary_view, verification_view
from catch11.recoding.choose import options_of, recoder_for
from catch11.recoding.threads import torch_threads
from catch11.releases.engine import release

_RULES = ("energy", "tau", "cumulative", "rank", "layer")
_SPECTRAL = ("psnr", "noise", "client", "shared")
_DEEP = ("at", "steps", "radius", "agreement", "margin")
_RUN = ("names", "ledger", "workers", "resume", "check", "model", "method", "format")
_ATTACK = (
    "rival", "model", "source", "key", "public", "labels", "ledger", "limit", "seed", "attack"
)  # fmt: skip
_VERIFY = ("rival", "labels", "source", "max_drop", "max_rival", "ledger", "limit", "batch", "seed")


def sound_key(spec: str, asked: Facts, device: str, allow_code: bool) -> Key:
    """The key of a model of sounds. Raises NoFront, EmptySubspace, InvalidArgument."""
    given = take(asked, _RULES, kind="sounds")
    model = load_audio(spec, device=device, allow_code=allow_code)
    return build_key(model, **given)


def recode_sounds(src: Path, dst: Path, key: Key, asked: Facts, progress: Progress) -> Result:
    """Recode the wave files of a folder; see `release`."""
    facts, how = loading(asked)
    method = str(facts.get("method", "spectral"))
    rest = (*_RUN, *(_DEEP if method == "deep" else _SPECTRAL))
    given = take(facts, rest, kind=f"sounds with --method {method}")
    model = None
    if given.get("model") is not None:
        model = load_audio(str(given["model"]), **how)
    if not key.canvas.waveform and model is None:
        raise InvalidArgument(
            "--model", expected="the model, which makes its features of sounds", found="none"
        )
    options = options_of(
        {name: given[name] for name in (*_SPECTRAL, *_DEEP, "format") if name in given}
    )
    recoder = recoder_for(key, method=method, model=model, **options)
    with torch_threads(recoder.threads):
        done = release(
            src, dst, recoder,
            check=model if given.get("check") else None,
            names=given.get("names", "keep"), ledger=given.get("ledger"),
            workers=given.get("workers") or 1, resume=given.get("resume", True),
            model=model, progress=progress,
        )  # fmt: skip
    return Result(facts=done.to_dict(), view=summary_view(done, dst))


def verify_sounds(dst: Path, spec: str, asked: Facts, progress: Progress) -> Result:
    """Score a release of sounds: the authorized model, rivals and controls; see `matrix.verify`."""
    facts, how = loading(asked)
    key, _ = facts.pop("key", None), facts.pop("model", None)
    given = take(facts, _VERIFY, kind="sounds")
    specs = (spec, *(given.pop("rival", None) or ()))
    model, *rivals = [load_audio(s, **how) for s in specs]
    try:
        found = verify(dst, model, rivals=rivals, key=key, progress=progress, **given)
    except LabelsRefused as error:
        raise InvalidArgument("--labels", expected="usable labels", found=str(error)) from None
    view = verification_view(found, f"{found.files} files; dB with peak 2, the range of samples")
    return Result(facts=found.to_dict(), view=view, failed=found.failed)


def attack_released(dst: Path, asked: Facts, progress: Progress) -> Result:
    """Attack a release of sounds; see `attack_sounds`."""
    from catch11.modalities.audio.attacks import attack_sounds

    facts, how = loading(asked)
    given = take(facts, _ATTACK, kind="sounds")
    needed_to_attack(given, "sounds")
    rivals, model = given.pop("rival"), given.pop("model", None)
    load = partial(load_audio, **how)
    try:
        found = attack_sounds(
            dst, [load(spec) for spec in rivals], model=None if model is None else load(model),
            attacks=given.pop("attack", None),
            progress=lambda name, done, total: progress(done, total, name), **given,
        )  # fmt: skip
    except LabelsRefused as error:
        raise InvalidArgument("--labels", expected="usable labels", found=str(error)) from None
    return attack_result(found)


PLUG = Plug(
    claims=claims, key=sound_key, recode=recode_sounds, verify=verify_sounds, attack=attack_released
)
