"""A line between a browser and a server that can be cut: a TCP proxy in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

__all__ = ["Line"]


class Line:
    """A line that may be cut and mended; used as a context manager.

    Parameters
    ----------
    port : int
        Where the server is, on 127.0.0.1.

    Attributes
    ----------
    url : str
        What the browser opens.
    """

    def __init__(self, port: int) -> None:
        self._port, self._mine = port, 0
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self.mend()
        self.url = f"http://127.0.0.1:{self._mine}"

    def mend(self) -> None:
        """Take connections, at the same port as before."""
        self._door = socket.create_server(("127.0.0.1", self._mine))
        self._mine = self._door.getsockname()[1]
        threading.Thread(target=self._take, args=(self._door,), daemon=True).start()

    def cut(self) -> None:
        """Drop all connections, and refuse new ones."""
        _end(self._door)
        with self._lock:
            for end in self._ends:
                _end(end)
            self._ends.clear()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: Any) -> None:
        self.cut()

    def _take(self, door: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut
            while True:
                near = door.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._port))
                with self._lock:
                    self._ends |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
        with self._lock:
            self._ends -= {near, far}
        _end(near)
        _end(far)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it
    end.close()
