"""Text: how encoders are loaded, keyed, released for, scored and attacked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catch11.canvas.grid import amplitude
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.modalities.attack import attack_items
from catch11.modalities.frame import Action, Facts, Modality, Progress, Recoded, options, take
from catch11.modalities.text.deep import DeepTokens
from catch11.modalities.text.file import load_text, reads_text
from catch11.modalities.text.model import TextModel
from catch11.modalities.text.recoder import SpectralTokens, TokenRecoder
from catch11.modalities.text.verify import verify_texts
from catch11.modalities.views import summary_view
from catch11.releases.engine import release

_RECODE = (
    "method", "model", "check", "names", "ledger", "workers", "resume", "agreement", "margin", "steps",
    "radius", "client", "column", "long", "half", "psnr", "format", "device", "allow_code",
)  # fmt: skip


def recoder_of(key: Key, model: TextModel | None, asked: Mapping[str, Any]) -> TokenRecoder:
    """The recoder that the options of a command ask for; deep unless they say otherwise."""
    precise: Any = "float16" if asked.get("half") else "float32"
    if asked.get("method", "deep") == "spectral":
        # 20 dB of signal to noise is a tenth of the document's size; negative ones are not taken.
        strength = amplitude(float(asked.get("psnr", 0.0)))
        return SpectralTokens(key, strength=strength, precise=precise)
    if model is None:
        raise InvalidArgument("--method deep", expected="--model MODEL beside it", found="none")
    settings = {n: asked[n] for n in ("agreement", "margin", "steps") if n in asked}
    if "radius" in asked:
        settings["radius"] = _number(asked["radius"])
    return DeepTokens(model, key, tag=str(asked.get("client", "")), precise=precise, **settings)


def _recode(src: Path, dst: Path, key: Key, asked: Facts, progress: Progress) -> Recoded:
    given = take(asked, _RECODE, kind="text")
    if given.get("format", "tensor") != "tensor":
        raise InvalidArgument("--format", expected="tensor for text", found=given["format"])
    if "model" not in given:
        raise InvalidArgument(
            "--model", expected="the text model, whose tokenizer is needed", found="none"
        )
    model = load_text(given["model"], device=given["device"], allow_code=given["allow_code"])
    done = release(
        src, dst, recoder_of(key, model, given), model=model,
        columns=given.get("column") or (), long=given.get("long", "truncate"),
        check=model if given.get("check") else None, names=given.get("names", "keep"),
        ledger=given.get("ledger"), workers=given.get("workers") or 1,
        resume=given.get("resume", True), progress=progress,
    )  # fmt: skip
    count, unknown, cut = (done.counts.get(name, 0) for name in ("tokens", "unknown", "cut"))
    tokens = f"tokens    {count:,}, of them {unknown:,} unknown; {cut} documents cut short"
    view = summary_view(done, dst, lines=[tokens])
    return Recoded(facts=done.to_dict(), view=view)


def _number(radius: str) -> float:
    try:
        return float(radius)
    except ValueError:
        raise InvalidArgument("radius", expected="a number, for text", found=radius) from None


TEXT = Modality(
    name="text",
    items="text",
    models="a text encoder",
    sources="a .csv, .tsv or .txt file, or a folder of .txt files",
    peak="",
    suffixes=frozenset({".txt", ".csv", ".tsv"}),
    claims=reads_text,
    load=load_text,
    recode=_recode,
    verify=Action(
        run=verify_texts,
        takes=options("rivals source target key ledger max_drop max_rival limit"),
        needs={"source": "the originals, for texts"},
    ),
    attack=Action(
        run=attack_items,
        takes=options("model attacks source target records ledger limit training control seed"),
        needs={"model": "it, to attack texts", "source": "it, to attack texts"},
    ),
)
