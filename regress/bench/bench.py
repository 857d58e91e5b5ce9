#!/usr/bin/env python3
"""Take the figures of `make bench`: ratios against a floor or a peer, all in
one run on this machine, medians of several rounds.  Prints a table and writes
.build/bench.json.  A figure that misses its goal is marked, and is no error:
machines are shared and noisy."""

import argparse
import atexit
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
rows = []
as_user = []    # root runs keepd as an ordinary user, the usual case


def row(name, ours, peer, peer_name, ratio, goal, good):
    rows.append({"measure": name, "ours": ours, "peer": peer,
                 "peer_name": peer_name, "ratio": ratio, "goal": goal,
                 "good": good})
    mark = {True: "ok", False: "MISSED", None: "-"}[good]
    print(f"{name:34} {ours:>14} {peer:>14} {peer_name:18} "
          f"{ratio:>8} {goal:>10} {mark}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_fifo(path):
    os.mkfifo(path)
    os.chmod(path, 0o666)


class Keepd:
    """keepd in a fresh directory, ended by pid."""

    def __init__(self, bindir, services, extra=""):
        self.dir = tempfile.mkdtemp(prefix="keepd-bench.")
        self.port = free_port()
        self.sock = f"{self.dir}/sock"
        self.bindir = bindir
        conf = f"{self.dir}/keepd.conf"
        with open(conf, "w") as f:
            f.write(f"listen on 127.0.0.1 port {self.port}\n"
                    f'control socket "{self.sock}"\n'
                    f'state directory "{self.dir}/state"\n'
                    f'log directory "{self.dir}/log"\necho no\n{extra}\n{services}')
        os.chmod(conf, 0o600)
        if as_user:
            shutil.chown(self.dir, "nobody")
            shutil.chown(conf, "nobody")
        env = dict(os.environ, HOME=self.dir)
        ready, notify = self._notify(env)
        args = [*as_user, f"{bindir}/sbin/keepd", "-d", "-f", conf]
        self.err = open(f"{self.dir}/err", "w")
        self.proc = subprocess.Popen(args, env=env, stdout=subprocess.DEVNULL,
                                     stderr=self.err, cwd=self.dir)
        ready.settimeout(20)
        while b"READY=1" not in ready.recv(4096):
            pass
        ready.close()
        os.unlink(notify)

    def _notify(self, env):
        path = f"{self.dir}/notify"
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(path)
        os.chmod(path, 0o666)
        env["NOTIFY_SOCKET"] = path
        return s, path

    def ctl(self, *args, check=True):
        return subprocess.run([f"{self.bindir}/bin/keepctl", "-s", self.sock,
                               *args], capture_output=True, text=True,
                              check=check, timeout=120)

    def pids(self):
        out = [self.proc.pid]
        for pid in list(out):
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                out += [int(p) for p in f.read().split()]
        names = {}
        for pid in out:
            with open(f"/proc/{pid}/comm") as f:
                names[pid] = f.read().strip()
        for pid, name in list(names.items()):
            if name == "logger":
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    names.update({int(p): "searcher" for p in f.read().split()})
        return names

    def close(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
        self.err.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def stamps(fifo_path, rounds, first_pid=None):
    """Kill the child whose stamp was read, wait for the next: seconds each."""
    out = []
    with open(fifo_path) as fifo:
        fd_keep = os.open(fifo_path, os.O_WRONLY)    # never end of file
        start, pid = fifo.readline().split()
        for _ in range(rounds):
            time.sleep(0.02)      # let everything come to rest
            t0 = time.monotonic_ns()
            os.kill(int(pid), signal.SIGKILL)
            start, pid = fifo.readline().split()
            out.append((int(start) - t0) / 1e6)
        os.close(fd_keep)
    return out, int(pid)


def bench_respawn(b, tmp):
    fifo = f"{tmp}/stamp"
    make_fifo(fifo)
    floor_ms, keepd_ms = [], []
    for _ in range(3):
        p = subprocess.Popen([f"{b}/regress/bench-floor",
                              f"{b}/regress/bench-stamp", fifo])
        ms, _pid = stamps(fifo, 40)
        floor_ms += ms
        p.kill()
        p.wait()
        k = Keepd(b, f'service s {{\n command {{ "{os.path.abspath(b)}/regress/bench-stamp"'
                     f' "{fifo}" }}\n restart always\n backoff none\n attempts 0\n}}\n')
        ms, _pid = stamps(fifo, 40)
        keepd_ms += ms
        k.close()
    os.unlink(fifo)
    f, o = statistics.median(floor_ms), statistics.median(keepd_ms)
    row("crash -> next process runs", f"{o:.2f} ms", f"{f:.2f} ms", "floor",
        f"{o / f:.2f}", "<= 1.30", o / f <= 1.3)


def bench_ingest(b, tmp):
    fifo = f"{tmp}/gen"
    make_fifo(fifo)
    gen = os.path.abspath(f"{b}/regress/bench-gen")

    def one(start):
        start()
        with open(fifo) as f:
            ns, lines = f.readline().split()
        return 1024 / (int(ns) / 1e9), int(lines)

    cat, ours, lost = [], [], 0
    k = Keepd(b, f'service g {{\n command {{ "{gen}" "1024" "65536" "{fifo}" }}\n'
                 f' autostart no\n log lines 1000000 runs 1\n log ring 16M\n}}\n')
    for _ in range(3):
        p = []
        mbs, _n = one(lambda: p.append(subprocess.Popen(
            f"'{gen}' 1024 65536 '{fifo}' | cat >/dev/null", shell=True)))
        p[0].wait()
        cat.append(mbs)
        mbs, lines = one(lambda: k.ctl("start", "--no-wait", "g"))
        ours.append(mbs)
        k.ctl("wait", "g", "--exit", "--timeout", "60s", check=False)
        last = json.loads(k.ctl("-j", "logs", "g", "-n", "1").stdout)
        lost += lines - last["entries"][0]["line"]
    k.close()
    o, c = statistics.median(ours), statistics.median(cat)
    row("ingest 1 GiB, 64 KiB writes", f"{o:.0f} MB/s", f"{c:.0f} MB/s",
        "child | cat", f"{o / c:.2f}", ">= 1.00", o >= c)
    row("  lines lost", str(lost), "0", "", "", "0", lost == 0)


def bench_search(b, tmp, peers):
    fifo = f"{tmp}/gen2"
    make_fifo(fifo)
    gen = os.path.abspath(f"{b}/regress/bench-gen")
    k = Keepd(b, f'service g {{\n command {{ "{gen}" "1000" "65536" "{fifo}" }}\n'
                 f' autostart no\n log lines 20000000 runs 1\n log ring 1G\n}}\n',
              "limit search time 30s\n")
    k.ctl("start", "--no-wait", "g")
    with open(fifo) as f:
        f.readline()
    k.ctl("wait", "g", "--exit", "--timeout", "60s", check=False)
    data = f"/dev/shm/keepd-bench.{os.getpid()}"
    with open(data, "wb") as out, subprocess.Popen(
            [gen, "1000", "65536", fifo], stdout=out) as p:
        with open(fifo) as f:
            f.readline()
        p.wait()
    patterns = ["error.*timeout", "deadbeefcafe", "request",
                "(?i)connection refused", "latency_ms=[0-9]{4} *$",
                "panic|fatal|segfault|oom-kill|assert"]
    for n, pattern in enumerate(patterns):
        ours, rg = [], []
        for _ in range(3):
            t0 = time.monotonic()
            k.ctl("search", "g", pattern, "--tail", "1")
            ours.append(time.monotonic() - t0)
            if peers and shutil.which("rg"):
                t0 = time.monotonic()
                subprocess.run(["rg", "-c", pattern, data],
                               stdout=subprocess.DEVNULL, check=False)
                rg.append(time.monotonic() - t0)
        o = statistics.median(ours)
        if rg:
            r = statistics.median(rg)
            row(f"search 1 GiB {pattern[:20]}", f"{o * 1e3:.0f} ms",
                f"{r * 1e3:.0f} ms", "ripgrep", f"{o / r:.2f}",
                "<= 1.00" if n == 0 else "-", (o <= r) if n == 0 else None)
    os.unlink(data)
    k.close()


LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.body = [[{"jsonrpc":"2.0","id":1,"method":"tools/call",
"params":{"name":"get_status","arguments":{}}}]]
"""


def wrk(port, script, conns):
    p = subprocess.run(["wrk", "-t1", f"-c{conns}", "-d3s", "--latency", "-s",
                        script, f"http://127.0.0.1:{port}/mcp"],
                       capture_output=True, text=True, check=True)
    if "Non-2xx" in p.stdout:
        sys.exit(f"bench: port {port} answered with errors:\n{p.stdout}")
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", p.stdout)[1])
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", p.stdout)
    return rate, float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]]


def bench_status(b, tmp, peers):
    if not shutil.which("wrk"):
        print("get_status: wrk is not installed, not measured")
        return
    script = f"{tmp}/post.lua"
    with open(script, "w") as f:
        f.write(LUA)
    k = Keepd(b, "".join(f'service s{i} {{\n command {{ "/bin/sleep" "3600" }}\n}}\n'
                         for i in range(10)),
              "limit connections 256\nlimit connections per user 128\n")
    bare = subprocess.Popen([f"{b}/regress/bench-evhttp"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    servers = {"evhttp": (bare, int(bare.stdout.readline()))}
    if peers and node_peer(tmp):
        p = subprocess.Popen(["node", f"{tmp}/node/server.mjs"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        servers["SDK on Node"] = (p, int(p.stdout.readline()))
    for conns in (1, 16, 64):
        o, o99 = wrk(k.port, script, conns)
        for name, (_p, port) in servers.items():
            r, r99 = wrk(port, script, conns)
            goal, good = "-", None
            if name != "evhttp":
                goal, good = ">= 15", o / r >= 15 if conns == 16 else None
            row(f"get_status, {conns} connections", f"{o:.0f}/s p99 {o99:.1f}",
                f"{r:.0f}/s {r99:.1f}", name, f"{o / r:.2f}", goal, good)
    for p, _port in servers.values():
        p.stdin.close()
        p.wait(10)
    bench_idle(k)
    k.close()


def node_peer(tmp):
    if not shutil.which("npm"):
        print("get_status: npm is not installed, no comparison with the SDK")
        return False
    shutil.copytree(f"{HERE}/node", f"{tmp}/node")
    p = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"],
                       cwd=f"{tmp}/node", check=False)
    if p.returncode != 0:
        print("get_status: npm ci failed, no comparison with the SDK")
    return p.returncode == 0


def switches(pid):
    with open(f"/proc/{pid}/status") as f:
        return sum(int(n) for n in re.findall(r"ctxt_switches:\s*(\d+)", f.read()))


def pss_kib(pid):
    """PSS without the rings, which are the logger's data, not its cost."""
    total, ring = 0, False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-", line):
                ring = "memfd:" in line
            elif line.startswith("Pss:") and not ring:
                total += int(line.split()[1])
    return total


def bench_idle(k):
    pids = k.pids()
    time.sleep(3)
    before = {p: switches(p) for p in pids}
    time.sleep(30)
    woken = {n: switches(p) - before[p] for p, n in pids.items()}
    n = sum(woken.values())
    row("idle wake-ups in 30 s", str(n), "0", "s6", "", "0", n == 0)
    # keepd's processes are not dumpable: only root may look into them.
    if os.geteuid() != 0:
        print("idle memory: not measured, only root can read it")
        return
    kib = sum(pss_kib(p) for p in pids)
    row("idle memory, 10 services (PSS)", f"{kib / 1024:.1f} MiB", "4.2 MiB", "s6 (known)",
        "", "<= 5 MiB", kib <= 5 * 1024)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--bin", default=".build/gcc")
    ap.add_argument("--no-peers", action="store_true")
    ap.add_argument("--only", default="respawn,ingest,search,status")
    a = ap.parse_args()
    out = open(".build/bench.json", "w")
    if os.geteuid() == 0:
        as_user.extend(["setpriv", "--reuid=nobody", "--regid=nogroup",
                        "--clear-groups"])
        where = tempfile.mkdtemp(prefix="keepd-bench-bin.")
        os.chmod(where, 0o755)
        shutil.copytree(a.bin, f"{where}/b", ignore=shutil.ignore_patterns("obj"))
        atexit.register(shutil.rmtree, where)
        a.bin = f"{where}/b"
    print(f"{'measure':34} {'ours':>14} {'peer':>14} {'':18} {'ratio':>8} {'goal':>10}")
    with tempfile.TemporaryDirectory(prefix="keepd-bench.") as tmp:
        os.chmod(tmp, 0o755)
        os.environ["npm_config_cache"] = f"{tmp}/npm"
        only = a.only.split(",")
        if "respawn" in only:
            bench_respawn(a.bin, tmp)
        if "ingest" in only:
            bench_ingest(a.bin, tmp)
        if "search" in only:
            bench_search(a.bin, tmp, not a.no_peers)
        if "status" in only:
            bench_status(a.bin, tmp, not a.no_peers)
    json.dump(rows, out, indent=1)
    missed = [r["measure"] for r in rows if r["good"] is False]
    print(f"{len(missed)} of {len(rows)} figures missed their goal"
          + (": " + "; ".join(missed) if missed else ""))


if __name__ == "__main__":
    main()
