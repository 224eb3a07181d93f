"""One kept-alive HTTP/1.1 connection, as far as DynamoDB needs one.

http.client would do; but it reads headers with the email package, which is 12 ms of a cold start,
and writes head and body apart: together a third of a warm request's processor time (measured).
"""

import socket
import ssl

_LONGEST_LINE = 65_536
_LARGEST_BODY = 20_000_000  # DynamoDB answers with 16 MB at the most


class Connection:
    """A connection to one server; after an error it is of no more use.

    Raises OSError: ConnectionError where the server hung up or said what is no HTTP.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            try:
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
            except OSError:
                self._socket.close()
                raise
        self._reader = self._socket.makefile("rb")
        self.is_open = True

    def post(self, headers: dict[str, str], body: bytes, timeout: float) -> tuple[int, bytes]:
        """The answer's status and body to `POST /`; no wait is longer than `timeout` seconds.

        `is_open` is then whether the server keeps the connection.
        """
        self._socket.settimeout(timeout)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        status, answered = self._head()
        while 100 <= status < 200:  # "wait": the answer comes yet
            status, answered = self._head()
        length = answered.get(b"content-length", b"")
        if not length.isdigit() or int(length) > _LARGEST_BODY:
            raise ConnectionError("an answer without a usable Content-Length")
        self.is_open = answered.get(b"connection", b"").lower() != b"close"
        content = self._reader.read(int(length))
        if len(content) < int(length):
            raise ConnectionError("the answer ended too early")
        return status, content

    def _head(self) -> tuple[int, dict[bytes, bytes]]:
        version, _, rest = self._line().partition(b" ")
        if version != b"HTTP/1.1" or not rest[:3].isdigit():
            raise ConnectionError("an answer that is no HTTP/1.1")
        headers: dict[bytes, bytes] = {}
        while line := self._line():
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), headers

    def _line(self) -> bytes:
        line = self._reader.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionError("the answer ended too early, or a line of it is too long")
        return line.rstrip(b"\r\n")

    def close(self) -> None:
        """The connection is closed."""
        self.is_open = False
        self._reader.close()
        self._socket.close()
