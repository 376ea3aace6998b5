"""Text: how encoders are loaded, keyed, released for, scored and attacked."""

from catch11.modalities.frame import Action, Modality, Takes, options
from catch11.modalities.text.file import load_text, reads_text
from catch11.modalities.text.verify import verify_texts

TEXT = Modality(
    name="text",
    items="text",
    models="a text encoder",
    sources="a .csv, .tsv or .txt file, or a folder of .txt files",
    peak="",
    suffixes=frozenset({".txt", ".csv", ".tsv"}),
    claims=reads_text,
    load=load_text,
    reading=options("columns long format"),
    reader=lambda key: "the text model, whose tokenizer is needed",
    verify=Action(
        run=verify_texts,
        takes=options("rivals source target key ledger max_drop max_rival limit"),
        needs={"source": "the originals, for texts"},
    ),
    attack=Takes(
        takes=options(
            "model attacks source target records ledger limit training control seed minutes quick"
        ),
        needs={"model": "it, to attack texts", "source": "it, to attack texts"},
    ),
)
