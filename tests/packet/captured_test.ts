// The frames of a kernel, line by line beside tcpdump.
import { assert, assertEquals } from "@std/assert";
import { NetNs, Veth } from "../../mod.ts";
import { format } from "../../src/packet/mod.ts";
import { copies } from "../capture/pair.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { tcpdump } from "./tcpdump.ts";

/** Opens a connection, sends a line and closes it. */
async function speak(from: NetNs, to: NetNs, hostname: string): Promise<void> {
  using listener = to.listen({ hostname, port: 9000 });
  const serve = async () => {
    using connection = await listener.accept();
    await new Response(connection.readable).text();
  };
  const serving = serve();
  const connection = await from.connect({ hostname, port: 9000 });
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode("hello"));
  await writer.close();
  await serving;
}

test("format() prints what tcpdump prints of a kernel's own frames", async () => {
  using a = NetNs.create();
  using b = NetNs.create();
  const veth = Veth.create({
    name: "v0",
    netns: a,
    up: true,
    addresses: ["10.0.0.1/24", "fd00::1/64"],
    peer: { name: "v1", netns: b, up: true, addresses: ["10.0.0.2/24", "fd00::2/64"] },
  });
  using capture = veth.capture();
  const reading = copies(capture); // from the start: a ring without a reader is full after 160 ms
  await veth.waitFor((link) => link.operstate === "up");
  for (const address of ["10.0.0.2", "fd00::2"]) {
    // Duplicate address detection and its messages take a second.
    while ((await a.ping(address, { timeout: 200 }).catch(() => ({ received: 0 }))).received === 0);
    await speak(a, b, address);
  }
  // No socket is bound there: each gets an ICMP error.
  for (const device of ["/dev/udp/10.0.0.2/7", "/dev/udp/fd00::2/7"]) {
    run(a.ref, `bash -c 'echo hello > ${device}'`);
  }
  await a.ping("10.0.0.2");
  capture.stop();
  const frames = (await reading).map(({ data }) => data);
  const lines = frames.map((frame) => format(frame));
  const theirs = tcpdump(frames, "ethernet").replace(/, {2}/g, ", ").split("\n");
  assertEquals(lines, theirs);
  for (
    const what of [
      /^ARP, Request/,
      /^ARP, Reply/,
      /^IP .*ICMP echo request/,
      /^IP6 .*echo reply/,
      /neighbor solicitation/,
      /neighbor advertisement/,
      /^IP .*Flags \[S\]/,
      /^IP6 .*Flags \[F\.\]/,
      /^IP .*udp port 7 unreachable/,
      /^IP6 .*udp port 7/,
    ]
  ) {
    assert(lines.some((line) => what.test(line)), `${what} is not in:\n${lines.join("\n")}`);
  }
});
