/**
 * HTTP from a namespace.
 *
 * @module
 */
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { show } from "../options.ts";

/** The statuses `fetch` follows. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** How many of them in a row, as in the Fetch standard. */
const MOST_REDIRECTS = 20;

let client: Deno.HttpClient | undefined;

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
  client ??= Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
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
