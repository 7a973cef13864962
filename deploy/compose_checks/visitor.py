"""A visitor of a web chat: a WebSocket by hand, since Python brings none. Enough of RFC 6455 for texts that fit one frame."""

import json
import os
import secrets
import socket
import struct
from base64 import b64encode
from urllib.parse import urlsplit

from servers import Failed

TEXT, PING, PONG = 0x1, 0x9, 0xA


class Visitor:
    def __init__(self, gateway: str, channel: str):
        at = urlsplit(gateway)
        self.socket = socket.create_connection((at.hostname, at.port), timeout=30)
        self.socket.sendall(
            (
                f"GET /webchat/{channel}/ws?visitor={secrets.token_hex(16)}&after=0 HTTP/1.1\r\nHost: {at.netloc}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n\r\n"
            ).encode()
        )
        self.read = self.socket.makefile("rb")
        if b" 101 " not in (status := self.read.readline()):
            raise Failed(f"the web chat's socket was answered with {status!r}")
        while self.read.readline().strip():
            pass

    def say(self, client_id: str, text: str) -> None:
        self.frame(TEXT, json.dumps({"type": "message", "client_id": client_id, "text": text}).encode())

    def frame(self, kind: int, payload: bytes) -> None:
        """What a client sends is masked."""
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x80 | kind]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def hear(self, kind: str) -> dict:
        """The next of this type; others are passed over."""
        while True:
            opcode, size = self.read.read(2)
            if size == 126:
                (size,) = struct.unpack(">H", self.read.read(2))
            payload = self.read.read(size)
            if opcode & 0xF == PING:
                self.frame(PONG, payload)
            elif opcode & 0xF != TEXT:
                raise Failed(f"the web chat's socket said {opcode:#x}: {payload!r}")
            elif (frame := json.loads(payload))["type"] == kind:
                return frame
