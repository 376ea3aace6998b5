"""A small world of texts for tests: tiny encoders with random weights, saved as their own libraries do."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaModel,
)

WORDS = ["a", "the", "man", "woman", "dog", "cat", "plays", "eats", "sees", "guitar", "piano", "food", "runs", "sings", "red", "blue", "house", ".", ",", "old", "new", "two", "is", "in", "on", "with"]  # fmt: skip
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PAIRS = [
    ("a man plays the guitar .", "the man plays a guitar .", 4.5),
    ("a dog eats food .", "the cat eats food .", 3.0),
    ("two cats run", "an unheard word", 0.5),
    ("the old house is red", "the new house is blue", 2.0),
    ("a woman sings in the house", "the woman sings", 3.5),
    ("the dog sees a cat", "a cat sees the dog", 3.0),
]


def tokenizer(folder: Path) -> BertTokenizer:
    """A word-piece tokenizer whose words are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    return BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=32)


def save_text_model(
    folder: Path, kind: str = "bert", *, seed: int = 0, width: int = 32, labels: int = 0
) -> Path:
    """A tiny encoder of a family, with a head of `labels` classes if any."""
    torch.manual_seed(seed)
    module: Any
    config: Any
    size: dict[str, Any] = {"vocab_size": len(VOCAB), "max_position_embeddings": 40}
    if kind == "distilbert":
        config = DistilBertConfig(**size, dim=width, n_layers=2, n_heads=4, hidden_dim=64)
        module = DistilBertModel(config)
    else:
        shape: dict[str, Any] = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "intermediate_size": 64, "initializer_range": 0.2}  # fmt: skip
        if kind == "roberta":
            config = RobertaConfig(**size, **shape, pad_token_id=1)
            config.num_labels = labels or config.num_labels
            module = (
                RobertaForSequenceClassification(config)
                if labels
                else RobertaModel(config, add_pooling_layer=False)
            )
        elif labels:
            config = BertConfig(**size, **shape)
            config.num_labels = labels
            module = BertForSequenceClassification(config)
        else:
            module = BertModel(BertConfig(**size, **shape), add_pooling_layer=False)
    module.eval().save_pretrained(folder)
    tokenizer(folder).save_pretrained(folder)
    return folder


def sentence_transformer(folder: Path, *, pooling: str = "mean_tokens") -> Path:
    """As `save_text_model`, with the files of a sentence-transformers folder."""
    save_text_model(folder)
    kinds = ("Transformer", "Pooling", "Normalize")
    rows = [{"idx": i, "path": f"{i}_{k}" if i else "", "type": f"sentence_transformers.models.{k}"}
            for i, k in enumerate(kinds)]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(rows))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    return folder


def pairs_csv(path: Path) -> Path:
    """The pairs as a CSV with a header."""
    lines = [f'"{a}","{b}",{score}' for a, b, score in PAIRS]
    path.write_text("\n".join(["first,second,score", *lines]) + "\n")
    return path
