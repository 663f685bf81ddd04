// What segment() and Coalescer make, judged by the kernel as receiver and router, and by tcpdump.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { NetNs, PacketBatch, Tun, UdpSocket, writeSegmented } from "../../mod.ts";
import { Coalescer, Ipv4, Ipv6, segment, VirtioNetHeader } from "../../src/packet/mod.ts";
import { test } from "../leaks.ts";
import { packetOf, packetsIn, payloadOf } from "../packet/flows.ts";
import { tcpdump } from "../packet/tcpdump.ts";

const PORT = 2000;
const VERSIONS = [4, 6] as const;
/** No link-local addresses, nor what is sent to get them. */
const QUIET = { nodad: true, addrGenMode: "none" } as const;
const soon = () => AbortSignal.timeout(20_000);

/** Checks every packet's checksums. */
function assertSums(packets: readonly Uint8Array[]): void {
  const text = tcpdump(packets, "ip", "-vv");
  assertEquals(text.match(/incorrect|bad [\w ]*cksum.*/g), null);
  assertEquals(text.match(/\(correct\)|udp sum ok/g)?.length, packets.length);
}

/** How many packets a namespace has found to have a wrong checksum. */
function wrong(netns: NetNs): number {
  const [v4, v6] = netns.run(() =>
    ["snmp", "snmp6"].map((file) => Deno.readTextFileSync(`/proc/thread-self/net/${file}`))
  ) as [string, string];
  const lines = v4.trim().split("\n").map((line) => line.split(" "));
  let sum = 0;
  // Names are in a line of their own, above the numbers.
  for (const [i, names] of lines.entries()) {
    const at = names.indexOf("InCsumErrors");
    if (at > 0) sum += Number(lines[i + 1]![at]);
  }
  for (const [, count] of v6.matchAll(/InCsumErrors\s+(\d+)/g)) sum += Number(count);
  return sum;
}

/** Waits until an address answers: IPv6 ones do a little after they were given. */
async function reach(from: NetNs, address: string): Promise<void> {
  for (let i = 0; i < 20; i++) {
    if ((await from.ping(address, { timeout: 500 })).received === 1) return;
  }
  throw new Error(`${address} does not answer`);
}

/** Two namespaces, a TUN in each, .1 with offloads and .2 without, and this program between them. */
class Path implements Disposable {
  readonly near = NetNs.create();
  readonly far = NetNs.create();
  readonly #near = this.#open(this.near, 1, true);
  readonly #far = this.#open(this.far, 2, false);
  /** What segment() has made. */
  readonly segments: Uint8Array[] = [];
  /** GSO packets that were split, and that were merged. */
  split = 0;
  merged = 0;
  /** Rejects when the program fails, or is ended. */
  readonly running: Promise<never[]> = Promise.all([this.#there(), this.#back()]);

  #open(netns: NetNs, n: number, offloads: boolean): Tun {
    const addresses = [`10.9.0.${n}/24`, `2001:db8::${n}/64`];
    return Tun.create({ name: "t0", netns, up: true, ...QUIET, addresses, offloads });
  }

  async #there(): Promise<never> {
    const bytes = new Uint8Array(65_600);
    const packet = new VirtioNetHeader();
    const output = new PacketBatch({ packets: 256, size: 2048 });
    for (;;) {
      packet.point(bytes, 0, await this.#near.read(bytes));
      if (packet.gsoType !== 0) this.split++;
      output.clear();
      assertEquals(segment(packet, output), 0);
      this.segments.push(...packetsIn(output).filter(hasPorts));
      await this.#far.writeBatch(output);
    }
  }

  async #back(): Promise<never> {
    const input = new PacketBatch();
    const output = new PacketBatch();
    const coalescer = new Coalescer(output);
    for (;;) {
      await this.#far.readBatch(input);
      for (const packet of packetsIn(input)) assert(coalescer.add(packet));
      this.merged += packetsIn(output).filter((packet) => packet[1] !== 0).length;
      await writeSegmented(this.#near, output);
      coalescer.clear();
    }
  }

  /** The address of the far namespace, when it answers. */
  async address(version: 4 | 6): Promise<string> {
    const address = version === 4 ? "10.9.0.2" : "2001:db8::2";
    await reach(this.near, address);
    return address;
  }

  /** Ends the program; an assertion in it that failed is thrown. */
  async end(): Promise<void> {
    this.#near.close();
    this.#far.close();
    const { name } = await assertRejects(() => this.running, Error);
    assertEquals(name, "DeviceClosedError");
  }

  [Symbol.dispose](): void {
    this.#near.close();
    this.#far.close();
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
  }
}

/** Sends bytes over a connection, and has them sent back. */
async function echo(path: Path, hostname: string, bytes: Uint8Array): Promise<Uint8Array> {
  using listener = path.far.listen({ hostname, port: PORT });
  const served = listener.accept().then((connection) =>
    connection.readable.pipeTo(connection.writable)
  );
  using connection = await path.near.connect({ hostname, port: PORT });
  const answer = new Uint8Array(bytes.length);
  const reading = (async () => {
    for (let at = 0; at < answer.length;) at += (await connection.read(answer.subarray(at)))!;
  })();
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  await reading;
  await connection.closeWrite();
  // The other end closes: nothing is under way any more.
  assertEquals(await connection.read(new Uint8Array(1)), null);
  await served;
  return answer;
}

for (const version of VERSIONS) {
  test(`A TCP connection over IPv${version} runs through segment() and Coalescer, every checksum right`, async () => {
    using path = new Path();
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    const sent = new Uint8Array(600_000).map((_, i) => bytes[i % bytes.length]!);
    const echoed = echo(path, await path.address(version), sent);
    const patience = new Promise<never>((_, reject) =>
      soon().addEventListener("abort", () => reject(new Error("Nothing comes back any more")))
    );
    assertEquals(await Promise.race([echoed, path.running, patience]), sent);
    // What acknowledges the end is through when this is.
    await path.address(version);
    await path.end();
    assert(path.split > 0 && path.merged > 0, `${path.split} split, ${path.merged} merged`);
    assertEquals([wrong(path.near), wrong(path.far)], [0, 0]);
    assertSums(path.segments);
  });

  test(`Datagrams of a UDP_SEGMENT write over IPv${version} come out of segment() with right checksums`, async () => {
    using path = new Path();
    const remote = { address: await path.address(version), port: PORT };
    using receiver = UdpSocket.open({ netns: path.far, local: remote });
    using sender = UdpSocket.open({ netns: path.near, remote });
    const payload = payloadOf(20_500);
    await sender.writeSegments(payload, 1000);
    const buffer = new Uint8Array(2048);
    for (let at = 0; at < payload.length; at += 1000) {
      const n = await receiver.read(buffer, { signal: soon() });
      assertEquals(buffer.slice(0, n), payload.slice(at, at + 1000));
    }
    await path.end();
    // Linux hands UDP GSO packets over since 6.2, and splits them itself before.
    assertEquals(path.segments.length, 21);
    assertEquals(wrong(path.far), 0);
    assertSums(path.segments);
  });
}

/** Whether it is TCP or UDP: the kernel speaks unasked, too. */
function hasPorts(packet: Uint8Array): boolean {
  return [6, 17].includes(packet[packet[0]! >> 4 === 4 ? 9 : 6]!);
}

test("A wrong checksum does not get past the kernel, nor past tcpdump", async () => {
  using path = new Path();
  const remote = { address: await path.address(4), port: PORT };
  using receiver = UdpSocket.open({ netns: path.far, local: remote });
  using sender = UdpSocket.open({ netns: path.near, remote });
  await sender.write(payloadOf(100));
  const buffer = new Uint8Array(2048);
  assertEquals(await receiver.read(buffer, { signal: soon() }), 100);
  const [packet] = path.segments;
  packet![60]! ^= 1;
  using tun = Tun.create({ name: "t1", netns: path.far, up: true });
  tun.writeSync(packet!);
  // The kernel sums up small datagrams when they are read.
  assertEquals(receiver.tryRead(buffer), -1);
  assertEquals(wrong(path.far), 1);
  assert(tcpdump([packet!], "ip", "-vv").includes("bad udp cksum"));
  await path.end();
});

for (const version of VERSIONS) {
  for (const protocol of ["tcp", "udp"] as const) {
    test(`A kernel that routes what Coalescer made of ${protocol} over IPv${version} splits it into what it was`, async () => {
      using netns = NetNs.create();
      netns.sysctl("net.ipv4.ip_forward", 1);
      netns.sysctl("net.ipv6.conf.all.forwarding", 1);
      const here = { netns, up: true, ...QUIET };
      using inside = Tun.create({
        ...here,
        name: "in",
        offloads: true,
        addresses: ["10.0.0.254/24", "fd00::ff/64"],
      });
      using outside = Tun.create({
        ...here,
        name: "out",
        addresses: ["10.0.1.254/24", "fd01::ff/64"],
      });
      await reach(netns, version === 4 ? "10.0.1.254" : "fd01::ff");
      const flow = {
        version,
        protocol,
        number: 1,
        ttl: 64,
        trafficClass: 0,
        dontFragment: true,
        acknowledgment: 77,
        window: 1000,
        options: [],
        framed: false,
      };
      const packets = Array.from({ length: 20 }, (_, i) =>
        packetOf(
          flow,
          { sequence: i * 1000, identification: i, flags: 0 },
          payloadOf(i < 19 ? 1000 : 300, i),
        ));
      const output = new PacketBatch();
      const coalescer = new Coalescer(output);
      for (const packet of packets) assert(coalescer.add(packet));
      assertEquals(output.count, 1);
      await writeSegmented(inside, output);
      const buffer = new Uint8Array(65_600);
      const routed: Uint8Array[] = [];
      while (routed.length < packets.length) {
        const n = await outside.read(buffer, { signal: soon() });
        if (hasPorts(buffer)) routed.push(buffer.slice(0, n));
      }
      assertSums(routed);
      assertEquals(routed, packets.map(afterRouter));
    });
  }
}

/** A packet after a router: with one hop less. */
function afterRouter(packet: Uint8Array): Uint8Array {
  const bytes = packet.slice();
  const v4 = Ipv4.parse(bytes);
  if (v4) {
    v4.ttl--;
    v4.updateChecksum();
  } else Ipv6.parse(bytes)!.hopLimit--;
  return bytes;
}
