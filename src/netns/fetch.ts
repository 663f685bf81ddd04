/**
 * Deno's own calls in a namespace: their options, and `fetch`.
 *
 * @module
 */
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";

const LISTEN: OptionNames<Deno.TcpListenOptions & { transport?: "tcp" }> = {
  hostname: true,
  port: true,
  transport: true,
  tcpBacklog: true,
  reusePort: true,
};
const CONNECT: OptionNames<Deno.ConnectOptions> = {
  hostname: true,
  port: true,
  transport: true,
  signal: true,
  autoSelectFamily: true,
  autoSelectFamilyAttemptDelay: true,
};
const SERVE: OptionNames<Deno.ServeTcpOptions & Deno.TlsCertifiedKeyPem> = {
  hostname: true,
  port: true,
  transport: true,
  reusePort: true,
  tcpBacklog: true,
  signal: true,
  onError: true,
  onListen: true,
  automaticCompression: true,
  keyFormat: true,
  key: true,
  cert: true,
};
const FETCH: OptionNames<RequestInit> = {
  body: true,
  cache: true,
  credentials: true,
  headers: true,
  integrity: true,
  keepalive: true,
  method: true,
  mode: true,
  priority: true,
  redirect: true,
  referrer: true,
  referrerPolicy: true,
  signal: true,
  window: true,
};
const WORKER: OptionNames<Omit<WorkerOptions, "type">> = { name: true, deno: true };

const OPTIONS = {
  listen: LISTEN,
  connect: CONNECT,
  serve: SERVE,
  fetch: FETCH,
  worker: WORKER,
} as const;

/** Refuses options that Deno does not have, and another transport than TCP. */
export function checkDenoOptions(options: object, call: keyof typeof OPTIONS): void {
  checkOptions(options, OPTIONS[call]);
  const { transport = "tcp" } = options as { transport?: unknown };
  if (transport !== "tcp") {
    throw new TypeError(`transport must be "tcp" inside a netns: got ${show(transport)}`);
  }
}

/** The statuses `fetch` follows. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** How many of them in a row, as in the Fetch standard. */
const MOST_REDIRECTS = 20;

/**
 * `fetch` in a namespace. Only what Deno does during the call lands there, which is the first attempt
 * to connect. So no connections are kept, since a request that meets a dead one is sent again later;
 * and redirects are followed here, one call after the other.
 */
export async function fetchWithin(
  netns: NetNsRef,
  input: string | URL | Request,
  init: RequestInit,
): Promise<Response> {
  checkDenoOptions(init, "fetch");
  // One for each call costs 0.06 ms, and leaves nothing open.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const request = input instanceof Request ? input : undefined;
  const redirect = init.redirect ?? request?.redirect ?? "follow";
  const options = { ...init, redirect: redirect === "follow" ? "manual" : redirect, client };
  let url = new URL(request?.url ?? input as string | URL);
  for (let count = 0;; count++) {
    requireIp(url.hostname.replace(/^\[|\]$/g, ""));
    const target = count === 0 ? input : url;
    const response = await within(netns, () => fetch(target, options as RequestInit));
    const location = response.headers.get("location");
    if (redirect !== "follow" || !REDIRECTS.has(response.status) || location === null) {
      if (count > 0) Object.defineProperty(response, "redirected", { value: true });
      return response;
    }
    await response.body?.cancel();
    if (count === MOST_REDIRECTS) throw new TypeError(`Redirected too often: now to ${location}`);
    const next = new URL(location, url);
    Object.assign(
      options,
      redirected(response.status, options, request, next.origin === url.origin),
    );
    url = next;
  }
}

/** The options of the request that follows a redirect, as the Fetch standard has them. */
function redirected(
  status: number,
  { method, headers: given, body, signal }: RequestInit,
  request: Request | undefined,
  sameOrigin: boolean,
): RequestInit {
  const headers = new Headers(given ?? request?.headers);
  if (!sameOrigin) headers.delete("authorization");
  const was = (method ?? request?.method ?? "GET").toUpperCase();
  const rest = { headers, signal: signal ?? request?.signal ?? null };
  if (status < 303 && was === "POST" || status === 303 && was !== "GET" && was !== "HEAD") {
    for (const name of [...headers.keys()]) if (name.startsWith("content-")) headers.delete(name);
    return { ...rest, method: "GET", body: null };
  }
  if (body instanceof ReadableStream || body == null && request?.body) {
    throw new TypeError(`Cannot follow a redirect (${status}): the body has been sent already`);
  }
  return { ...rest, method: was };
}

/** Names are resolved by threads that are not in the namespace. */
export function requireIp(host: string): void {
  if (/^[\d.]+$/.test(host) || host.includes(":")) return;
  throw new TypeError(`${show(host)} is not an IP address: names are not resolved inside a netns`);
}
