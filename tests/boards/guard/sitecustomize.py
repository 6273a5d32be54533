"""On the path of every process that the tests of boards start: what would leave this machine is refused, and noted.

It hangs below everything that Python does with sockets, so the official client stays as it is.
"""

import os
import sys

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _refuse(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"  # a path: a socket of this machine
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        host = arguments[0] if event != "socket.sendto" else arguments[1][0]
    else:
        return
    if host not in LOOPBACK and host not in (None, b"localhost"):
        with open(os.environ["PODIUM_TEST_LEAKS"], "a") as f:
            f.write(f"{event} {host}\n")
        raise OSError(f"the guard of the tests: {event} to {host}")


sys.addaudithook(_refuse)
