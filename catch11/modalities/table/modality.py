"""Tables: how models of them are loaded, keyed, released for, scored and attacked."""

from catch11.modalities.frame import Action, Modality, Takes, options
from catch11.modalities.table.model import claims, load_table
from catch11.modalities.table.verify import verify_rows

TABLE = Modality(
    name="table",
    items="tables",
    models="a model of tables",
    sources="a .csv, .tsv or .parquet file, or a folder of them",
    peak="one standard deviation",
    suffixes=frozenset({".csv", ".tsv", ".parquet"}),
    claims=claims,
    load=load_table,
    reader=lambda key: "the model, which names the columns and their units",
    verify=Action(
        run=verify_rows,
        takes=options("rivals source target key ledger max_drop max_rival seed"),
    ),
    attack=Takes(
        takes=options(
            "rivals model attacks source key public target records ledger limit training control seed "
            "minutes quick"
        ),
        needs={
            "rivals": "at least one model, to attack tables",
            "source": "the originals, to attack tables",
        },
    ),
)
