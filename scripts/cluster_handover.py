#!/usr/bin/env python3
"""How long those who send are kept waiting while partitions move: a node is drained, comes back, and one is killed.

Needs what scripts/test-services.sh starts, and a release binary: cargo build --release --bin lockstep.

    scripts/cluster_handover.py [--lease-ms 10000] [--partitions 256] [--senders 8]

Three nodes share a database. Senders receive goods for SKUs in all partitions over HTTP at a node that stays, one request after the
other; who is told to come again sends the same once more after 10 ms. A wait is from the first time a message is sent until it is
acknowledged, by whichever node has its partition by then. Everything shares the cores of one machine.
"""

import argparse
import http.client
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCKSTEP = ROOT / "target/release/lockstep"
AGAIN_AFTER = 0.01


def ask(database, query):
    command = ["psql", "-q", "-At", "-h", "127.0.0.1", "-U", "postgres", "-w", "-d", database, "-c", query]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Cluster:
    """Three nodes on a database of their own."""

    def __init__(self, work, partitions, lease_ms):
        self.work, self.partitions, self.lease_ms = work, partitions, lease_ms
        self.name = f"handover_{os.getpid()}"
        self.nodes = {}
        ask("postgres", f"create database {self.name}")

    def config(self, node):
        path = self.work / f"{node}.toml"
        path.write_text(
            f"""
[node]
shards = 1
[store]
kind = "postgres"
partitions = {self.partitions}
[store.postgres]
url = "postgres://postgres@127.0.0.1:5432/{self.name}"
[cluster]
name = "node-{node}"
listen = "127.0.0.1:{8580 + node}"
lease_ms = {self.lease_ms}
[http]
listen = "127.0.0.1:{8680 + node}"
keys = "{self.work}/keys.toml"
anonymous_on_loopback = true
"""
        )
        return path

    def start(self, node):
        log = open(self.work / f"{node}.log", "ab")
        command = [LOCKSTEP, "serve", "--cluster", "--config", self.config(node)]
        self.nodes[node] = subprocess.Popen(command, stderr=log)

    def owned(self):
        rows = ask(self.name, "select owner, count(*) from lockstep.placement where owner is not null group by owner")
        return sorted(int(row.split("|")[1]) for row in rows.splitlines())

    def until(self, owners):
        """Waits until so many nodes have everything in even shares."""
        while True:
            try:
                owned = self.owned()
            except subprocess.CalledProcessError:
                owned = []  # The tables are not there yet.
            if len(owned) == owners and sum(owned) == self.partitions and owned[-1] - owned[0] <= 1:
                return
            time.sleep(0.02)

    def end(self):
        for process in self.nodes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.nodes.values():
            process.wait()
        ask("postgres", f"drop database {self.name} with (force)")


class Senders:
    """Threads that receive goods at one node, each for its own SKUs."""

    def __init__(self, port, count, skus):
        self.port, self.stopping, self.waits = port, False, []
        self.threads = [threading.Thread(target=self.send, args=(place, count, skus)) for place in range(count)]
        for thread in self.threads:
            thread.start()

    def send(self, place, count, skus):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        number = 0
        while not self.stopping:
            number += 1
            sku = f"SKU-{(number * count + place) % skus:05}"
            document = f"R-{place}-{number}"
            change = {"receipt": {"quantity": 1, "document": document}}
            body = json.dumps({"sku": sku, "warehouse": "W1", "change": change})
            headers = {"content-type": "application/json", "idempotency-key": document}
            began = time.monotonic()
            while True:
                try:
                    connection.request("POST", "/v1/stock-events", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status < 300:
                        break
                    if answer.status != 503:
                        raise SystemExit(f"{answer.status} for {document}")
                except (http.client.HTTPException, OSError):
                    connection.close()
                time.sleep(AGAIN_AFTER)
            self.waits.append((began, time.monotonic()))

    def report(self, what, since):
        waits = sorted(1000 * (end - began) for began, end in self.waits if end >= since)
        p50, p99 = (waits[int(len(waits) * share)] for share in (0.5, 0.99))
        print(f"{what:<42} {len(waits):>7} sent, p50 {p50:>6.1f} ms, p99 {p99:>7.1f} ms, longest wait {waits[-1]:>8.1f} ms", flush=True)

    def end(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lease-ms", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=256)
    parser.add_argument("--senders", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        cluster = Cluster(pathlib.Path(work), options.partitions, options.lease_ms)
        try:
            for node in (1, 2, 3):
                cluster.start(node)
            cluster.until(3)
            senders = Senders(8681, options.senders, 4 * options.partitions)
            try:
                measure(cluster, senders, options.lease_ms / 1000)
            finally:
                senders.end()
        finally:
            cluster.end()


def measure(cluster, senders, lease):
    time.sleep(5)
    since = time.monotonic()
    time.sleep(10)
    senders.report("nothing moves, 10 s", since)

    since = time.monotonic()
    drain = [LOCKSTEP, "cluster", "drain", "node-2", "--config", cluster.config(2)]
    subprocess.run(drain, check=True, stdout=subprocess.DEVNULL)
    cluster.until(2)
    moved = time.monotonic() - since
    time.sleep(1)
    senders.report(f"node-2 drained, all moved after {moved:.1f} s", since)

    cluster.nodes[2].send_signal(signal.SIGTERM)
    cluster.nodes[2].wait()
    since = time.monotonic()
    cluster.start(2)
    cluster.until(3)
    joined = time.monotonic() - since
    time.sleep(1)
    senders.report(f"node-2 back, has its share after {joined:.1f} s", since)

    since = time.monotonic()
    cluster.nodes[3].kill()
    cluster.nodes[3].wait()
    del cluster.nodes[3]
    cluster.until(2)
    time.sleep(lease / 2)
    senders.report(f"node-3 killed, a lease is {lease:.0f} s", since)


if __name__ == "__main__":
    main()
