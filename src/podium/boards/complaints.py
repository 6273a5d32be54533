"""What the kaggle client complains of, as errors that say what to do."""

from __future__ import annotations

import re

from podium.errors import BoardError


class Passing(BoardError):
    """What may be over in a while: the same again, later, may well be answered."""


NETWORK = "Max retries exceeded|Failed to establish|NewConnectionError|NameResolution|Temporary failure in name|"
NETWORK += "Connection aborted|Connection reset|RemoteDisconnected|ConnectTimeout|Read timed out|Network is unreachable"
NETWORK += "|Connection refused|SSLError|ProxyError"

SLOW_DOWN = r"Too Many Requests|rate limit|429 Client"
OWN_PROBLEM = r"5\d\d Server Error|Internal Server Error|Bad Gateway|Service Unavailable|problem on Kaggle's side"

_LOGIN = "log in: kaggle auth login; or put a token of kaggle.com/settings/api into the variable KAGGLE_API_TOKEN"
_PAGE = "https://www.kaggle.com/competitions/{slug}"

_RULES: tuple[tuple[str, str, str], ...] = (
    (
        r"No module named '?six",
        "the kaggle client cannot start: it needs the package six and does not say so",
        "pip install six",
    ),
    (r"Authentication required|401 Client|Unauthori[sz]ed|Invalid credentials", "Kaggle does not know you", _LOGIN),
    (
        r"accept.{0,40}rules|rules.{0,60}accept(?!.{0,80}rules at)",
        "the rules of '{slug}' are not accepted",
        "read and accept them: " + _PAGE + "/rules; then run the same command again",
    ),
    (
        SLOW_DOWN,
        "Kaggle asks to slow down: too many requests, or the day's submissions are used up",
        "wait a while; podium standings shows what is left today",
    ),
    (
        r"(daily|submission|allowed).{0,40}(limit|exceed|quota)|quota|no submissions? (left|remaining)",
        "the day's submissions are used up",
        "podium standings shows when there are new ones; Kaggle's day begins at 00:00 UTC",
    ),
    (
        r"deadline|has (ended|closed|finished)|not accepting|submissions?.{0,20}(closed|disabled)",
        "'{slug}' takes no submission now",
        "see its page: " + _PAGE,
    ),
    (
        r"404 Client|Not Found|not found|Could not find competition",
        "Kaggle has no competition '{slug}', or it is not open to you",
        "check the name in its address: " + _PAGE,
    ),
    (
        r"403 Client|Forbidden|permission|don't have access",
        "Kaggle does not let you do that in '{slug}'",
        "join it and accept its rules: " + _PAGE + "/rules",
    ),
    (
        r"Could not submit to competition",
        "the file did not reach Kaggle: the upload broke off or was refused; nothing was counted",
        "run the same command again",
    ),
    (NETWORK, "Kaggle cannot be reached", "see that this machine reaches www.kaggle.com, and run it again"),
    (
        OWN_PROBLEM,
        "Kaggle has a problem of its own",
        "run the same command again later; nothing is lost here",
    ),
    (
        r"No space left on device|Errno 28",
        "the disk is full",
        "free some space and run the same command again; what was downloaded is kept",
    ),
    (r"Permission denied|Errno 13", "the kaggle client may not write where it has to", "see the permissions"),
)
_HINTS = re.compile(r"\n\n(You don't have access|The resource was not found|You have been rate limited).*", re.DOTALL)


def explained(said: str, slug: str = "") -> BoardError:
    """The client's complaint as one error: what it means, what it said, what to do.

    Args:
        said: All that it printed, without credentials.
        slug: The competition.
    """
    own = _HINTS.sub("", said).strip()  # its general advice would be taken for the reason
    for text in (own, said):
        for pattern, found, remedy in _RULES:
            if re.search(pattern, text, re.IGNORECASE):
                name = slug or "that name"
                kind = Passing if pattern in (SLOW_DOWN, OWN_PROBLEM, NETWORK) else BoardError
                return kind(_with(found.format(slug=name), own), remedy=remedy.format(slug=slug))
    return BoardError(f"Kaggle refused: {_last(own)}", where=f"kaggle:{slug}" if slug else "")


def _with(found: str, said: str) -> str:
    words = _last(said)
    return found if not words or len(words) > 200 or "help" in words else f"{found} ({words})"


def _last(said: str) -> str:
    """What matters of it: the first line, or the last of a traceback."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return "no reason was given"
    return (lines[-1] if lines[0].startswith("Traceback") else lines[0])[:300]
