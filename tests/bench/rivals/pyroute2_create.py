"""Creates veth pairs with pyroute2's batch compiler, its fastest way: requests are compiled into
one buffer and sent together, a hundred at a time so that every answer fits the receive buffer.

Usage: pyroute2_create.py PAIRS
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


def create(ip, pairs):
    for first in range(0, pairs, CHUNK):
        numbers = range(first, min(first + CHUNK, pairs))
        batch = IPBatch()
        for n in numbers:
            batch.link("add", ifname=f"v{n}", kind="veth", peer=f"p{n}")
        ip.sendto(batch.batch, (0, 0))
        read_answers(ip, len(numbers))


with IPRoute() as ip:
    cpu = time.process_time()
    start = time.perf_counter()
    create(ip, int(sys.argv[1]))
    create_ms = (time.perf_counter() - start) * 1000
    cpu_ms = (time.process_time() - cpu) * 1000
print(json.dumps({"create_ms": round(create_ms, 3), "cpu_ms": round(cpu_ms, 3)}))
