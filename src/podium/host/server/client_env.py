"""What somebody pastes so that the official kaggle command talks to a host."""

from __future__ import annotations

from urllib.parse import urlsplit

from podium.errors import ConfigError


def client_env(name: str, url: str, token: str = "") -> list[str]:
    """Lines for a shell.

    The client has one address of its own that is not the real service's: http://localhost, port 80. Through HTTP_PROXY
    its requests reach any host and port, and nothing but those for localhost are served there.

    Raises:
        ConfigError: if the address is not like http://HOST:PORT.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(f"'{url}' is no address of a host", expected="http://HOST:PORT")
    address = f"{parts.hostname}:{parts.port or 80}"
    return [
        "export KAGGLE_API_ENVIRONMENT=LOCALHOST",
        f"export HTTP_PROXY=http://{address} http_proxy=http://{address}",
        "export NO_PROXY= no_proxy=",
        f"export KAGGLE_API_TOKEN={token or f'THE-TOKEN-OF-{name}'}",
        "kaggle competitions list",
    ]
