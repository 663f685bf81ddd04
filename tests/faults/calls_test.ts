// A fault in each system call of what creates, changes and removes links, namespaces, tables and devices.
import { LINK_CALLS } from "./link_calls.ts";
import { testCalls } from "./trial.ts";

// Where the processor is emulated: the kinds that the machine's kernel may lack, and two others.
const inGuest = /^(Bridge|Dummy|Ipv|Macv|Veth|Vlan|Vxlan)|^(NetNs|Scope)\.open/;
const all = Object.entries(LINK_CALLS);
const calls = Deno.env.has("NETLOOM_GUEST") ? all.filter(([name]) => inGuest.test(name)) : all;
testCalls(Object.fromEntries(calls));
