"""All open tabs, by name: they come, go on after a lost line, and end; what they had is removed with them."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from photostyle.apps.web.session import Limits, Session
from photostyle.errors import UsageError

GONE = "this page was away for too long, and its pictures are removed"


class Sessions:
    """All tabs, by the name that the page gives itself."""

    def __init__(self, limits: Limits, on_close: Callable[[Session], None] = lambda _session: None) -> None:
        self.limits, self.on_close = limits, on_close
        self._root = tempfile.TemporaryDirectory(prefix="photostyle-", ignore_cleanup_errors=True)
        self.root = Path(self._root.name)
        self.inbox = self.root / "inbox"
        self.inbox.mkdir()
        self._open: dict[str, Session] = {}
        self._gone: deque[str] = deque(maxlen=1000)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._sweep_often, name="photostyle-sweep", daemon=True).start()

    def get(self, name: str | None) -> Session:
        """Return a tab's session; a new one if it has none."""
        if not name:
            raise UsageError("the request names no session: open the page in a browser")
        with self._lock:
            if self._ended.is_set():
                raise UsageError("the server is stopping: start it again")
            session = self._open.get(name)
            if session is None and name in self._gone:  # what it had sent before must not bring it back
                raise UsageError(f"{GONE}: load the page again")
            if session is None:
                if len(self._open) >= self.limits.sessions:
                    raise UsageError(f"{len(self._open)} people are here already: try again in a few minutes")
                folder = self.root / f"tab-{secrets.token_hex(16)}"
                folder.mkdir(mode=0o700)
                session = self._open[name] = Session(folder)
            session.used = time.monotonic()
            _hear_of(session)
            return session

    def find(self, name: str | None) -> Session | None:
        """Return a tab's session if it has one, without any that is made."""
        with self._lock:
            return self._open.get(name or "")

    def file(self, key: str) -> tuple[Path, str] | None:
        """Return the file of a key and its name; None if there is none (any more)."""
        with self._lock:
            for session in self._open.values():
                if key in session.files:
                    session.used = time.monotonic()
                    return session.files[key]
        return None

    def leave(self, name: str | None) -> None:
        """Note that the line of a tab is lost: if it isn't heard of within the time of grace, it ends."""
        with self._lock:
            if session := self._open.get(name or ""):
                session.left = time.monotonic()

    def hear_of(self, name: str) -> None:
        """Note that a tab is still there, though its line was lost."""
        with self._lock:
            if session := self._open.get(name):
                _hear_of(session)

    def resume(self, before: str, name: str | None) -> Session | None:
        """Give all that a tab had to the name under which its page was loaded again."""
        with self._lock:
            if before in self._gone:
                raise UsageError(f"{GONE}: choose them again")
            if not name or name in self._open or before not in self._open:
                return None
            session = self._open[name] = self._open.pop(before)
            session.used, session.left = time.monotonic(), None
            self._gone.append(before)
            return session

    def close(self, name: str | None) -> None:
        """End a tab: its job is dropped, its folder removed."""
        with self._lock:
            session = self._open.pop(name or "", None)
        if session is not None:
            self._gone.append(name or "")
            self.on_close(session)
            shutil.rmtree(session.folder, ignore_errors=True)

    def sweep(self) -> None:
        """End the tabs that are gone or have been idle for too long, and remove what is left of old ones."""
        now = time.monotonic()
        with self._lock:
            ended = [name for name, session in self._open.items() if self._is_over(session, now)]
        for name in ended:
            self.close(name)
        with self._lock:
            used = {session.folder for session in self._open.values()}
            for folder in set(self.root.glob("tab-*")) - used:  # its job wrote a last file while it was removed
                shutil.rmtree(folder, ignore_errors=True)
        self._empty_inbox()

    def end(self) -> None:
        """End all tabs and remove every file."""
        self._ended.set()
        for name in list(self._open):
            self.close(name)
        self._root.cleanup()

    def __len__(self) -> int:
        return len(self._open)

    def _is_over(self, session: Session, now: float) -> bool:
        if session.left is not None and now - session.left > self.limits.grace:
            return True
        return not session.busy and now - session.used > self.limits.idle

    def _empty_inbox(self) -> None:
        oldest = time.time() - self.limits.inbox
        for path in self.inbox.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and path.lstat().st_mtime < oldest:
                    path.unlink()
                elif path.is_dir() and path.lstat().st_mtime < oldest:
                    path.rmdir()

    def _sweep_often(self) -> None:
        while not self._ended.wait(min(30.0, self.limits.inbox, self.limits.idle, self.limits.grace / 4)):
            self.sweep()


def _hear_of(session: Session) -> None:
    """Begin the time of grace anew, if it runs: no line would tell of the end of a tab whose line was lost before."""
    if session.left is not None:
        session.left = time.monotonic()
