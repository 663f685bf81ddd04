// Sends some 10,000 datagrams a second, from the first byte on standard input to its end.
import { UdpSocket } from "../../mod.ts";

using socket = UdpSocket.open({ remote: { address: "10.0.0.2", port: 9000 } });
const payload = new Uint8Array(200);
await Deno.stdout.write(new TextEncoder().encode("ready\n"));
await Deno.stdin.read(new Uint8Array(1));
let open = true;
const end = Deno.stdin.read(new Uint8Array(1)).then(() => open = false);
while (open) {
  for (let i = 0; i < 10; i++) socket.tryWrite(payload);
  await new Promise((resolve) => setTimeout(resolve, 1));
}
await end;
