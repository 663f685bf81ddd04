"""Adds routes below 10.0.0.0/8 through the link v0 with pyroute2's batch compiler, its fastest way, and
flushes them.

Usage: pyroute2_routes.py ROUTES
"""

import json
import struct
import sys
import time

from pyroute2 import IPBatch, IPRoute

CHUNK = 100
NLMSG_ERROR = 2


def read_answers(ip, count):
    """Reads one acknowledgement per request and raises on the first error among them."""
    while count > 0:
        data = ip.recv(65536)
        at = 0
        while at < len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            (error,) = struct.unpack_from("=i", data, at + 16)
            if kind != NLMSG_ERROR or error != 0:
                raise OSError(-error, f"message of type {kind}")
            count -= 1
            at += (length + 3) & ~3


def add(ip, routes, oif):
    for first in range(0, routes, CHUNK):
        numbers = range(first, min(first + CHUNK, routes))
        batch = IPBatch()
        for n in numbers:
            destination = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32"
            batch.route("add", dst=destination, gateway="192.0.2.2", oif=oif)
        ip.sendto(batch.batch, (0, 0))
        read_answers(ip, len(numbers))


with IPRoute() as ip:
    (oif,) = ip.link_lookup(ifname="v0")
    cpu = time.process_time()
    start = time.perf_counter()
    add(ip, int(sys.argv[1]), oif)
    add_ms = (time.perf_counter() - start) * 1000
    cpu_ms = (time.process_time() - cpu) * 1000
    start = time.perf_counter()
    ip.flush_routes(table=254, gateway="192.0.2.2")
    flush_ms = (time.perf_counter() - start) * 1000
result = {"add_ms": add_ms, "flush_ms": flush_ms, "cpu_ms": cpu_ms}
print(json.dumps({key: round(value, 3) for key, value in result.items()}))
