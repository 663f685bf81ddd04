// The calls that create, change and remove rules and nexthops.
import type { Call } from "./trial.ts";

export const ROUTING_CALLS: Readonly<Record<string, Call>> = {
  "netns.rules.add()": {
    make: ({ near }) => void near.rules.add({ from: "10.7.0.0/16", table: 100, priority: 100 }),
    undo: ({ near }) => void near.rules.delete({ priority: 100 }),
  },
  "netns.rules.delete()": {
    prepare: ({ near }) => void near.rules.add({ from: "10.7.0.0/16", table: 100, priority: 100 }),
    make: ({ near }) => void near.rules.delete({ priority: 100 }),
  },
  "netns.rules.flush()": {
    prepare: ({ near }) => void near.rules.add({ from: "10.7.0.0/16", table: 100, priority: 100 }),
    make: ({ near }) => void near.rules.flush(),
  },
  "netns.nexthops.add()": {
    make: ({ near }) => void near.nexthops.add({ id: 7, gateway: "10.0.0.3", dev: "br0" }),
    undo: ({ near }) => void near.nexthops.delete(7),
  },
  "netns.nexthops.replace()": {
    prepare: ({ near }) => void near.nexthops.add({ id: 7, gateway: "10.0.0.3", dev: "br0" }),
    make: ({ near }) => void near.nexthops.replace({ id: 7, gateway: "10.0.0.4", dev: "br0" }),
  },
  "netns.nexthops.delete()": {
    prepare: ({ near }) => void near.nexthops.add({ id: 7, gateway: "10.0.0.3", dev: "br0" }),
    make: ({ near }) => void near.nexthops.delete(7),
  },
  "netns.nexthops.flush()": {
    prepare: ({ near }) => void near.nexthops.add({ id: 7, gateway: "10.0.0.3", dev: "br0" }),
    make: ({ near }) => void near.nexthops.flush(),
  },
};
