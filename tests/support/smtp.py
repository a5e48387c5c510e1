"""A mail server on the loopback interface that can misbehave."""

import socketserver
import threading
from pathlib import Path
from typing import Self

REFUSALS = {
    "recipient": "550 no such mailbox",
    "full": "552 mailbox is full",
    "over quota": "550 5.2.2 mailbox is full",
}


class MailServer:
    """A mail server whose ``mode`` may change at any time, for new connections.

    ``ok`` accepts every mail. ``tarpit`` accepts connections and does not answer. ``down`` greets
    with 554. ``data`` refuses each mail after its text. ``recipient`` and the other modes in
    ``REFUSALS`` refuse every recipient. Accepted mails are also written into ``folder``, if it is
    set.
    """

    def __init__(self, mode: str = "ok", *, port: int = 0) -> None:
        self.mode = mode
        self.folder: Path | None = None
        self.mails: list[str] = []
        self.connections = 0
        self.arrived = threading.Event()
        self._closing = threading.Event()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"smtp+plain://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server, so that it refuses connections."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release(self, mode: str = "ok") -> None:
        """Change the mode and release the connections that wait in the tarpit."""
        self.mode = mode
        self._closing.set()

    def take(self, mail: str) -> None:
        """Store an accepted mail."""
        self.mails.append(mail)
        if self.folder:
            new = self.folder / f"{len(self.mails)}.new"
            new.write_text(mail.replace("\r\n", "\n"))
            new.rename(new.with_suffix(".eml"))

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        double = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.mode = double.mode
                double.connections += 1
                if self.mode == "tarpit":
                    double.arrived.set()
                    double._closing.wait(30)
                    return
                self.say("554 no service" if self.mode == "down" else "220 double")
                while (line := self.rfile.readline().decode().strip()) and line != "QUIT":
                    self.answer(line)

            def answer(self, line: str) -> None:
                verb = line.partition(" ")[0].upper()
                if verb == "RCPT" and self.mode in REFUSALS:
                    self.say(REFUSALS[self.mode])
                elif verb == "DATA":
                    self.say("354 go on")
                    mail = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                    if self.mode == "data":
                        self.say("554 refused")
                    else:
                        double.take(mail)
                        self.say("250 taken")
                else:
                    self.say("250 double")

            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

        return Handler


FORWARD = "UPDATE accounts_outgoingmail SET due_at = '2020-01-01 00:00:00'"
