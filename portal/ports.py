"""One port for several web processes, with a fair share of the connections for each."""

import socket
from typing import Any, Self


class SharedPort(socket.socket):
    """A bound TCP socket; every process that it is sent to opens one of its own on the same port (SO_REUSEPORT).

    From one socket that all of them listen on, the first that wakes takes every connection that waits, and keeps them:
    one process works and the others look on. With a socket each, the kernel deals the connections out.
    """

    @classmethod
    def bound(cls, host: str, port: int) -> Self:
        """Raises OSError when the address is taken or not this machine's."""
        bound = cls(socket.AF_INET6 if ":" in host else socket.AF_INET)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.set_inheritable(True)
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).bound, self.getsockname()[:2]
