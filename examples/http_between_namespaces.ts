/**
 * Two web servers with the same port in two namespaces, and requests from one to the other: in one
 * process, without a container or a proxy.
 *
 *     deno run -A examples/http_between_namespaces.ts [--keep]
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import { finish, options } from "./_recipe.ts";

const { keep } = options("HTTP between two namespaces, in one process");
await using lab = Scope.open({ name: "netloom-http", replace: true, signals: true });

// ip netns add ns1; ip netns add ns2
// ip link add eth0 netns ns1 type veth peer name eth0 netns ns2
// ip -n ns1 address add 192.168.123.1/24 dev eth0; ip -n ns1 link set eth0 up
const ns1 = NetNs.create("ns1", { scope: lab });
const ns2 = NetNs.create("ns2", { scope: lab });
Veth.create({
  scope: lab,
  name: "eth0",
  netns: ns1,
  up: true,
  addresses: ["192.168.123.1/24"],
  peer: { name: "eth0", netns: ns2, up: true, addresses: ["192.168.123.2/24"] },
});
await lab.ready();

// ip netns exec ns1 deno serve --host 0.0.0.0 --port 8000 server.ts
const serve = (netns: NetNs) =>
  netns.serve({ port: 8000, onListen: () => {} }, (request, { remoteAddr }) => {
    const { pathname } = new URL(request.url);
    return new Response(`${netns.name} gives ${pathname} to ${remoteAddr.hostname}`);
  });
await using _server1 = serve(ns1);
await using _server2 = serve(ns2);

// ip netns exec ns2 curl http://192.168.123.1:8000/news
const get = async (netns: NetNs, url: string) => {
  const response = await netns.fetch(url);
  const text = await response.text();
  console.log(`${netns.name} asks for ${url}: ${response.status}, "${text}"`);
  return text;
};
const fromNs2 = await get(ns2, "http://192.168.123.1:8000/news");
const fromNs1 = await get(ns1, "http://192.168.123.2:8000/weather");

await finish({
  checks: {
    "ns1 answers ns2": fromNs2 === "ns1 gives /news to 192.168.123.2",
    "ns2 answers ns1, on the same port": fromNs1 === "ns2 gives /weather to 192.168.123.1",
  },
  keep,
  look: "ip netns exec ns2 curl http://192.168.123.1:8000/",
});
