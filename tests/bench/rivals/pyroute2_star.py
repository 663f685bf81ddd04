"""Creates hosts on a bridge with pyroute2, each in a named namespace, and removes them.

Usage: pyroute2_star.py HOSTS
"""

import json
import os
import sys
import time

from pyroute2 import IPRoute, NetNS, netns

hosts = int(sys.argv[1])
prefix = f"nlb{os.getpid()}-"
hub = prefix + "hub"
names = [f"{prefix}{n}" for n in range(1, hosts + 1)]

try:
    start = time.perf_counter()
    with IPRoute() as here:
        netns.create(hub)
        with NetNS(hub) as switch:
            switch.link("add", ifname="br0", kind="bridge")
            bridge = switch.link_lookup(ifname="br0")[0]
            switch.link("set", index=bridge, state="up")
            for n, name in enumerate(names, 1):
                netns.create(name)
                port = {"ifname": f"h{n}", "net_ns_fd": hub}
                with NetNS(name) as host:
                    host.link("add", ifname="eth0", kind="veth", peer=port)
                    eth0 = host.link_lookup(ifname="eth0")[0]
                    host.addr("add", index=eth0, address=f"10.1.{n >> 8}.{n & 255}", mask=16)
                    host.link("set", index=eth0, state="up")
                index = switch.link_lookup(ifname=f"h{n}")[0]
                switch.link("set", index=index, master=bridge, state="up")
    create_ms = (time.perf_counter() - start) * 1000
finally:
    start = time.perf_counter()
    for name in [hub, *names]:
        try:
            netns.remove(name)
        except OSError:
            pass
    delete_ms = (time.perf_counter() - start) * 1000
print(json.dumps({"create_ms": create_ms, "delete_ms": delete_ms, "cpu_ms": time.process_time() * 1000}))
