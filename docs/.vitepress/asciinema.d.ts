// The part of asciinema-player that this site uses; the package has no types.
declare module "asciinema-player" {
  /** Plays a file in an element. */
  export function create(
    file: string,
    place: HTMLElement,
    options: Readonly<Record<string, string | number | boolean>>,
  ): { dispose(): void };
}
