"""Loading text encoders: a transformers or sentence-transformers folder, or a hub id."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from catch11.errors import ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.modalities.text.model import Pooling, TextModel
from catch11.models.answer import alike, named_labels
from catch11.models.frame import move
from catch11.models.hub.transformers import (
    call_loader,
    check_complete,
    check_one_class,
    hub_file,
    read_weights,
)
from catch11.models.weights import check_weights

_HEAD = "ForSequenceClassification"
_POOLS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}  # before version 6
_UNLIMITED = 1 << 20  # tokenizers without a limit say 10**30
# Kinds of model whose config names a text head too, and which read something else besides.
_OTHER = (
    "vision_config",
    "audio_config",
    "image_size",
    "patch_size",
    "feat_extract_norm",
    "num_mel_bins",
)


def reads_text(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a text encoder that this module can load."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KNOWN,
    )

    return config.get("model_type") in KNOWN and not any(name in config for name in _OTHER)


def load_text(spec: str, *, device: str = "cpu", allow_code: bool = False) -> TextModel:
    """Load a text encoder named hf:ID_OR_DIR, or by a bare folder. Raises ModelRefused.

    With a classification head its answer is the logits; without one, the sentence embedding,
    pooled as modules.json says, else the mean.
    """
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForSequenceClassification,
        AutoModelForTextEncoding,
        AutoTokenizer,
    )

    rest = spec.removeprefix("hf:")
    config = call_loader(spec, AutoConfig.from_pretrained, rest, allow_code=allow_code)
    if not reads_text(config.to_dict()):
        raise ModelRefused(spec, "it is not a text encoder")
    named = " ".join(map(str, config.architectures or ()))
    head, encoder = (
        _HEAD in named,
        named.endswith("EncoderModel"),
    )  # of a net that has a decoder too
    bare = AutoModelForTextEncoding if encoder else AutoModel
    auto = AutoModelForSequenceClassification if head else bare
    module, info = read_weights(spec, auto.from_pretrained, rest, allow_code=allow_code)
    if head:
        check_one_class(spec, config)
        if config.num_labels < 2:
            raise ModelRefused(
                spec, "it answers with one number", "give a classifier, one logit a class"
            )
    else:
        _check_prompt(spec, rest)
        _drop_pooler(module, info)
    check_complete(spec, info)
    check_weights(spec, module)
    tokenizer = call_loader(spec, AutoTokenizer.from_pretrained, rest, allow_code=allow_code)
    module = move(spec, module, device)
    alone = _alone(spec, module, config, device)
    pooling, normalise = _pooling(spec, rest)
    return TextModel(
        name=Path(rest).name or rest,
        spec=spec,
        module=module,
        tokenizer=tokenizer,
        fingerprint=module_fingerprint(module),
        longest=_longest(rest, tokenizer, config),
        labels=named_labels(spec, config.id2label, int(config.num_labels)) if head else (),
        pooling=pooling,
        normalise=normalise,
        device=device,
        alone=alone,
    )


def _drop_pooler(module: nn.Module, info: dict[str, Any]) -> None:
    """A pooler that the files do not hold is not used, so it is left out rather than drawn."""
    missing = list(info.get("missing_keys", ()))
    if missing and all(str(key).startswith("pooler.") for key in missing):
        module.pooler = None  # type: ignore[assignment]
        info["missing_keys"] = []


def _alone(spec: str, module: nn.Module, config: Any, device: str) -> bool:
    """Whether padding changes what a model answers. Raises ModelRefused for one that takes no
    embeddings, or answers them otherwise than the words that they are of."""
    try:
        table: Any = module.get_input_embeddings()  # type: ignore[operator]
        blank = getattr(config, "pad_token_id", None) or 0
        ids = (blank + torch.arange(1, 5, device=device)[None]) % len(table.weight)
        mask = torch.ones_like(ids)
        with torch.no_grad():
            worded, embeds = module(input_ids=ids, attention_mask=mask), table(ids)
            plain = _said(module(inputs_embeds=embeds, attention_mask=mask))
    except Exception as error:  # noqa: BLE001 - a stranger's model may raise anything
        text = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        raise ModelRefused(spec, f"it does not run on embeddings ({text})") from None
    if not alike(plain, _said(worded)):
        raise ModelRefused(spec, "it answers embeddings otherwise than the words that they are of")
    longer, room = nn.functional.pad(embeds, (0, 0, 0, 3)), nn.functional.pad(mask, (0, 3))
    try:
        with torch.no_grad():
            padded = _said(module(inputs_embeds=longer, attention_mask=room))
    except Exception:  # noqa: BLE001 - a stranger's model may raise anything
        return True
    return not alike(padded if padded.dim() < 3 else padded[:, : ids.shape[1]], plain)


def _said(out: Any) -> torch.Tensor:
    """The logits, or the last states."""
    said: torch.Tensor = out.logits if hasattr(out, "logits") else out[0]
    return said


def _pooling(spec: str, rest: str) -> tuple[Pooling, bool]:
    """How the sentence embedding is made, from what sentence-transformers keeps beside the weights."""
    modules = _json(rest, "modules.json")
    if not isinstance(modules, list):
        return "mean", False
    kinds = {str(m.get("type", "")).rsplit(".", 1)[-1]: m for m in modules if isinstance(m, dict)}
    odd = set(kinds) - {"Transformer", "Pooling", "Normalize"}
    if odd or "Pooling" not in kinds:
        reason = f"has a {sorted(odd)[0]}, which is not supported" if odd else "lists no Pooling"
        raise ModelRefused(spec, f"its modules.json {reason}")
    path = Path(str(kinds["Pooling"].get("path", "1_Pooling"))).name
    facts = _json(rest, f"{path}/config.json")
    asked = facts if isinstance(facts, dict) else {}
    named = asked.get(
        "pooling_mode",
        [_POOLS.get(n, n) for n in asked if asked[n] is True and n.startswith("pooling_mode_")],
    )
    chosen = [named] if isinstance(named, str) else list(named)
    if chosen not in (["mean"], ["cls"]):
        found = ", ".join(map(str, chosen)) or "not stated"
        raise ModelRefused(spec, f"its pooling is {found}; mean and cls are supported")
    return chosen[0], "Normalize" in kinds


def _check_prompt(spec: str, rest: str) -> None:
    """Raises ModelRefused where the encoder puts words of its own before every text."""
    facts = _json(rest, "config_sentence_transformers.json")
    name = facts.get("default_prompt_name") if isinstance(facts, dict) else None
    if name is not None and (facts.get("prompts") or {}).get(name):
        raise ModelRefused(
            spec, f"it puts its prompt {name!r} before every text, which is not supported",
            "write the prompt into the texts and set default_prompt_name to null",
        )  # fmt: skip


def _longest(rest: str, tokenizer: Any, config: Any) -> int:
    """Tokens the model has room for: the least of what its files say."""
    stated = _json(rest, "sentence_bert_config.json")
    sizes = [getattr(tokenizer, "model_max_length", None)]
    sizes.append(stated.get("max_seq_length") if isinstance(stated, dict) else None)
    places = getattr(config, "max_position_embeddings", None)
    if isinstance(places, int):
        # RoBERTa counts its positions from behind the padding's.
        shift = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
        sizes.append(places - shift)
    known = [int(s) for s in sizes if isinstance(s, int | float) and 2 < s < _UNLIMITED]
    return min(known, default=512)


def _json(rest: str, name: str) -> Any:
    """A file beside the weights, of a folder or of a hub id; None where there is none. Raises
    ModelRefused where it is no JSON."""
    found = hub_file(rest, name)
    try:
        return None if found is None else json.loads(found.read_text(encoding="utf-8"))
    except OSError:
        return None
    except (ValueError, RecursionError):
        raise ModelRefused(rest, f"its {name} is no JSON") from None
