"""catch11 serve audit verify, and serve vault rotate: the gateway's log and its master secret."""

from pathlib import Path
from typing import Annotated

import typer

from catch11.cli.frame import FINDING, Answer, command
from catch11.cli.serve_options import Db, Home, Master, open_gateway


@command("Operate", name="serve audit verify")
def verify(home: Home = None, db: Db = None, master: Master = None) -> Answer:
    """Hold every line of the audit log against the line before it.

    Exit status 1 where a line was changed, removed or swapped, or the log's head is missing. A whole older copy of the database
    cannot show: note the number of lines elsewhere.

    Example: catch11 serve audit verify
    """
    store = open_gateway(home, db, master)
    from catch11.serve.audit import check

    count, wrong = check(store)
    view = f"{count} lines hold" + (f"; {wrong}" if wrong else "")
    return Answer(facts={"lines": count, "wrong": wrong}, view=view, status=FINDING if wrong else 0)


@command("Operate", name="serve vault rotate")
def rotate(
    new_master: Annotated[
        Path, typer.Option(metavar="FILE", help="The new master secret; made if there is none.")
    ],
    home: Home = None,
    db: Db = None,
    master: Master = None,
) -> Answer:
    """Seal the vault anew under a new data key and a new master secret. Stop the gateway first.

    Example: catch11 serve vault rotate --master master --new-master master-2
    """
    store = open_gateway(home, db, master)
    from catch11.serve.master import read_master
    from catch11.serve.vault import reseal

    count = reseal(store, read_master(new_master, make=True))
    return Answer(
        facts={"keys": count}, view=f"{count} keys sealed anew; from now on: {new_master}"
    )
