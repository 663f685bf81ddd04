import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NetNs } from "../../mod.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { NETLINK } from "../../src/netlink/message.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import {
  describeTcpSocket,
  destroyTcpSocket,
  dumpTcpSockets,
  readTcpSocket,
  type TcpSocketInfo,
  type TcpState,
} from "../../src/sockdiag/inet_diag.ts";
import { source } from "../../src/netlink/bytes.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** The words of ss for states. */
const SS: Partial<Record<TcpState, string>> = { established: "ESTAB", listening: "LISTEN" };

/** A socket as ss prints it. */
function line({ state, local, remote, receiveQueue, sendQueue, inode, cookie }: TcpSocketInfo) {
  const end = ({ address, port }: { address: string; port: number }) =>
    `${address.includes(":") ? `[${address}]` : address}:${port || "*"}`;
  const word = SS[state] ?? state.toUpperCase();
  const ino = inode ? ` ino:${inode}` : "";
  return `${word} ${receiveQueue} ${sendQueue} ${end(local)} ${end(remote)}${ino} sk:${
    cookie.toString(16)
  }`;
}

function ss(netns: NetNs, options: string): string[] {
  return run(netns.ref, `ss -H -tane ${options}`).trim().split("\n").filter(Boolean)
    .map((it) => it.trim().split(/\s+/))
    .map((words) =>
      [...words.slice(0, 5), ...words.filter((word) => /^(ino|sk):/.test(word))].join(" ")
        .replace(/ ino:0\b/, "")
    ).sort();
}

async function connected(netns: NetNs, hostname: string): Promise<Disposable> {
  const stack = new DisposableStack();
  const listener = stack.use(netns.listen({ hostname, port: 80 }));
  const client = stack.use(await netns.connect({ hostname, port: 80 }));
  stack.use(await listener.accept());
  await client.write(new Uint8Array(1000));
  return stack;
}

for (
  const [family, hostname, option] of [["inet", "127.0.0.1", "-4"], ["inet6", "::1", "-6"]] as const
) {
  test(`dumpTcpSockets() lists the sockets that ss does: ${family}`, async () => {
    using netns = NetNs.create();
    using _sockets = await connected(netns, hostname);
    const connection = connectionTo(netns.ref, NETLINK.SOCK_DIAG);
    const all = connection.dump(dumpTcpSockets({ family }));
    assertEquals(all.length, 3);
    assertEquals(all.map(line).sort(), ss(netns, `-a ${option}`));
    const listening = connection.dump(dumpTcpSockets({ family, states: ["listening"] }));
    assertEquals(listening.map(({ state }) => state), ["listening"]);
  });

  test(`destroyTcpSocket() ends a connection for both programs: ${family}`, async () => {
    using netns = NetNs.create();
    using listener = netns.listen({ hostname, port: 80 });
    using client = await netns.connect({ hostname, port: 80 });
    using server = await listener.accept();
    const connection = connectionTo(netns.ref, NETLINK.SOCK_DIAG);
    const socket = connection.dump(dumpTcpSockets({ family, states: ["established"] }))
      .find(({ remote }) => remote.port === 80)!;
    connection.request(destroyTcpSocket(socket));
    await assertRejects(() => client.read(new Uint8Array(1)), Deno.errors.ConnectionAborted);
    await assertRejects(() => server.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    assertEquals(ss(netns, "state established"), []);
    // Another socket cannot be meant: its cookie is its own.
    assertThrows(() => connection.request(destroyTcpSocket(socket)), Error, "ENOENT");
  });
}

test("A socket is described as in RFC 9293, and destroyed as ss -K does", () => {
  const socket: TcpSocketInfo = {
    family: "inet6",
    state: "fin-wait-1",
    local: { address: "fd00::1", port: 43210 },
    remote: { address: "fd00::2", port: 80 },
    index: 0,
    cookie: 1n,
    receiveQueue: 0,
    sendQueue: 0,
    uid: 0,
    inode: 0,
  };
  assertEquals(describeTcpSocket(socket), "TCP [fd00::1]:43210 → [fd00::2]:80 in FIN-WAIT-1");
  assertEquals(
    destroyTcpSocket(socket).command(),
    "ss -K src '[fd00::1]:43210' dst '[fd00::2]:80'",
  );
  const listening = { ...socket, state: "listening" } as const;
  assertEquals(describeTcpSocket(listening), "TCP [fd00::1]:43210 in LISTEN");
});

test("A short message, and a state that TCP does not have, are no sockets", () => {
  const bytes = new Uint8Array(72);
  bytes[0] = 2;
  bytes[1] = 99;
  assertThrows(() => readTcpSocket(source(bytes), 0, 72), NetlinkDecodeError, "no state 99");
  for (const length of [0, 1, 71]) {
    assertThrows(
      () => readTcpSocket(source(bytes), 0, length),
      NetlinkDecodeError,
      `the message has ${length} of 72 bytes`,
    );
  }
});
