"""Text encoders: what they answer to embeddings is what they answer to words."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertModel,
    LlamaConfig,
    LlamaForSequenceClassification,
    MobileBertConfig,
    MobileBertModel,
    T5Config,
    T5EncoderModel,
)

from catch11.errors import InvalidArgument, ModelRefused, NoFront
from catch11.modalities.known import modality_of
from catch11.modalities.text import file
from catch11.modalities.text.file import load_text
from catch11.modalities.text.model import NORMALISED, TextModel
from catch11.modalities.text.recoder import pad
from tests.calls import run
from tests.text_world import save_text_model, sentence_transformer, tokenizer

KINDS = ("bert", "roberta", "distilbert")


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return load_text(str(save_text_model(tmp_path_factory.mktemp(request.param), request.param)))


def test_embeddings_answer_as_words_do(model: TextModel) -> None:
    rows = [model.encode(text) for text in ("a man plays the guitar .", "the dog")]
    made = model.answers([model.embed(row) for row in rows])
    for row, answer in zip(rows, made, strict=True):
        with torch.no_grad():
            states = model.module(input_ids=torch.tensor([row.ids])).last_hidden_state
        assert torch.allclose(states.mean(1)[0], answer, atol=1e-5)


def test_padding_changes_nothing(model: TextModel) -> None:
    rows = [
        model.embed(model.encode(text)) for text in ("a man", "the old dog eats the red food .")
    ]
    together = model.answers(rows)
    assert torch.allclose(together[0], model.answers(rows[:1])[0], atol=1e-5)


def test_a_head_that_reads_the_last_token_is_asked_alone(tmp_path: Path) -> None:
    """A decoder's head answers a padded document by its padding, where it is given embeddings."""
    folder = tmp_path / "decoder"
    words = len(tokenizer(folder))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=words, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40, pad_token_id=0, id2label=dict(enumerate("abc")),
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer(folder).save_pretrained(folder)
    model = load_text(str(folder))
    assert model.alone
    rows = [model.encode(text) for text in ("a man", "the old dog eats the red food .", "two")]
    made = model.answers([model.embed(row) for row in rows])
    with torch.no_grad():
        for row, answer in zip(rows, made, strict=True):
            meant = model.module(input_ids=torch.tensor([row.ids])).logits[0]
            torch.testing.assert_close(answer, meant)
    passages = [model.embed(row).requires_grad_() for row in rows]
    logits = model.answer(*pad(passages))
    assert torch.autograd.grad(logits.sum(), passages[1])[0].abs().sum() > 0


def test_an_encoder_saved_without_its_decoder_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    config = T5Config(
        vocab_size=len(tokenizer(folder)), d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2
    )
    T5EncoderModel(config).save_pretrained(folder)
    tokenizer(folder).save_pretrained(folder)
    model = load_text(str(folder))
    assert model.front().weight.shape == (48, 16)
    assert not model.alone


def test_projections_of_other_widths_are_no_front(tmp_path: Path) -> None:
    """MobileBERT's value reads wider rows than its query; a key with no layer still serves deep."""
    folder = tmp_path / "mobile"
    config = MobileBertConfig(
        vocab_size=len(tokenizer(folder)), hidden_size=16, embedding_size=16, intra_bottleneck_size=8,
        num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_feedforward_networks=1,
        key_query_shared_bottleneck=True, use_bottleneck=True,
    )  # fmt: skip
    MobileBertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer(folder).save_pretrained(folder)
    model = load_text(str(folder))
    with pytest.raises(NoFront, match="it reads 8 features and the embeddings have 16"):
        model.front()
    assert model.front("none").weight.shape == (16, 16)


def test_embeddings_answered_otherwise_than_words_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_text_model(tmp_path)
    plain = BertModel.forward

    def louder(self: Any, *given: Any, inputs_embeds: Any = None, **more: Any) -> Any:
        if inputs_embeds is not None:
            inputs_embeds = 2 * inputs_embeds + 1
        return plain(self, *given, inputs_embeds=inputs_embeds, **more)

    monkeypatch.setattr(BertModel, "forward", louder)
    with pytest.raises(ModelRefused, match="answers embeddings otherwise than the words"):
        load_text(str(folder))


def test_the_front_is_the_first_blocks_projections(model: TextModel) -> None:
    front = model.front()
    assert front.weight.shape == (3 * model.width, model.width)
    states = dict(model.module.named_modules())
    names = [n for n in states if n.startswith(front.layer + ".")]
    heard: list[torch.Tensor] = []
    hooks = [
        states[n].register_forward_hook(lambda *given: heard.append(given[2][0, 0]))
        for n in names
        if isinstance(states[n], torch.nn.Linear) and states[n].out_features == model.width
    ][:3]
    given: list[torch.Tensor] = []
    first = next(n for n in names if isinstance(states[n], torch.nn.Linear))
    hooks.append(states[first].register_forward_pre_hook(lambda _, args: given.append(args[0])))
    rows = model.embed(model.encode("a man plays"))
    with torch.no_grad():
        model.answer(*pad([rows])[:2])
    for hook in hooks:
        hook.remove()
    wanted = front.apply(given[0][0, 0].double()[None, None, None]) + front.bias
    assert torch.allclose(torch.cat(heard[:3]).double(), wanted[0], atol=1e-5)


def test_what_the_norm_is_given_is_word_position_and_type(model: TextModel) -> None:
    rows = model.embed(model.encode("a man plays"))
    offset = model.before_norm(torch.zeros(1, *rows.shape))
    assert torch.allclose(model.before_norm(rows[None]), rows + offset, atol=1e-6)
    assert not torch.allclose(offset[0, 0], offset[0, 1])


def test_a_normalised_front_does_not_see_a_shift(model: TextModel) -> None:
    front = model.front(NORMALISED)
    shift = torch.ones(1, 1, 1, model.width, dtype=torch.float64)
    assert float(front.apply(shift).norm()) < 1e-9 * float(front.weight.norm())


def test_inspect_says_that_an_encoder_hides_nothing(tmp_path: Path) -> None:
    status, text = run("inspect", save_text_model(tmp_path))
    assert (status, "its sentence embedding, mean pooling" in text) == (0, True), text
    assert "verdict   none" in text


def test_layers_of_another_name_are_refused(model: TextModel) -> None:
    with pytest.raises(InvalidArgument, match="layer: expected attention, normalised or none"):
        model.front("pooler")


def test_a_head_answers_with_logits(tmp_path: Path) -> None:
    model = load_text(f"hf:{save_text_model(tmp_path, labels=3)}")
    pair = model.encode("a man", "the dog")
    assert model.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert pair.types is not None
    assert len(pair.types) == len(pair)
    answer = model.answers([model.embed(pair)], [pair.types])
    plain = model.answers([model.embed(pair)])
    with torch.no_grad():
        ids, types = torch.tensor([pair.ids]), torch.tensor([pair.types])
        wanted = model.module(input_ids=ids, token_type_ids=types).logits
    assert torch.allclose(answer, wanted, atol=1e-5)
    assert not torch.allclose(answer, plain, atol=1e-5)


def test_a_sentence_transformers_folder_says_how_to_pool(tmp_path: Path) -> None:
    mean = load_text(str(sentence_transformer(tmp_path / "mean")))
    first = load_text(str(sentence_transformer(tmp_path / "cls", pooling="cls_token")))
    rows = [mean.embed(mean.encode("a man plays the guitar"))]
    assert mean.longest == 16
    assert mean.pooling == "mean"
    assert first.pooling == "cls"
    assert torch.allclose(mean.answers(rows).norm(dim=1), torch.ones(1))
    assert not torch.allclose(mean.answers(rows), first.answers(rows), atol=1e-3)


@pytest.mark.parametrize("mode", ["cls", ["cls"], "mean"])
def test_pooling_as_newer_files_state_it(tmp_path: Path, mode: Any) -> None:
    folder = sentence_transformer(tmp_path, pooling="cls_token")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": mode}))
    prompts = {"prompts": {"query": "", "document": ""}, "default_prompt_name": None}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    assert load_text(str(folder)).pooling == (mode if isinstance(mode, str) else mode[0])


def test_what_lies_beside_a_hub_model_is_read_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sentence_transformer(tmp_path, pooling="cls_token")

    def cached(name: str, file: str) -> str:
        assert name == "me/encoder"
        if not (folder / file).is_file():
            raise OSError(f"{name} does not appear to have a file named {file}")
        return str(folder / file)

    monkeypatch.setattr("transformers.utils.cached_file", cached)
    assert file._pooling("hf:me/encoder", "me/encoder") == ("cls", True)
    assert file._json("me/encoder", "sentence_bert_config.json") == {"max_seq_length": 16}
    (folder / "modules.json").unlink()
    assert file._pooling("hf:me/encoder", "me/encoder") == ("mean", False)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"problem_type": "multi_label_classification"}, "its problem_type is multi_label"),
        ({"problem_type": "regression"}, "its problem_type is regression"),
    ],
)
def test_a_head_whose_answer_is_no_class_is_refused(
    tmp_path: Path, facts: dict[str, Any], reason: str
) -> None:
    folder = save_text_model(tmp_path, labels=3)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | facts))
    with pytest.raises(ModelRefused, match=reason):
        load_text(str(folder))


def test_a_head_of_one_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="it answers with one number; give a classifier"):
        load_text(str(save_text_model(tmp_path, labels=1)))


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("1_Pooling/config.json", json.dumps({"pooling_mode_max_tokens": True}), "its pooling is"),
        ("1_Pooling/config.json", json.dumps({"pooling_mode": "max"}), "its pooling is max;"),
        ("1_Pooling/config.json", json.dumps({"pooling_mode": ["mean", "cls"]}), "is mean, cls;"),
        ("1_Pooling/config.json", "{}", "its pooling is not stated;"),
        ("modules.json", "[{", "its modules.json is no JSON"),
        ("modules.json", json.dumps([{"type": "x.Dense"}]), "its modules.json has a Dense"),
        ("modules.json", json.dumps([{"type": "x.Transformer"}]), "lists no Pooling"),
        (
            "config_sentence_transformers.json",
            json.dumps({"prompts": {"query": "query: "}, "default_prompt_name": "query"}),
            "puts its prompt 'query' before every text",
        ),
    ],
)
def test_an_answer_that_is_not_the_models_is_refused(
    tmp_path: Path, file: str, text: str, reason: str
) -> None:
    folder = sentence_transformer(tmp_path)
    (folder / file).write_text(text)
    with pytest.raises(ModelRefused, match=reason):
        load_text(str(folder))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    folder = save_text_model(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelRefused, match="of its weights are not in the files"):
        load_text(str(folder))


def test_documents_are_cut_and_unknown_words_counted(model: TextModel) -> None:
    long = model.encode("a man plays the guitar " * 20)
    assert len(long) == model.longest
    assert long.cut == 100 + 2 - len(long)
    assert len(model.encode("a man plays", most=4)) == 4
    strange = model.encode("a xylophone plays zithers")
    assert strange.unknown == 2


def test_the_kind_follows_from_the_configuration(tmp_path: Path) -> None:
    assert modality_of(str(save_text_model(tmp_path / "b"))).name == "text"
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "config.json").write_text('{"model_type": "vit", "image_size": 224}')
    assert modality_of(str(tmp_path / "v")).name == "image"


def test_an_encoder_without_projections_has_no_front(model: TextModel) -> None:
    bare = TextModel(
        name="x", spec="x", module=torch.nn.Sequential(torch.nn.Embedding(3, 4)),
        tokenizer=None, fingerprint="", longest=4,
    )  # fmt: skip
    with pytest.raises(NoFront, match="no query, key and value"):
        bare.front()
