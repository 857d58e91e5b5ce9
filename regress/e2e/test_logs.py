"""Log capture: S0-60 to S0-66, and services that print what they should not."""
import os
import signal
import time

from keepd import Keepd, eq, has, ok, service, test


@test(tags=("san",))
def streams_and_prefix():
    """S0-62: stderr lines carry `[stderr] `, patterns match it (S0-72)."""
    with Keepd(service("a", "out:plain", "err:trouble", "note:up",
                       "hang")) as k:
        k.note("up")
        k.await_log("a", "trouble")
        eq(sorted(k.lines("a")), ["[stderr] trouble", "plain"], "all")
        eq(k.lines("a", r"^\[stderr\] t"), [" * [stderr] trouble"], "pattern")
        eq(k.lines("a", stream="stdout"), ["plain"], "stream")
        eq(k.lines("a", stream="stderr"), ["[stderr] trouble"], "stream")
        out = k.ctl("logs", "a", "--stream", "stderr", "--no-prefix").out
        eq(out, "trouble\n", "keepctl logs --stream")


@test()
def order_of_two_streams():
    """Each stream keeps its order; nothing is lost, nothing doubled."""
    with Keepd(service("a", "both:2000", "out:done", "err:done", "note:up",
                       "hang")) as k:
        k.note("up")
        k.await_log("a", "^done")
        k.await_log("a", r"^\[stderr\] done")
        lines = k.lines("a")
        out = [s for s in lines if s.startswith("o ")]
        err = [s for s in lines if s.startswith("[stderr] e ")]
        eq(out, [f"o {i}" for i in range(1, 2001)], "stdout")
        eq(err, [f"[stderr] e {i}" for i in range(1, 2001)], "stderr")


@test()
def arrival_order_when_lines_are_apart():
    """Lines of the two streams that come one after the other stay so."""
    k = Keepd(start=False)
    steps, gates = [], []
    for i in range(6):
        g = k.fifo(f"g{i}")
        gates.append(g)
        steps += [f"{'out' if i % 2 == 0 else 'err'}:line {i}",
                  f"note:wrote {i}", "wait:" + g]
    k.configure(service("a", *steps, "hang"))
    with k:
        k.start()
        for i, g in enumerate(gates):
            k.note(f"wrote {i}")
            k.await_log("a", f"line {i}")
            k.open_gate(g)
        eq(k.lines("a"), [("[stderr] " if i % 2 else "") + f"line {i}"
                          for i in range(6)], "order")


@test()
def runs_and_index():
    """S0-60, S0-61, S0-70, S0-71: ten runs are kept, index from both ends."""
    with Keepd(service("a", "note:up", "term:0")) as k:
        k.file("n", "0")
        k.configure(
            "service a {\n\tcommand { \"/bin/sh\" \"-c\" "
            "\"echo run $KEEPD_RUN; exec sleep 1000\" }\n}\n")
        k.ctl("reload")
        for _ in range(13):
            k.ctl("restart", "a")
            k.await_log("a", "^run ")
        newest = int(k.search("a").split()[1])
        eq(newest, 14, "newest run")
        for i in range(-1, -11, -1):
            eq(k.search("a", index=i), f"run {newest + 1 + i}", f"index {i}")
        for i in range(10):
            eq(k.search("a", index=i), f"run {newest - 9 + i}", f"index {i}")
        for i in (10, -11, 99, -99):
            text = k.search("a", index=i)
            eq(len(text.splitlines()), 1, "one line")
            has(text, str(i), "10")
        out = k.ctl("logs", "a", "--run", "-2", "--no-prefix").out
        eq(out, f"run {newest - 1}\n", "keepctl logs --run -2")
        out = k.ctl("search", "a", "run", "--run", "0").out
        has(out, f"run {newest - 9}")


@test()
def ten_thousand_lines_a_run():
    """S0-61: the oldest line goes first; a bound of one's own."""
    with Keepd(service("a", "lines:10050", "note:up", "hang")
               + service("b", "lines:250", "note:up", "hang",
                         extra="log lines 100 runs 3")) as k:
        k.note("up", service="a")
        k.note("up", service="b")
        k.await_log("a", "^line 10050$")
        k.await_log("b", "^line 250$")
        lines = k.lines("a")
        eq((len(lines), lines[0], lines[-1]),
           (10000, "line 51", "line 10050"), "default bound")
        lines = k.lines("b")
        eq((len(lines), lines[0], lines[-1]),
           (100, "line 151", "line 250"), "log lines 100")


@test()
def unterminated_last_line():
    """S0-65: kept at end of file."""
    with Keepd(service("a", "out:first", "part:no newline", "note:up",
                       "exit:0", extra="restart never")) as k:
        k.note("up")
        k.until_state("a", "stopped")
        k.until(lambda: k.lines("a") == ["first", "no newline"],
                "with the last line")


@test()
def line_in_pieces():
    """A line that comes in three writes is one line."""
    k = Keepd(start=False)
    g1, g2 = k.fifo("g1"), k.fifo("g2")
    k.configure(service("a", "part:one ", "note:1", "wait:" + g1, "part:two ",
                        "note:2", "wait:" + g2, "out:three", "note:up",
                        "hang"))
    with k:
        k.start()
        for i, g in ((1, g1), (2, g2)):
            k.note(str(i))
            k.open_gate(g)
        k.note("up")
        k.await_log("a", "three")
        eq(k.lines("a"), ["one two three"], "lines")


@test(tags=("san",))
def binary_output():
    """D-5: NUL, escape sequences, invalid UTF-8: the stream goes on, the
    answer is clean UTF-8."""
    with Keepd(service("a", "hex:" + "00ff fe80 c3 28 1b5b33316d 07".replace(
            " ", "") + "72656480c0af1b5b306d0a", "hex:" + bytes(
                range(256)).hex() + "0a", "out:still here", "note:up",
            "hang")) as k:
        k.note("up")
        k.await_log("a", "still here")
        text = k.search("a")
        has(text, "red", "still here", "\ufffd")
        bad = [c for c in text if ord(c) < 32 and c not in "\t\n"
               or ord(c) == 127]
        eq(bad, [], "control characters")
        ok("[31m" not in text, "an escape sequence")
        eq(k.lines("a", "still")[0], " * still here", "search goes on")
        k.healthy()


@test()
def ansi_keep():
    with Keepd(service("a", "hex:1b5b33316d7265641b5b306d0a", "note:up",
                       "hang")) as k:
        k.note("up")
        k.await_log("a", "red")
        eq(k.search("a"), "red", "stripped")


@test(timeout=60)
def hundred_megabytes_without_newline():
    """Taken, bounded, told as pieces; the next line is there."""
    with Keepd(service("a", "solid:100", "out:", "out:after", "note:up",
                       "hang") + service("b", "note:b", "count:1")) as k:
        k.note("b")
        k.note("up", timeout=40)
        k.await_log("a", "^after$", timeout=20)
        k.await_log("b", "^n ")
        for role, pid in k.roles().items():
            rss = 0
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                for line in f:
                    if line.startswith("RssAnon:"):
                        rss = int(line.split()[1])
            ok(rss < 32 * 1024, f"{role} holds {rss} KiB")
        eq(k.lines("a", "^after$"), [" * after"], "the line behind")
        k.healthy()


@test(timeout=60)
def flood_faster_than_read():
    """200 MiB of lines: the writer is held up, never blocked for good; the
    last 10 000 lines are whole and in order, others are not disturbed."""
    with Keepd(service("a", "flood:200", "out:end", "hang")
               + service("b", "note:up", "count:1")) as k:
        k.note("up", service="b")
        first = k.lines("b", tail=1)
        n = k.note("flooded", timeout=40)["lines"]
        k.await_log("a", "^end$", timeout=20)
        lines = k.lines("a", tail=2001)
        ok(lines[-1] == "end", f"last line {lines[-1][:40]}")
        got = [int(s.split()[1]) for s in lines[:-1]]
        eq(got, list(range(n - len(got), n)), "numbers")
        ok(k.lines("b", tail=1) != first, "b stood still")
        k.healthy()


@test()
def empty_and_new():
    """S0-78: `(empty)` for a service that has printed nothing."""
    with Keepd(service("a", "note:up", "hang")
               + service("b", "hang", extra="autostart no")) as k:
        k.note("up")
        eq(k.search("a"), "(empty)", "no lines")
        eq(k.search("a", "x"), "No matches found", "no lines, pattern")
        text = k.search("b")
        eq(len(text.splitlines()), 1, f"one line for no run: {text!r}")


@test()
def follow():
    """keepctl logs -f: what was, and what comes; two services at once."""
    k = Keepd(start=False)
    g = k.fifo("g")
    k.configure(service("a", "out:one", "note:up", "wait:" + g, "out:two",
                        "hang")
                + service("b", "note:up", "out:other", "hang"))
    with k:
        k.start()
        k.note("up")
        k.note("up")
        k.await_log("a", "one")
        k.await_log("b", "other")
        from keepd import Reader
        import subprocess
        p = k.popen(k.ctl_cmd("logs", "a", "b", "-f"),
                    stdout=subprocess.PIPE)
        rd = Reader(p.stdout, open(os.path.join(k.base, "follow"), "wb"))
        try:
            ok(rd.wait(lambda s: "one" in s), "no old line")
            ok(rd.wait(lambda s: "other" in s), "no line of b")
            k.open_gate(g)
            ok(rd.wait(lambda s: "two" in s), "no new line")
        finally:
            p.send_signal(signal.SIGINT)
        eq(p.wait(5), 130, "interrupted")


@test()
def slow_follower_disturbs_nobody():
    """A follower that reads nothing: the service is not held up."""
    with Keepd(service("a", "note:up", "wait:/dev/null", "flood:60",
                       "out:end", "hang", extra="autostart no")) as k:
        import subprocess
        p = k.popen(k.ctl_cmd("logs", "-f", "a"), stdout=subprocess.PIPE)
        k.ctl("start", "a")
        k.note("flooded", timeout=30)
        k.await_log("a", "^end$")
        k.healthy()
        p.kill()
        p.communicate()


@test()
def time_window():
    """since_time and before_time; a bad time is an error (C-11)."""
    k = Keepd(start=False)
    g = k.fifo("g")
    k.configure(service("a", "out:old", "note:up", "wait:" + g, "out:new",
                        "hang"))
    with k:
        k.start()
        k.note("up")
        k.await_log("a", "old")
        time.sleep(0.05)
        now = time.time()
        mid = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) \
            + f".{int(now * 1000) % 1000:03d}Z"
        time.sleep(0.05)
        k.open_gate(g)
        k.await_log("a", "new")
        eq(k.lines("a", since_time=mid), ["new"], "since_time")
        eq(k.lines("a", before_time=mid), ["old"], "before_time")
        k.mcp.fails("search_logs", "INVALID_PARAMETER", process="a",
                    since_time="yesterday-ish")


@test()
def logs_survive_a_stop():
    """Lines of a stopped service can be read."""
    with Keepd(service("a", "out:last words", "note:up", "term:0")) as k:
        k.note("up")
        k.ctl("stop", "a")
        eq(k.lines("a"), ["last words"], "after the stop")
