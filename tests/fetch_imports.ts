/** Fetches what tests and examples import: for where no registry can be reached. */
export async function fetchImports(): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "-q", "tests", "examples"],
    // Behind a proxy, npm's certificate is one that only the machine's own store knows.
    env: { DENO_TLS_CA_STORE: "system,mozilla" },
  }).spawn().status;
  if (!success) throw new Error("What the tests import could not be fetched");
}
