"""catch11 serve: the gateway, over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from catch11.cli.frame import Answer, command
from catch11.cli.help import MORE
from catch11.cli.serve_options import Db, Home, Master, home_of, open_gateway


@command("Operate")
def serve(
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Of TCP.")] = 8011,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Of the network; 0.0.0.0 is all of them, behind TLS only."),
    ] = "127.0.0.1",
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Show it: EfficientNet-Lite0 authorized, from packages alone, in a folder "
            "that is gone afterwards; needs the extra demo too.",
        ),
    ] = False,
    home: Home = None,
    db: Db = None,
    master: Master = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="Jobs at a time.", rich_help_panel=MORE)
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Of the engine, within one job; what suits the recoder unless given.",
            rich_help_panel=MORE,
        ),
    ] = None,
    retain: Annotated[
        float,
        typer.Option(metavar="HOURS", help="How long finished jobs stay.", rich_help_panel=MORE),
    ] = 24.0,
    per_address: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Connections of one address at a time; a proxy in front is one.", rich_help_panel=MORE,
        ),
    ] = 250,
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of TLS, PEM; with --tls-key.", rich_help_panel=MORE),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The certificate's key, PEM.", rich_help_panel=MORE),
    ] = None,
) -> Answer:  # fmt: skip
    """Recode for others: keys and models stay here, files go out.

    What may be had by whom is said beforehand: serve key add, list, grant, revoke, rotate; serve token
    create, list, revoke; serve audit verify; serve vault rotate. Each explains itself with --help. A
    stop by Ctrl-C or a signal loses no accepted job.

    Example: catch11 serve --home gateway --master master
    """
    if demo:
        return _demo(host, port)
    folder = home_of(home)
    store = open_gateway(home, db, master)
    from catch11.serve.run import run
    from catch11.serve.service import Service
    from catch11.serve.settings import Settings

    service = Service(store, Settings(home=folder, workers=workers, threads=threads, retain=retain))
    typer.echo(f"http{'s' if certificate else ''}://{host}:{port}", err=True)
    pair = [None if one is None else str(one) for one in (certificate, tls_key)]
    run(service, host=host, port=port, certificate=pair[0], key=pair[1], per_address=per_address)
    return Answer(
        facts={"stopped": True}, view="stopped; jobs that wait are taken up at the next start"
    )


def _demo(host: str, port: int) -> Answer:
    from catch11.cli.serve_options import need_serve

    need_serve()
    from catch11.serve.demo import demo_gateway
    from catch11.serve.run import run

    typer.echo("training the smallest of the models that it compares; half a minute", err=True)
    with demo_gateway() as shown:
        address = f"http://{host}:{port}/#token={shown.token}"
        typer.echo(
            f"token    {shown.token}\nsamples  {shown.samples}\npage     {address}", err=True
        )
        typer.launch(address)
        run(shown.service, host=host, port=port)
    return Answer(facts={"stopped": True}, view="stopped; the demo's folder is gone")
