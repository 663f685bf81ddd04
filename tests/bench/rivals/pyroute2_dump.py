"""Dumps the links of its namespace with pyroute2, parsed, and tells the median round.

Usage: pyroute2_dump.py ROUNDS
"""

import json
import statistics
import sys
import time

from pyroute2 import IPRoute

rounds = int(sys.argv[1])
times = []
with IPRoute() as ip:
    cpu = time.process_time()
    for _ in range(rounds):
        start = time.perf_counter()
        links = len(ip.get_links())
        times.append((time.perf_counter() - start) * 1000)
    cpu_ms = (time.process_time() - cpu) * 1000 / rounds
print(
    json.dumps(
        {
            "links": links,
            "median_ms": round(statistics.median(times), 3),
            "cpu_ms": round(cpu_ms, 3),
        }
    )
)
