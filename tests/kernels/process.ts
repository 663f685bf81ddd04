// Programs that end with the one that started them.

/**
 * Runs a program to its end, which comes at the latest when `signal` is aborted or this process ends.
 *
 * @param onOutput Called with its standard output
 * @returns Its exit code, and all it wrote there
 */
export async function follow(
  command: string,
  options: { args: string[]; signal: AbortSignal },
  onOutput: (text: string) => void = () => {},
): Promise<{ code: number; output: string }> {
  // Also when this process is killed.
  const args = ["--pdeathsig=TERM", command, ...options.args];
  const child = new Deno.Command("setpriv", {
    args,
    stdin: "null",
    stdout: "piped",
    signal: options.signal,
  }).spawn();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    onOutput(text);
  }
  return { code: (await child.status).code, output };
}
