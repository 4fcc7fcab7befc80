"""What the benchmarks measure with: kete and its peers as processes, and what those cost."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests/peers/target/release"
NODE_PEER = ROOT / "tests/peers/node"
NODE_SERVER = ROOT / "tests/servers/node"
CACHE = ROOT / "tests/.cache/bench"
CERTIFICATES = ROOT / "tests/.cache/certificates"
AUTHORITY = CERTIFICATES / "ca.pem"
SERVER = CERTIFICATES / "servers/good"
CLIENT = CERTIFICATES / "clients/p256"
# Trusted by OpenSSL, rustls and our own peers, and by Node.
TRUST = {"SSL_CERT_FILE": str(AUTHORITY), "NODE_EXTRA_CA_CERTS": str(AUTHORITY)}
KETE = ROOT / "target/release/kete"
ENGINES = PEERS / "engines"
DEADLINE_S = 120


# --- kete and its peers -------------------------------------------------------------------------


def pipeline_config(url):
    config = {
        "kete.sources.in.kind": "stdin",
        "kete.routes.bench.realm-matchers.all": "glob:*",
        "kete.routes.bench.destination.kind": "socketio",
        "kete.routes.bench.destination.url": url,
        "kete.routes.bench.destination.event-name": "keycloak-event",
        "kete.log.level": "error",
    }
    if url.startswith("https:"):
        store = "kete.routes.bench.destination.tls.trust-store"
        config[f"{store}.loader.kind"] = "pem-file-path"
        config[f"{store}.loader.path"] = AUTHORITY
        config[f"{store}.include-system-roots"] = "false"
    return config


def webhook_config(url):
    config = pipeline_config(url)
    config["kete.sources.in.kind"] = "webhook"
    config["kete.sources.in.bind"] = "127.0.0.1:PORT"
    config["kete.admin.bind"] = "127.0.0.1:ADMIN"
    return config


def write_config(config, folder):
    path = Path(folder) / "kete.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in config.items()))
    return path


class Spent:
    """What a finished child took."""

    def __init__(self, seconds, usage, peak_rss_kb):
        self.seconds = seconds
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss_kb = peak_rss_kb


def run_kete(config, events):
    """Runs a job to its end and says what it took."""
    with tempfile.TemporaryDirectory() as folder, open(events, "rb") as stdin:
        command = [KETE, "run", "--config", write_config(config, folder)]
        before = time.monotonic()
        child = subprocess.Popen(command, stdin=stdin)
        peak, done = 0, 0
        while not done:
            # A child's ru_maxrss begins with the memory of the parent that it was forked from, so
            # the high-water mark is read off while it runs.
            peak = max(peak, status_kb(child.pid, "VmHWM"))
            done, code, usage = os.wait4(child.pid, os.WNOHANG)
            time.sleep(0 if done else 0.001)
        seconds = time.monotonic() - before
        child.returncode = os.waitstatus_to_exitcode(code)
        check(child.returncode == 0, f"kete ended with {child.returncode}")
    return Spent(seconds, usage, peak)


class Kete:
    """A running kete, ready, and connected unless there is nobody to connect to."""

    def __init__(self, config, stdin=os.devnull, connects=True):
        self.folder = tempfile.TemporaryDirectory()
        self.webhook, self.admin = free_address(), free_address()
        text = {key: str(value).replace("127.0.0.1:PORT", self.webhook)
                .replace("127.0.0.1:ADMIN", self.admin) for key, value in config.items()}
        command = [KETE, "run", "--config", write_config(text, self.folder.name)]
        started = time.monotonic()
        with open(stdin, "rb") as source:
            self.child = subprocess.Popen(command, stdin=source)
        self.pid = self.child.pid
        wait_for(lambda: get(f"http://{self.admin}/health/ready"), "kete is ready")
        self.ready_after = time.monotonic() - started
        connected = 'kete_route_connections{route="bench"} 1'
        if connects:
            wait_for(lambda: connected in self.metrics(), "kete is connected")

    def metrics(self):
        return get(f"http://{self.admin}/metrics")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        check(self.child.wait(DEADLINE_S) == 0, "kete ended well")
        self.folder.cleanup()


class Server:
    """A server that prints its port, stopped by its process id."""

    def __init__(self, command):
        command = [str(part) for part in command]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.pid = self.child.pid
        self.address = f"127.0.0.1:{json.loads(self.child.stdout.readline())['port']}"
        self.url = f"http://{self.address}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(DEADLINE_S)
        self.child.stdout.close()


class Sink(Server):
    """The sink, which only counts."""

    def __init__(self, *arguments):
        super().__init__([PEERS / "sink", *arguments])

    def summary(self):
        return json.loads(get(f"http://{self.address}/summary"))

    def expect(self, events):
        seen = self.summary()["events"]
        check(seen >= events, f"the sink saw {seen} of {events} events")


class TlsSink(Sink):
    """A sink that takes events over TLS only."""

    def __init__(self):
        super().__init__("--tls-cert", SERVER.with_suffix(".pem"),
                         "--tls-key", SERVER.with_suffix(".key"))
        self.url = f"https://{self.address}"


# --- help ---------------------------------------------------------------------------------------


def output(command, variables=None):
    command = [str(part) for part in command]
    environment = {**os.environ, **(variables or {})}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env=environment).stdout


def on_core(choose):
    """What keeps a command on one of our cores: the one with the least or the greatest number."""
    return ["taskset", "--cpu-list", str(choose(os.sched_getaffinity(0)))]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def listens(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=1):
        return True


def wait_for(holds, what):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"tests/bench/run: gave up waiting until {what}")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_kb(pid, name):
    """A figure of /proc/PID/status; 0 once the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def check(holds, what):
    if not holds:
        sys.exit(f"tests/bench/run: {what}")


def rate(events, seconds):
    return f"{events / seconds:,.0f}"


def mib(kib):
    return f"{kib / 1024:.1f}"


def say(text):
    print(f"== {text}", file=sys.stderr, flush=True)


def table(title, head, rows):
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    print(title)
    for row in [head, *rows]:
        cells = [cell.ljust(width) if index == 0 else cell.rjust(width)
                 for index, (cell, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())
