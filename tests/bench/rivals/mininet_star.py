"""Starts hosts on one switch with Mininet (Debian package mininet), and stops them. The switch is
Mininet's LinuxBridge: a bridge of the kernel, as netloom has it.

Usage: mininet_star.py HOSTS
"""

import json
import sys
import time

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

setLogLevel("error")
start = time.perf_counter()
net = Mininet(topo=SingleSwitchTopo(k=int(sys.argv[1])), switch=LinuxBridge, controller=None)
net.start()
create_ms = (time.perf_counter() - start) * 1000
start = time.perf_counter()
net.stop()
delete_ms = (time.perf_counter() - start) * 1000
print(json.dumps({"create_ms": create_ms, "delete_ms": delete_ms, "cpu_ms": time.process_time() * 1000}))
