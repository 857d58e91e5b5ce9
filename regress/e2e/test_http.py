"""Abuse by HTTP: every request that should not be, and what others notice."""
import json
import os
import socket
import threading
import time

from keepd import (Keepd, LEGACY, MODERN, Mcp, PATIENCE, eq, free_port, has,
                   ok, q, read_answer, service, test)

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'


def request(k, body=PING, method="POST", path="/mcp", host=True, **headers):
    """The bytes of a request; headers: name_with_underscores=value."""
    h = {"Content-Type": "application/json",
         "Accept": "application/json, text/event-stream",
         "Content-Length": str(len(body))}
    if host is True:
        h["Host"] = f"127.0.0.1:{k.port}"
    elif host:
        h["Host"] = host
    for name, v in headers.items():
        name = name.replace("_", "-")
        if v is None:
            h.pop(name, None)
        else:
            h[name] = v
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(
        f"{a}: {b}\r\n" for a, b in h.items()) + "\r\n"
    return head.encode("latin-1") + body


def status(k, *args, **kw):
    return k.raw_http(request(k, *args, **kw))[0]


def web(**kw):
    return Keepd(service("a", "note:up", "hang"), **kw)


@test(tags=("san",))
def http_host():
    """No Host, foreign Host, foreign port: refused before anything else."""
    with web() as k:
        eq(status(k), 200, "own Host")
        for h in (f"localhost:{k.port}", f"LOCALHOST:{k.port}"):
            eq(status(k, host=h), 200, h)
        ok(status(k, host=None) in (400, 403), "no Host")
        for h in ("evil.example.com", f"evil.example.com:{k.port}",
                  f"127.0.0.1.evil.com:{k.port}", f"127.0.0.1:{k.port + 1}",
                  "", "0.0.0.0", f"user@127.0.0.1:{k.port}",
                  f"127.0.0.1:{k.port}@evil.com", f"localhost.:{k.port}x",
                  f"127.0.0.1:{k.port},evil.com", f"[::1]evil:{k.port}",
                  "127.0.0.1:99999999999", f"127.0.0.1:{k.port} evil"):
            ok(status(k, host=h or " ") in (400, 403), f"Host {h!r}")
        # An absolute target must not stand in for the Host.
        ok(status(k, path=f"http://evil.example.com:{k.port}/mcp")
           in (400, 403, 404), "absolute target")
        two = request(k).replace(
            b"\r\nHost:", b"\r\nHost: evil.example.com\r\nHost:")
        ok(k.raw_http(two)[0] in (400, 403), "two Hosts")
        two = request(k).replace(
            b"\r\nHost:", f"\r\nHost: 127.0.0.1:{k.port}\r\nHost:".encode())
        eq(k.raw_http(two)[0], 400, "the same Host twice")
        k.healthy()


@test()
def http_host_from_configuration():
    with web(top='host allow "devbox.example"\n'
                 'origin allow "http://localhost:5173"') as k:
        eq(status(k, host="devbox.example"), 200, "host allow")
        eq(status(k, host=f"devbox.example:{k.port}"), 200, "with port")
        ok(status(k, host="devbox.example.evil") in (400, 403), "suffix")
        eq(status(k, Origin="http://localhost:5173"), 200, "origin allow")
        eq(status(k, Origin="http://localhost:5174"), 403, "another port")


@test(tags=("san",))
def http_origin():
    """Absent or our own; null and foreign: 403; no CORS answer ever."""
    with web() as k:
        for o in (f"http://127.0.0.1:{k.port}", f"http://localhost:{k.port}"):
            eq(status(k, Origin=o), 200, o)
        for o in ("null", "http://evil.example.com", "https://127.0.0.1",
                  f"https://127.0.0.1:{k.port}x", "file://", "*",
                  f"http://127.0.0.1:{k.port}.evil.com", "http://",
                  f"http://127.0.0.1:{k.port + 1}", "garbage",
                  f"http://evil.com@127.0.0.1:{k.port}"):
            st, raw = k.raw_http(request(k, Origin=o))
            eq(st, 403, f"Origin {o!r}")
            ok(b"access-control" not in raw.lower(), "CORS (D-7)")
        eq(k.raw_http(request(k, Origin=f"http://127.0.0.1:{k.port}").replace(
            b"\r\nOrigin:", b"\r\nOrigin: http://evil.com\r\nOrigin:"))[0]
           in (400, 403), True, "two Origins")
        st, raw = k.raw_http(request(
            k, b"", "OPTIONS", Origin="http://evil.com",
            Access_Control_Request_Method="POST"))
        ok(st in (403, 405), f"preflight: {st}")
        ok(b"access-control" not in raw.lower(), "CORS to a preflight")
        # The refusal comes before the body is looked at.
        st, _ = k.raw_http(request(k, b"{garbage", Origin="http://evil.com"))
        eq(st, 403, "garbage with a foreign Origin")


@test()
def http_order_of_checks():
    """Host before path before type: the first that fails answers."""
    with web() as k:
        ok(status(k, path="/nowhere", host="evil.com") in (400, 403), "Host")
        eq(status(k, path="/nowhere"), 404, "path")
        eq(status(k, method="PUT"), 405, "method")
        st, raw = k.raw_http(request(k, method="PUT"))
        has(raw.decode(), "\r\nallow:")
        eq(status(k, method="GET", body=b""), 405, "GET /mcp")
        ok(status(k, method="DELETE", body=b"") in (400, 404, 405),
           "DELETE without a session")
        for t in ("text/plain", "application/x-www-form-urlencoded",
                  "application/jsonx", "multipart/form-data", None):
            eq(status(k, Content_Type=t), 415, f"Content-Type {t}")
        for t in ("application/json; charset=utf-8", "Application/JSON"):
            eq(status(k, Content_Type=t), 200, f"Content-Type {t}")
        for a in ("text/html", "application/json", "text/event-stream"):
            eq(status(k, Accept=a), 406, f"Accept {a}")
        for a in ("*/*", None, "text/event-stream, application/json",
                  "application/*, text/*"):
            eq(status(k, Accept=a), 200, f"Accept {a}")
        eq(status(k, path="/mcp/"), 200, "/mcp/ (C-34)")
        for p in ("/mcp/../health", "//mcp", "/mcp%00", "/../../etc/passwd",
                  "/health/x", "/MCP", "/api/processes/a/../../x"):
            ok(status(k, path=p) in (400, 404), f"path {p}")


@test()
def http_errors_are_json():
    with web() as k:
        for st, h, body in (k.http("GET", "/nowhere"),
                            k.http("PUT", "/health", b"")):
            has(h["content-type"], "application/json")
            d = json.loads(body)
            ok({"error", "error_code", "timestamp"} <= set(d), f"{st}: {d}")
            ok(len(d["timestamp"]) == 24 and d["timestamp"].endswith("Z"),
               d["timestamp"])
        eq(k.http("GET", "/.well-known/oauth-protected-resource")[0], 404,
           "OAuth discovery (never 401)")


@test()
def http_duplicate_headers():
    with web() as k:
        for name, v in (("Content-Type", "text/plain"),
                        ("Mcp-Session-Id", "x"), ("Mcp-Method", "ping"),
                        ("MCP-Protocol-Version", LEGACY),
                        ("Content-Length", "1"),
                        ("Authorization", "Bearer x")):
            data = request(k, **{name.replace("-", "_"): v if name not in (
                "Content-Type", "Content-Length") else
                {"Content-Type": "application/json",
                 "Content-Length": str(len(PING))}[name]})
            head, body = data.split(b"\r\n\r\n", 1)
            st, _ = k.raw_http(head + f"\r\n{name}: {v}\r\n\r\n".encode()
                               + body)
            ok(st == 400 or (st is None and name == "Content-Length"),
               f"two {name}: {st}")
        k.healthy()


@test(tags=("san",))
def http_sizes():
    """10 MB body: 413; endless headers, endless request line: refused."""
    with web() as k:
        big = b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"' \
            + b"a" * (10 << 20) + b'"}'
        st, _ = k.raw_http(request(k, big))
        ok(st in (413, None), f"10 MB: {st}")
        # Announced but never sent: refused without waiting for it.
        head = request(k).split(b"\r\n\r\n")[0].replace(
            f"Content-Length: {len(PING)}".encode(),
            b"Content-Length: 999999999999")
        st, _ = k.raw_http(head + b"\r\n\r\n")
        ok(st in (413, 400, None), f"announced 1 TB: {st}")
        for n in ("-1", "0x10", "12abc", "99999999999999999999999", " "):
            st, _ = k.raw_http(head.replace(b"999999999999", n.encode())
                               + b"\r\n\r\n" + PING)
            ok(st != 200, f"Content-Length {n!r}: {st}")
        for junk in (b"X: " + b"y" * (1 << 20) + b"\r\n",
                     b"".join(b"X%d: y\r\n" % i for i in range(100000))):
            data = request(k).replace(b"\r\n", b"\r\n" + junk, 1)
            st, _ = k.raw_http(data)
            ok(st in (400, 413, 431, None), f"headers of {len(junk)}: {st}")
        st, _ = k.raw_http(b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n")
        ok(st in (400, 413, 414, 431, None), f"long target: {st}")
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping",
                           "params": {"x": "a" * 500000}}).encode()
        eq(k.raw_http(request(k, body))[0], 200, "half a megabyte")
        k.healthy()


@test(tags=("san",))
def http_garbage():
    """No HTTP at all, half requests, closed in the middle."""
    with web() as k:
        whole = request(k)
        for data in (b"\0" * 4096, b"\r\n" * 10000, os.urandom(65536),
                     b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"POST /mcp HTTP/1.1\r\n: x\r\n\r\n",
                     b"POST /mcp HTTP/1.1\nHost: x\n\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                     whole.replace(b"Host", b"Ho\0st"),
                     whole.replace(b"HTTP/1.1", b"HTTP/1.1\0"),
                     whole.replace(b"Accept", b" Accept"),
                     b"CONNECT evil.com:80 HTTP/1.1\r\nHost: evil.com\r\n\r\n",
                     b"TRACE /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            st, _ = k.raw_http(data, half_close=True)
            ok(st != 200, f"{data[:60]!r}: {st}")
        for i in range(0, len(whole), 7):
            s = socket.create_connection(("127.0.0.1", k.port))
            s.sendall(whole[:i])
            s.close()
        # The same, byte by byte, is a good request.
        with socket.create_connection(("127.0.0.1", k.port)) as s:
            for i in range(len(whole)):
                s.sendall(whole[i:i + 1])
            eq(read_answer(s)[0], 200, "byte by byte")
        k.healthy()


@test(tags=("san",))
def http_chunked():
    """A good chunked body is one; rubbish is refused."""
    with web() as k:
        head = request(k).split(b"\r\n\r\n")[0].replace(
            f"Content-Length: {len(PING)}".encode(),
            b"Transfer-Encoding: chunked") + b"\r\n\r\n"
        good = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PING), PING)
        st, _ = k.raw_http(head + good)
        ok(st in (200, 411, 400), f"chunked: {st}")
        for bad in (b"zz\r\n" + PING + b"\r\n0\r\n\r\n",
                    b"-1\r\n" + PING, b"ffffffffffffffffff\r\n" + PING,
                    b"7fffffff\r\n" + PING, b"\r\n\r\n\r\n",
                    b"5\r\nabcdefgh\r\n0\r\n\r\n",
                    b"1" * 100000 + b"\r\n"):
            st, _ = k.raw_http(head + bad, half_close=True)
            ok(st != 200, f"{bad[:30]!r}: {st}")
        # Both length and chunked: the smuggler's request.
        both = request(k).replace(
            b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1)
        st, _ = k.raw_http(both, half_close=True)
        ok(st != 200, f"length and chunked: {st}")
        # 20 MB in small chunks is stopped at the limit.
        with socket.create_connection(("127.0.0.1", k.port),
                                      timeout=PATIENCE) as s:
            try:
                s.sendall(head)
                block = b"400\r\n" + b"x" * 1024 + b"\r\n"
                for _ in range(20 * 1024):
                    s.sendall(block)
                s.sendall(b"0\r\n\r\n")
            except OSError:
                pass
            ok(read_answer(s)[0] in (413, 400, None), "20 MB of chunks")
        k.healthy()


@test(tags=("san",))
def http_json_abuse():
    """Deep, doubled, not UTF-8, NUL: -32700 or -32600, never 5xx."""
    with web() as k:
        deep = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' \
            + b"[" * 10000 + b"]" * 10000 + b"}}"
        deepobj = b'{"a":' * 10000 + b"1" + b"}" * 10000
        cases = (
            (deep, -32700), (deepobj, -32700), (b"", -32700),
            (b"{", -32700), (b"nonsense", -32700), (b"[" * 100000, -32700),
            (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700),
            (b'{"jsonrpc":"2.0","id":1,"method":"p\xff\xfeng"}', -32700),
            (b'{"jsonrpc":"2.0","id":1,"method":"p\0ing"}', -32700),
            (b'{"jsonrpc":"2.0","id":1,"method":"ping"}garbage', -32700),
            (b"\xef\xbb\xbf" + PING, -32700),
            (PING.decode().encode("utf-16"), -32700),
            (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', -32700),
            (b"1", -32600), (b'"x"', -32600), (b"null", -32600),
            (b"{}", -32600),
            (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
            (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}',
             -32600),
        )
        for body, code in cases:
            st, raw = k.raw_http(request(k, body))
            eq(st, 400, f"status for {body[:60]!r}")
            d = json.loads(raw.split(b"\r\n\r\n", 1)[1])
            ok(d["error"]["code"] in (code, -32700, -32600),
               f"{body[:60]!r}: {d}")
            ok(d.get("id", 0) is not None, "id null")
        # Escaped NULs and lone surrogates in strings reach tools: refused or
        # not found, nothing breaks.
        for name in ("a\\u0000b", "\\ud800", "\\uffff", "a\\nb"):
            body = ('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                    '{"name":"search_logs","arguments":{"process":"%s"}}}'
                    % name).encode()
            st, raw = k.raw_http(request(k, body))
            ok(st in (200, 400), f"{name}: {st}")
            ok(b'"lines"' not in raw, f"{name}: an answer")
        eq(status(k), 200, "afterwards")
        k.healthy()


@test(timeout=60)
def http_slow_clients_cost_a_record():
    """Half requests held open; the others are served; they are dropped."""
    with web(top="limit connections 64") as k:
        socks = []
        for i in range(200):
            try:
                s = socket.create_connection(("127.0.0.1", k.port), timeout=5)
                s.sendall(request(k)[:20 + i % 50])
                socks.append(s)
            except OSError:
                break
        # keepctl is not touched by it at all.
        k.ctl("status")
        for s in socks[:-8]:
            s.close()
        end = time.monotonic() + 30
        while True:
            try:
                eq(k.http("GET", "/health", timeout=5)[0] in (200, 503), True,
                   "GET /health")
                if k.http("GET", "/health", timeout=5)[0] == 200:
                    break
            except OSError:
                pass
            ok(time.monotonic() < end, "not served again")
        for s in socks:
            s.close()
        k.healthy()


@test()
def http_many_connections():
    """A thousand connections at once, then all is as before."""
    with web() as k:
        roles = k.roles()
        socks = []
        for _ in range(1000):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", k.port))
            socks.append(s)
        k.ctl("status")
        for s in socks:
            s.close()
        k.until(lambda: _answers(k), "served again")
        eq(k.roles(), roles, "the processes")
        k.healthy()


def _answers(k):
    try:
        return k.http("GET", "/health", timeout=2)[0] == 200
    except OSError:
        return False


@test()
def http_keepalive_and_parallel():
    """One connection, many requests; many connections at once."""
    with web() as k:
        m = Mcp(k.port)
        m.text("get_status")
        local = m.conn.sock.getsockname()
        for _ in range(100):
            m.text("get_status")
        eq(m.conn.sock.getsockname(), local, "the connection")
        m.close()
        bad = []

        def ask():
            c = Mcp(k.port)
            try:
                for _ in range(20):
                    c.text("get_status")
            except Exception as e:
                bad.append(e)
            c.close()
        ts = [threading.Thread(target=ask) for _ in range(16)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        eq(bad, [], "parallel clients")


@test()
def http_client_leaves_while_waiting():
    """A closed connection ends its wait; the frontend is not harmed."""
    with web() as k:
        body = json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "wait_for", "arguments": {
                    "target": "a", "until": "log", "pattern": "never",
                    "timeout": 50}}}).encode()
        for _ in range(50):
            s = socket.create_connection(("127.0.0.1", k.port))
            s.sendall(request(k, body))
            s.close()
        k.healthy()
        k.mcp.call("restart", process="a")
        k.healthy()


@test()
def http_unix_and_ipv6():
    """The other listeners: a unix socket, ::1."""
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        v6 = None
    else:
        v6 = free_port()
    k = web()
    path = os.path.join(k.base, "http.sock")
    k.top = f"listen on socket {q(path)} mode 0666\n" + (
        f"listen on ::1 port {v6}\n" if v6 else "")
    k.configure(service("a", "note:up", "hang"))
    with k:
        k.note("up")
        m = Mcp(None, path=path)
        has(m.text("get_status"), "a: running")
        m.close()
        if v6:
            with socket.create_connection(("::1", v6)) as s:
                s.sendall(request(k, host=f"[::1]:{v6}"))
                eq(read_answer(s)[0], 200, "::1")
            with socket.create_connection(("::1", v6)) as s:
                body = (b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                        b'"params":{"name":"get_status"}}')
                s.sendall(request(k, body, host=f"[::1]:{v6}"))
                st, raw = read_answer(s)
                eq(st, 200, "::1, identity")
                has(raw.decode(), "a: running")
    ok(not os.path.exists(path), "the unix socket is left")


@test()
def http_version_header_rules():
    """MCP-Protocol-Version: unknown legacy values 400, eras by the body."""
    with web() as k:
        for v in ("2025-11-25", "2025-06-18", "2025-03-26", None):
            eq(status(k, MCP_Protocol_Version=v), 200, f"version {v}")
        for v in ("1999-01-01", "garbage", ""):
            ok(status(k, MCP_Protocol_Version=v) in (400, 200 if not v
                                                     else 400),
               f"version {v!r}")
        st, raw = k.raw_http(request(k, LIST, MCP_Protocol_Version=MODERN))
        eq(st, 400, "modern header, no _meta")
        eq(json.loads(raw.split(b"\r\n\r\n", 1)[1])["error"]["code"], -32602,
           "code")
        eq(status(k, Mcp_Method="ping"), 200, "Mcp-Method on legacy traffic")
        eq(status(k, Mcp_Session_Id="never-issued"), 404, "unknown session")
