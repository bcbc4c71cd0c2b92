"""A server of files on this machine that can be told to misbehave."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Files by path, and what goes wrong with them.

    Attributes:
        files: path -> bytes.
        break_after: path -> after how many bytes the next answers break off; one number an answer.
        errors: path -> statuses that the next answers have in place of the file.
        no_ranges: whether requests for the rest of a file get all of it.
        asked: (path, Range header or None) of every request.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.break_after: dict[str, list[int]] = {}
        self.errors: dict[str, list[int]] = {}
        self.no_ranges = False
        self.asked: list[tuple[str, str | None]] = []
        self.address = ""


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Serves on a free port of the loopback address until the block ends."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            if state.errors.get(self.path):
                return self.send_error(state.errors[self.path].pop(0))
            if self.path not in state.files:
                return self.send_error(404)
            content, start = state.files[self.path], 0
            if wanted and not state.no_ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            rest = content[start:]
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            stop = state.break_after.get(self.path) or [len(rest)]
            self.wfile.write(rest[: stop.pop(0)])
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
