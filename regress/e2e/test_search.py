"""Search semantics, S0-70 to S0-80 with C-1, by MCP and by keepctl; and the
pattern that would never end."""
import threading
import time

from keepd import (Keepd, Mcp, RpcError, eq, has, ok, proc_stat, service, test)

TEXT = ["alpha", "beta error 1", "gamma", "delta", "epsilon", "zeta",
        "Error eta", "theta 404", "iota", "kappa timeout error"]


def filled():
    """Its last line is one of stderr, and comes when the others are in."""
    k = Keepd(start=False)
    k.gate = k.fifo("gate")
    k.configure(service("a", *[f"out:{s}" for s in TEXT], "wait:" + k.gate,
                        "err:on stderr", "note:up", "hang"))
    k.autostart = True
    return k


def ready(k):
    k.await_log("a", "kappa")
    k.open_gate(k.gate)
    k.note("up")
    k.await_log("a", "on stderr")


@test(tags=("san",))
def search_marks_and_context():
    """S0-74, S0-75."""
    with filled() as k:
        ready(k)
        eq(k.lines("a", "error"),
           [" * beta error 1", " * kappa timeout error"], "no context")
        eq(k.lines("a", "error", context_lines=1),
           ["   alpha", " * beta error 1", "   gamma", "   iota",
            " * kappa timeout error", "   [stderr] on stderr"],
           "context 1, no separator between")
        eq(k.lines("a", "delta|zeta", context_lines=1),
           ["   gamma", " * delta", "   epsilon", " * zeta",
            "   Error eta"], "touching ranges merge")
        eq(k.lines("a", "delta|epsilon", context_lines=1),
           ["   gamma", " * delta", " * epsilon", "   zeta"],
           "a match in another's context keeps its mark")
        eq(k.lines("a", "alpha", context_lines=100)[:2],
           [" * alpha", "   beta error 1"], "context over the end")
        eq(k.lines("a", context_lines=2)[0], "alpha",
           "context without a pattern")


@test()
def search_pattern_rules():
    """S0-72: case-sensitive, unanchored, against the line with its prefix."""
    with filled() as k:
        ready(k)
        eq(k.lines("a", "Error"), [" * Error eta"], "case")
        eq(k.lines("a", "error", ignore_case=True),
           [" * beta error 1", " * Error eta", " * kappa timeout error"],
           "ignore_case")
        eq(k.lines("a", r"\d{3}"), [" * theta 404"], "class")
        eq(k.lines("a", "^beta"), [" * beta error 1"], "anchor")
        eq(k.lines("a", "^on"), ["No matches found"], "anchor and prefix")
        eq(k.lines("a", r"^\[stderr\] on"), [" * [stderr] on stderr"],
           "prefix")
        eq(k.lines("a", "1$"), [" * beta error 1"], "end anchor")
        eq(k.lines("a", "alpha.*beta"), ["No matches found"],
           "no match over lines")
        eq(k.lines("a", r"alpha\nbeta"), ["No matches found"],
           "no newline in a line")
        eq(k.lines("a", "iota|gamma"), [" * gamma", " * iota"],
           "alternation, in order")


@test()
def search_empty_pattern():
    """An empty expression matches every line."""
    with filled() as k:
        ready(k)
        eq(k.lines("a", ""), [" * " + s for s in TEXT]
           + [" * [stderr] on stderr"], "empty pattern")


@test()
def search_head_and_tail():
    """S0-76, S0-77 with C-1, S0-78."""
    with filled() as k:
        ready(k)
        eq(k.lines("a", head=2), TEXT[:2], "head")
        eq(k.lines("a", tail=2), [TEXT[-1], "[stderr] on stderr"], "tail")
        eq(k.lines("a", "error", context_lines=1, head=2),
           ["   alpha", " * beta error 1"], "head counts context")
        eq(k.lines("a", "error", context_lines=1, tail=1),
           ["   [stderr] on stderr"], "tail counts context")
        eq(k.lines("a", head=0), ["(empty)"], "head 0")
        eq(k.lines("a", head=1000)[0], "alpha", "head beyond")
        eq(k.lines("a", "nowhere", head=0), ["No matches found"],
           "no match is not subject to head")
        e = k.mcp.fails("search_logs", "INVALID_PARAMETER", process="a",
                        head=1, tail=1)
        has(e.error, "head", "tail")
        r = k.ctl("search", "a", "x", "--head", "1", "--tail", "1", rc=2)
        has(r.err, "head")


@test()
def search_bad_parameters():
    """S0-79: negative or fractional numbers are parameter errors."""
    with filled() as k:
        ready(k)
        for key in ("head", "tail", "context_lines"):
            for bad in (-1, 1.5, "two", True, [1], {}, 1 << 70):
                try:
                    k.mcp.fails("search_logs", "INVALID_PARAMETER",
                                process="a", pattern="a", **{key: bad})
                except RpcError as e:           # 1 << 70 may be no JSON to it
                    ok(bad == 1 << 70, f"{key}={bad}: {e}")
        for bad in (1.5, "x", None, 1 << 40):
            r = k.mcp.raw_call("search_logs", process="a", index=bad)
            ok(r.get("isError") or bad is None, f"index={bad!r}: {r}")
        for bad in (5, ["a"], {"x": 1}):
            k.mcp.fails("search_logs", "INVALID_PARAMETER", process="a",
                        pattern=bad)
        k.mcp.fails("search_logs", "INVALID_PARAMETER")
        k.mcp.fails("search_logs", "PROCESS_NOT_FOUND", process="nobody")
        k.mcp.fails("search_logs", "INVALID_PARAMETER", process="a",
                    pattern="x" * 5000)
        k.healthy()


@test()
def search_bad_pattern():
    """S0-73: the words, the pattern, a tool error; nothing else harmed."""
    with filled() as k:
        ready(k)
        for bad in ("(", "a[", "*a", "(?<n>", "a{2,1}", "\\"):
            e = k.mcp.fails("search_logs", process="a", pattern=bad)
            has(e.error, "Invalid regex pattern", bad)
        r = k.ctl("search", "a", "(", rc=None)
        ok(r.rc in (1, 2), f"{r}")
        has(r.err, "Invalid regex pattern")
        eq(k.lines("a", "gamma"), [" * gamma"], "afterwards")


@test()
def search_by_keepctl():
    """The same semantics; the JSON form is JSON and nothing else."""
    with filled() as k:
        ready(k)
        r = k.ctl("search", "a", "error", "-C", "1", "--head", "2")
        eq(r.out.splitlines(), ["   alpha", " * beta error 1"], "text")
        eq(k.ctl("search", "a", "ERROR", "-i").out.splitlines(),
           [" * beta error 1", " * Error eta", " * kappa timeout error"],
           "-i")
        d = k.ctl("-j", "search", "a", "error").json()
        eq(d["matches"], 2, "matches")
        eq(d["lines"], [" * beta error 1", " * kappa timeout error"], "lines")
        has(k.ctl("search", "a", "nowhere", rc=None).out, "No matches found")


@test()
def search_structure():
    """structuredContent: counts that are true."""
    with filled() as k:
        ready(k)
        d = k.mcp.data("search_logs", process="a", pattern="error",
                       context_lines=1, head=2)
        eq((d["matches"], d["shown"], d["elided"], d["run"], d["runs"]),
           (2, 2, 4, 1, 1), f"counts: {d}")
        eq((d["truncated"], d["next_cursor"]), (False, None), "truncated")
        eq(d["lines"], ["   alpha", " * beta error 1"], "lines")


@test()
def search_bytes_and_cursor():
    """max_bytes cuts at a line, the cursor goes on without a hole."""
    with Keepd(service("a", "lines:2000", "note:up", "hang")) as k:
        k.note("up")
        k.await_log("a", "^line 2000$")
        got, cursor, rounds = [], None, 0
        while True:
            kw = {"cursor": cursor} if cursor else {}
            d = k.mcp.data("search_logs", process="a", max_bytes=4096, **kw)
            got += d["lines"]
            rounds += 1
            ok(len("\n".join(d["lines"])) <= 4096, "more than max_bytes")
            cursor = d["next_cursor"]
            if not cursor:
                break
            ok(d["truncated"], "a cursor without truncated")
            ok(rounds < 50, "no end")
        eq(got, [f"line {i}" for i in range(1, 2001)], "all the lines")
        ok(rounds > 4, f"{rounds} rounds")
        k.mcp.fails("search_logs", "INVALID_PARAMETER", process="a",
                    cursor="garbage")
        k.mcp.fails("search_logs", "INVALID_PARAMETER", process="a",
                    max_bytes=99999999)


@test(tags=("san",))
def catastrophic_pattern_times_out():
    """A clear error by the deadline; ingest and other searches go on."""
    k = Keepd(start=False, top="limit search time 1s")
    k.configure(service("a", "wide:9000,200", "out:end", "hang")
                + service("b", "note:b", "count:1"))
    with k:
        k.start()
        k.note("b")
        k.await_log("a", "^end$")
        evil = r"(x+x+)+[^x]"
        got = []

        def ask():
            m = Mcp(k.port, timeout=30)
            t0 = time.monotonic()
            got.append((m.raw_call("search_logs", process="a",
                                   pattern=evil),
                        time.monotonic() - t0))
            m.close()
        ts = [threading.Thread(target=ask) for _ in range(2)]
        before = int(k.lines("b", tail=1)[0].split()[1])
        for t in ts:
            t.start()
        # Meanwhile: another search is answered, b's lines come in.
        worst = 0
        n = 0
        while any(t.is_alive() for t in ts) and n < 400:
            t0 = time.monotonic()
            k.lines("b", "n .*9$", tail=1)
            worst = max(worst, time.monotonic() - t0)
            n += 1
        for t in ts:
            t.join(20)
        eq(len(got), 2, "answers")
        for r, took in got:
            ok(r.get("isError"), f"no error: {str(r)[:300]}")
            has(r["content"][0]["text"], "time")
            ok(0.8 < took < 5, f"took {took:.2f} s")
        ok(worst < 2, f"another search took {worst:.2f} s")
        ok(n > 3, f"only {n} searches meanwhile")
        after = int(k.lines("b", tail=1)[0].split()[1])
        ok(after > before, "ingest stood still")
        k.healthy()


@test()
def searchers_leave_nothing():
    """Two hundred searches, then the searcher has no child left."""
    with filled() as k:
        ready(k)
        for i in range(200):
            k.lines("a", f"error {i % 3}")
        from keepd import descendants
        k.until(lambda: len([p for p in descendants(k.roles()["searcher"])
                             if proc_stat(p)]) == 0, "without workers")


@test()
def wait_for_tool():
    """wait_for: log, quiet, exit, port, ready; time-outs and errors."""
    from keepd import free_port
    port = free_port()
    k = Keepd(start=False)
    g, g2 = k.fifo("g"), k.fifo("g2")
    k.configure(service("a", "out:start", "note:up", "wait:" + g,
                        "out:ready 17", f"tcp:{port}", "note:tcp",
                        "wait:" + g2, "exit:4", extra="restart never"))
    with k:
        k.start()
        k.note("up")
        m = Mcp(k.port, timeout=40)
        m.data("wait_for", target="a", until="ready")
        d = m.data("wait_for", target="a", until="quiet", quiet_seconds=0.3,
                   timeout=10)
        eq(d["reason"], "settled", "until quiet")
        d = m.data("wait_for", target="a", until="log", pattern="ready",
                   timeout=1)
        eq(d["reason"], "timeout", "until log, time-out")
        got = []

        def ask():
            w = Mcp(k.port, timeout=40)
            got.append(w.data("wait_for", target="a", until="log",
                              pattern=r"ready \d+", timeout=20))
            w.close()
        t = threading.Thread(target=ask)
        t.start()
        time.sleep(0.3)                         # the waiter must be there
        k.open_gate(g)
        t.join(20)
        ok(got, "no answer")
        eq(got[0]["reason"], "matched", "until log")
        has(str(got[0]), "ready 17")
        k.note("tcp")
        d = m.data("wait_for", target="a", until="port", port=port,
                   timeout=10)
        eq(d["reason"], "matched", "until port")
        t = threading.Thread(target=lambda: got.append(
            Mcp(k.port, timeout=40).data("wait_for", target="a",
                                         until="exit", timeout=20)))
        t.start()
        time.sleep(0.3)
        k.open_gate(g2)
        t.join(20)
        eq(got[-1]["reason"], "exited", "until exit")
        has(str(got[-1]), "4")
        m.fails("wait_for", "INVALID_PARAMETER", target="a", until="doomsday")
        m.fails("wait_for", "INVALID_PARAMETER", target="a", until="log")
        m.fails("wait_for", "INVALID_PARAMETER", target="a", until="log",
                pattern="x", timeout=999)
        m.fails("wait_for", "PROCESS_NOT_FOUND", target="zz", until="ready")
        m.close()


@test()
def wait_for_exit_of_a_waiter():
    """A waiter whose service dies while it waits for a line: exited."""
    k = Keepd(start=False)
    g = k.fifo("g")
    k.configure(service("a", "note:up", "wait:" + g, "exit:9",
                        extra="restart never"))
    with k:
        k.start()
        k.note("up")
        got = []
        t = threading.Thread(target=lambda: got.append(
            Mcp(k.port, timeout=40).data("wait_for", target="a", until="log",
                                         pattern="never", timeout=20)))
        t.start()
        time.sleep(0.3)
        k.open_gate(g)
        t.join(20)
        ok(got, "no answer")
        eq(got[0]["reason"], "exited", "reason")
