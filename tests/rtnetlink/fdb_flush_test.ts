import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetlinkError } from "../../src/netlink/error.ts";
import { dumpFdb, type FdbFlushFilter, flushFdb } from "../../src/rtnetlink/mod.ts";
import { run } from "../helpers.ts";
import { needing } from "../leaks.ts";
import { BR0, BRIDGE, lacking, Testbed, V0, V1 } from "./testbed.ts";

const lacks = lacking(...BRIDGE, "bridge fdb flush dev br0");

/** A bridge with an entry of each kind: on two ports, static, dynamic and permanent, sticky, learned. */
function crowded(): Testbed {
  return new Testbed(
    ...BRIDGE,
    "ip link add v2 index 14 address 02:00:00:00:00:14 master br0 type veth peer name v3",
    "bridge fdb add 02:00:00:00:01:01 dev v1 master static",
    "bridge fdb add 02:00:00:00:01:02 dev v1 master dynamic",
    "bridge fdb add 02:00:00:00:01:03 dev v1 master permanent",
    "bridge fdb add 02:00:00:00:01:04 dev v1 master static sticky",
    "bridge fdb add 02:00:00:00:01:05 dev v1 master static extern_learn",
    "bridge fdb add 02:00:00:00:01:06 dev v2 master static",
    "bridge fdb add 02:00:00:00:01:07 dev br0 self permanent",
  );
}

/** The last bytes of the addresses left. */
function left({ connection }: Testbed): number[] {
  return connection.dump(dumpFdb({ bridge: BR0 }))
    .filter(({ mac }) => mac.startsWith("02:00:00:00:01:"))
    .map(({ mac }) => parseInt(mac.slice(-2), 16)).sort();
}

// An entry learned elsewhere counts as dynamic, whatever state it was given.
const FLUSHES: [filter: FdbFlushFilter, left: number[]][] = [
  [{}, []],
  [{ state: "static" }, [2, 3, 5, 7]],
  [{ state: "dynamic" }, [1, 3, 4, 6, 7]],
  [{ state: "permanent" }, [1, 2, 4, 5, 6]],
  [{ index: 14 }, [1, 2, 3, 4, 5, 7]],
  [{ index: V1, state: "static" }, [2, 3, 5, 6, 7]],
  [{ sticky: true }, [1, 2, 3, 5, 6, 7]],
  [{ sticky: false, state: "static" }, [2, 3, 4, 5, 7]],
  [{ extLearned: true }, [1, 2, 3, 4, 6, 7]],
  [{ extLearned: false, sticky: false, index: V1, state: "static" }, [2, 3, 4, 5, 6, 7]],
  [{ offloaded: true }, [1, 2, 3, 4, 5, 6, 7]],
  [{ addedByUser: false, state: "static" }, [1, 2, 3, 4, 5, 6, 7]],
  [{ addedByUser: true, state: "dynamic" }, [1, 3, 4, 6, 7]],
  [{ vlan: 77 }, [1, 2, 3, 4, 5, 6, 7]],
];

for (const [filter, expected] of FLUSHES) {
  Deno.test({
    ...needing(
      { lacks },
      `flushFdb() removes what its filter says, as bridge does: ${JSON.stringify(filter)}`,
    ),
    fn: () => {
      const request = flushFdb(BR0, filter);
      using testbed = crowded();
      assertEquals(left(testbed), [1, 2, 3, 4, 5, 6, 7]);
      testbed.connection.request(request);
      assertEquals(left(testbed), expected);
      using commanded = crowded();
      run(commanded.netns, request.command());
      assertEquals(left(commanded), expected);
    },
  });
}

Deno.test("flushFdb() of a link that has no table is refused", () => {
  using testbed = new Testbed();
  const error = assertThrows(() => testbed.connection.request(flushFdb(V0)), NetlinkError);
  assert(["EOPNOTSUPP", "EINVAL"].includes(error.code));
});
