"""Clients of the network side: MCP in both eras, and answers read by hand."""
import http.client
import json
import re
import socket

from check import eq, ok
from procs import PATIENCE

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = "io.modelcontextprotocol/"


class ToolError(Exception):
    def __init__(self, result):
        self.result = result
        self.text = "\n".join(c.get("text", "")
                              for c in result.get("content", []))
        # The first item is ours; log text may follow in one of its own.
        d = result.get("structuredContent")
        if d is None:
            try:
                d = json.loads(result["content"][0]["text"])
            except (ValueError, LookupError):
                d = {}
        self.code = d.get("error_code")
        self.error = d.get("error")
        super().__init__(f"{self.code}: {self.error or self.text}")


class RpcError(Exception):
    def __init__(self, status, body):
        self.status, self.body = status, body
        error = (body or {}).get("error")
        self.code = error.get("code") if isinstance(error, dict) else None
        super().__init__(f"HTTP {status}: {body!r}")


class Mcp:
    """One kept-alive connection that speaks MCP in either era."""

    def __init__(self, port, modern=True, timeout=PATIENCE, path=None):
        self.port, self.modern, self.timeout = port, modern, timeout
        self.path = path                # of a unix socket, instead of a port
        self.session = None
        self.id = 0
        self.conn = None

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None

    def connection(self):
        if self.conn is None:
            self.conn = http.client.HTTPConnection(
                "127.0.0.1", self.port or 80, timeout=self.timeout)
            if self.path:
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(self.timeout)
                s.connect(self.path)
                self.conn.sock = s
            else:
                self.conn.connect()
        return self.conn

    def post(self, body, headers=None, path="/mcp"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        h = {"Content-Type": "application/json",
             "Accept": "application/json, text/event-stream"}
        if self.path:
            h["Host"] = "localhost"
        h.update(headers or {})
        fresh = self.conn is None
        try:
            c = self.connection()
            c.request("POST", path, data, h)
            r = c.getresponse()
            raw = r.read()
        except (http.client.RemoteDisconnected, BrokenPipeError,
                ConnectionResetError):
            self.close()
            if fresh:
                raise
            return self.post(body, headers, path)   # kept-alive, timed out
        except BaseException:
            self.close()
            raise
        if r.will_close:
            self.close()
        return r.status, dict((k.lower(), v) for k, v in r.getheaders()), raw

    def rpc(self, method, params=None, headers=None, **more):
        self.id += 1
        params = dict(params or {})
        h = {}
        if self.modern:
            meta = dict(params.get("_meta") or {})
            meta.setdefault(META + "protocolVersion", MODERN)
            meta.setdefault(META + "clientCapabilities", {})
            meta.setdefault(META + "clientInfo",
                            {"name": "keepd-e2e", "version": "1"})
            params["_meta"] = meta
            h["MCP-Protocol-Version"] = MODERN
            h["Mcp-Method"] = method
            if method == "tools/call":
                h["Mcp-Name"] = str(params.get("name"))
        elif method != "initialize":
            h["MCP-Protocol-Version"] = LEGACY
            if self.session:
                h["Mcp-Session-Id"] = self.session
        h.update(headers or {})
        body = {"jsonrpc": "2.0", "id": self.id, "method": method,
                "params": params}
        body.update(more)
        status, hdr, raw = self.post(body, h)
        msg = self.parse(hdr, raw)
        if method == "initialize" and status == 200:
            self.session = hdr.get("mcp-session-id")
        if status != 200 or msg is None or "error" in msg:
            raise RpcError(status, msg)
        eq(msg.get("id"), body["id"], "id of the answer")
        return msg["result"]

    @staticmethod
    def parse(hdr, raw):
        if hdr.get("content-type", "").startswith("text/event-stream"):
            msgs = [json.loads(line[5:]) for line in raw.decode().splitlines()
                    if line.startswith("data:") and line[5:].strip()]
            msgs = [m for m in msgs if "id" in m]
            return msgs[-1] if msgs else None
        return json.loads(raw) if raw.strip() else None

    def initialize(self, version=LEGACY):
        r = self.rpc("initialize", {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "keepd-e2e", "version": "1"}})
        h = {"MCP-Protocol-Version": r["protocolVersion"]}
        if self.session:
            h["Mcp-Session-Id"] = self.session
        status, _, raw = self.post({"jsonrpc": "2.0",
                                    "method": "notifications/initialized"}, h)
        eq((status, raw), (202, b""), "notifications/initialized (D-6)")
        return r

    def raw_call(self, tool, **args):
        return self.rpc("tools/call", {"name": tool, "arguments": args})

    def call(self, tool, **args):
        r = self.raw_call(tool, **args)
        if r.get("isError"):
            raise ToolError(r)
        return r

    def text(self, tool, **args):
        r = self.call(tool, **args)
        eq([c["type"] for c in r["content"]], ["text"], f"content of {tool}")
        return r["content"][0]["text"]

    def data(self, tool, **args):
        return self.call(tool, **args)["structuredContent"]

    def fails(self, tool, code=None, **args):
        """The tool must fail with this error_code; the ToolError."""
        r = self.raw_call(tool, **args)
        ok(r.get("isError") is True, f"{tool} {args} did not fail: {r}")
        e = ToolError(r)
        if code is not None:
            eq(e.code, code, f"error_code of {tool} {args} ({e})")
        return e


def read_answer(s):
    """One HTTP answer from a socket: (status or None at end of file, bytes)."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                break
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        m = re.search(rb"(?i)content-length: *(\d+)", head)
        while m and len(body) < int(m.group(1)):
            more = s.recv(65536)
            if not more:
                break
            body += more
            data += more
    except (ConnectionResetError, BrokenPipeError):
        pass
    m = re.match(rb"HTTP/1\.[01] (\d{3})", data)
    return (int(m.group(1)) if m else None), data
