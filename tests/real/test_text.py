"""The real all-MiniLM-L6-v2 on real sentences."""

from pathlib import Path

import pytest
import torch

from catch11.keys.key import build_key
from catch11.modalities.text.deep import DeepTokens
from catch11.modalities.text.model import NORMALISED
from catch11.modalities.text.recoder import NoiseTokens, SpectralTokens, passages
from catch11.modalities.text.scores import read_back
from catch11.studies.nets.encoders import known_encoder
from catch11.studies.tasks.glue import load_glue

pytestmark = pytest.mark.real


def test_minilm_is_read_as_its_own_library_reads_it(assets: Path) -> None:
    """Pooling, normalisation and tokenizer: the published Spearman on STS-B test is .820."""
    model = known_encoder()
    assert (model.width, model.longest, model.pooling, model.normalise) == (384, 256, "mean", True)
    from catch11.evaluation.metrics import spearman

    part = load_glue("stsb", "test", folder=assets / "text").some(150)
    assert part.second is not None
    first, second = (
        model.answers([model.embed(model.encode(t)) for t in texts])
        for texts in (part.first, part.second)
    )
    found = spearman((first * second).sum(1), part.labels)
    assert found.low < 0.820 < found.high


def test_the_paper_recoder_has_no_null_space_here() -> None:
    space = build_key(known_encoder(), secret=bytes(32)).subspace
    values = space.spectrum  # type: ignore[attr-defined]
    assert (float(values[0]), float(values[-1])) == pytest.approx((0.5626, 8.717), abs=0.01)
    assert space.dimension == 64
    one = build_key(known_encoder(), layer=NORMALISED, rank=1, secret=bytes(32)).subspace
    assert float(one.spectrum[0]) < 1e-10 * float(one.spectrum[-1])  # type: ignore[attr-defined]


def test_deep_keeps_the_embedding_and_hides_the_words(assets: Path) -> None:
    model = known_encoder()
    key = build_key(model, secret=bytes(range(32)))
    part = load_glue("stsb", "test", folder=assets / "text").some(8)
    encoded = [model.encode(text) for text in part.first]
    clean = [model.embed(row) for row in encoded]
    made = DeepTokens(model, key)(passages(clean))
    assert made.reasons == (None,) * 8
    near = torch.cosine_similarity(
        model.answers(clean), model.answers([p.embeds for p in made.items])
    )
    assert float(near.min()) > 0.99
    assert read_back(model, encoded, clean).value.estimate == 1.0
    assert read_back(model, encoded, [p.embeds for p in made.items]).value.estimate <= 0.06
    spectral = SpectralTokens(key, psnr=0.0)(passages(clean))
    assert read_back(model, encoded, [p.embeds for p in spectral.items]).value.estimate > 0.95
    noise = NoiseTokens(key, rms=model.rms)(passages(clean))
    assert read_back(model, encoded, [p.embeds for p in noise.items]).value.estimate < 0.02
