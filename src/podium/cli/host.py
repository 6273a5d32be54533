"""Commands about a leaderboard server: host new, serve, user, client-env, rules, rescore, backup, restore …"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table
from podium.errors import ConfigError

if TYPE_CHECKING:
    from podium.host.server.host import Host

host_app = typer.Typer(name="host", no_args_is_help=True, help="A leaderboard server of one's own.")
user_app = typer.Typer(name="user", no_args_is_help=True, help="Who may log in.")
host_app.add_typer(user_app)
app.add_typer(host_app)

FOLDER = typer.Option(
    Path("podium-host"), "--host", envvar="PODIUM_HOST", metavar="DIR", help="The host's folder, made by host new."
)


def _host(folder: Path) -> Host:
    from podium.host.server.host import Host

    return Host(folder)


@host_app.command("new")
def new(
    slug: str = typer.Argument(..., metavar="NAME", help="The competition's name in addresses and commands."),
    source: Path = typer.Option(..., "--from", metavar="DATA", help="The folder of labelled data."),
    hold_out: float = typer.Option(
        None, min=0.01, max=0.9, metavar="SHARE", help="Share of labelled samples to hide as the test set."
    ),
    public: float = typer.Option(
        0.3, min=0.01, max=0.99, metavar="SHARE", help="Share of the hidden labels that the public board scores."
    ),
    solution: Path = typer.Option(None, metavar="CSV", help="Or the hidden labels, with a column Usage."),
    description: Path = typer.Option(None, metavar="MD", help="The page that describes it; else one is begun."),
    neutral_names: bool = typer.Option(False, "--neutral-names", help="Rename the hidden samples."),
    seed: int = typer.Option(0, min=0, metavar="N", help="Seed of the hold-out."),
    folder: Path = FOLDER,
    settings: list[str] = typer.Argument(
        None, metavar="[KEY=VALUE]", help="Of competition.toml, and rules.KEY=VALUE: metric=iou rules.daily_limit=3"
    ),
    as_json: bool = JSON,
) -> None:
    """Make a competition from a folder of data.

    What competitors get is checked to hold no label of the hidden part.
    """
    from dataclasses import asdict

    from podium.files import size_text
    from podium.host.server.from_data import new_competition
    from podium.host.server.host import Host

    made = new_competition(
        Host.make(folder), slug, source, settings or [], share=hold_out, public=public, solution=solution,
        description=description, neutral=neutral_names, seed=seed,
    )  # fmt: skip
    if as_json:
        emit(asdict(made))
    else:
        where = folder / "competitions" / slug
        print(f"made {where}: {made.files} files for competitors, {size_text(made.bytes)}")
        print(f"hidden: {made.public} samples score in public, {made.private} in private")
        for remark in made.remarks:
            print(f"note: {remark}")
        print(f"to be read and written on: {where}/rules.toml and description.md")
    next_command("podium host user add NAME", "podium host serve")


@host_app.command()
def serve(
    bind: str = typer.Option("127.0.0.1", "--bind", metavar="ADDRESS", help="0.0.0.0: reachable from other machines."),
    port: int = typer.Option(8765, min=1, max=65535, help="80: the kaggle command needs no proxy on this machine."),
    folder: Path = FOLDER,
) -> None:
    """Serve the competitions until interrupted: pages, REST, the kaggle command; one process and its graders."""
    from podium.host.server.serving import serve as run

    host = _host(folder)
    print(f"http://{bind}:{port} answers to {', '.join(host.config.hosts)} (hosts in {folder}/host.toml)", flush=True)
    next_command("podium host user add NAME, in another terminal")
    run(host, bind, port)


@user_app.command("add")
def user_add(
    name: str = typer.Argument(..., help="Letters, digits, - and _."),
    organiser: bool = typer.Option(False, "--organiser", help="May change rules and see all submissions."),
    password: bool = typer.Option(False, "--password", help="Ask for a password, for the web pages."),
    folder: Path = FOLDER,
    as_json: bool = JSON,
) -> None:
    """Add a user, and print their token, which cannot be shown again."""
    host = _host(folder)
    typed = _new_password() if password else None
    user = host.accounts.add(name, host.now(), organiser=organiser, password=typed)
    _show_token(name, host.accounts.issue(user, host.now()), as_json)


@user_app.command("token")
def user_token(
    name: str = typer.Argument(..., help="The user."),
    folder: Path = FOLDER,
    as_json: bool = JSON,
) -> None:
    """Make another token for a user."""
    host = _host(folder)
    _show_token(name, host.accounts.issue(host.accounts.find(name), host.now()), as_json)


def _new_password() -> str:
    """Asked for twice on a terminal; else the first line of what is piped in."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    typed = sys.stdin.readline().rstrip("\r\n")
    if not typed:
        raise ConfigError(
            "no password is given",
            expected="a terminal to ask on, or a line on standard input",
            remedy="podium host user password NAME < FILE",
        )
    return typed


def _show_token(name: str, token: str, as_json: bool) -> None:
    if as_json:
        emit({"user": name, "token": token})
    else:
        print(token)
    next_command(f"podium host client-env {name} (what {name} pastes before the kaggle command)")


@user_app.command("revoke")
def user_revoke(
    name: str = typer.Argument(..., help="The user."),
    folder: Path = FOLDER,
) -> None:
    """End all tokens of a user."""
    host = _host(folder)
    print(f"{host.accounts.revoke(host.accounts.find(name), host.now())} tokens of {name} are not valid any more")
    next_command(f"podium host user token {name}")


@user_app.command("password")
def user_password(
    name: str = typer.Argument(..., help="The user."),
    folder: Path = FOLDER,
) -> None:
    """Set a user's password for the web pages, and end their sessions."""
    host = _host(folder)
    user = host.accounts.find(name)
    host.accounts.set_password(user, _new_password())
    print(f"{user.name} can log in")
    next_command("podium host serve")


@user_app.command("list")
def user_list(folder: Path = FOLDER, as_json: bool = JSON) -> None:
    """All users."""
    rows = [{"name": u.name, "organiser": u.organiser} for u in _host(folder).accounts.everybody()]
    if as_json:
        emit(rows)
    else:
        table(rows, {"name": "name", "organiser": "organiser"})
    next_command("podium host user add NAME")


@host_app.command("client-env")
def client_env(
    name: str = typer.Argument(..., metavar="USER", help="The user."),
    url: str = typer.Option("http://127.0.0.1:8765", metavar="URL", help="The host's address, as the user reaches it."),
    new_token: bool = typer.Option(False, "--new-token", help="Make a token for these lines."),
    folder: Path = FOLDER,
) -> None:
    """Print the lines that a user pastes, so that the official kaggle command talks to this host."""
    from podium.host.server.client_env import client_env as lines

    host = _host(folder)
    user = host.accounts.find(name)
    print("\n".join(lines(user.name, url, host.accounts.issue(user, host.now()) if new_token else "")))


@host_app.command("rules")
def rules(
    slug: str = typer.Argument(..., metavar="NAME", help="The competition."),
    settings: list[str] = typer.Argument(None, metavar="[KEY=VALUE]", help="paused=true daily_limit=3 revealed=true …"),
    folder: Path = FOLDER,
    as_json: bool = JSON,
) -> None:
    """Show a competition's rules, or change some; a running server takes them up at once."""
    from podium.config import parse_overrides

    host = _host(folder)
    hosted = (
        host.competitions.change_rules(slug, parse_overrides(settings)) if settings else host.competitions.get(slug)
    )
    if as_json:
        emit(hosted.rules.tree())
    else:
        print(hosted.rules.to_toml(), end="")
    next_command("podium host serve")


@host_app.command("board")
def board(
    slug: str = typer.Argument(..., metavar="NAME", help="The competition."),
    private: bool = typer.Option(False, "--private", help="The private board, once it is revealed."),
    folder: Path = FOLDER,
    as_json: bool = JSON,
) -> None:
    """Show the board."""
    from podium.host.server.standings import standings

    host = _host(folder)
    rows = standings(host, host.competitions.get(slug), None, private=private)
    heads = {"rank": "rank", "name": "team", "score": "score", "entries": "entries"}
    heads |= {"medal": "medal", "shake": "shake"} if private else {}
    shown = [{key: getattr(row, key) for key in heads} for row in rows]
    if as_json:
        emit(shown)
    else:
        table(shown, heads)
    next_command("podium host rescore NAME (after a change of metric or solution)")


@host_app.command("rescore")
def rescore(
    slug: str = typer.Argument(..., metavar="NAME", help="The competition."),
    folder: Path = FOLDER,
) -> None:
    """Have all submissions graded anew by the running server; old scores stay in the record."""
    from podium.host.server.submissions import rescore as queue

    host = _host(folder)
    print(f"{queue(host, host.competitions.get(slug))} submissions are graded anew")
    next_command("podium host board NAME")


@host_app.command("backup")
def backup(
    target: Path = typer.Argument(..., metavar="DIR", help="The backup to make."),
    folder: Path = FOLDER,
) -> None:
    """Write a backup of everything, while the host is served."""
    from podium.files import size_text
    from podium.host.server.backup import back_up

    done = back_up(_host(folder), target)
    print(f"{done.folder}: {done.submissions} submissions, {size_text(done.bytes)}")
    next_command(f"podium host restore {target} NEW_DIR")


@host_app.command("restore")
def restore(
    source: Path = typer.Argument(..., metavar="BACKUP", help="The backup."),
    target: Path = typer.Argument(..., metavar="DIR", help="The host's folder to make."),
) -> None:
    """Make a host from a backup, and see that no submitted file is missing."""
    from podium.host.server.backup import restore as make

    print(f"{target}: {make(source, target).submissions} submissions")
    next_command(f"podium host serve --host {target}")
