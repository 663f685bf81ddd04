/**
 * The command `netloom`: each verb reads its arguments, calls the library, and prints.
 *
 * @module
 */
export { exitCodes, main } from "./main.ts";
