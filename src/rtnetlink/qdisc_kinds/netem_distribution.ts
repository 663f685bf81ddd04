/**
 * The distributions of netem's delays: tables of the inverse of a distribution function, as the programs in
 * iproute2's `netem/` folder make them.
 *
 * @module
 */

/** A distribution by its name, as in `tc`. */
export type NetemDistribution = "uniform" | "normal" | "pareto" | "paretonormal";

/** A table's value for one unit of jitter (`NETEM_DIST_SCALE`). */
const SCALE = 8192;

const SIZE = 4096;
const MOST = 0x7fff;

const cut = (value: number): number => Math.max(-MOST - 1, Math.min(MOST, Math.round(value)));

/** The inverse of the normal distribution function: P. J. Acklam's approximation, exact to 1.15e-9. */
function inverseNormal(p: number): number {
  const tail = (q: number) =>
    (((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q -
              2.549732539343734) * q + 4.374664141464968) * q + 2.938163982698783) /
    ((((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q +
          3.754408661907416) * q + 1);
  if (p < 0.02425) return tail(Math.sqrt(-2 * Math.log(p)));
  if (p > 0.97575) return -tail(Math.sqrt(-2 * Math.log(1 - p)));
  const q = p - 0.5;
  const r = q * q;
  return (((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r +
            138.357751867269) * r - 30.66479806614716) * r + 2.506628277459239) *
    q /
    (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r +
              66.80131188771972) * r - 13.28068155288572) * r + 1);
}

const normal = (i: number): number => cut(inverseNormal((4 * i + 0.5) / (4 * SIZE)) * SCALE);

/** With the exponent 3, so that mean and variance exist. */
const pareto = (i: number): number => cut((Math.cbrt(SIZE / (SIZE - i)) - 1.5) * 4 / 3 * SCALE);

const TABLES: Readonly<Record<NetemDistribution, ((i: number) => number) | undefined>> = {
  uniform: undefined, // the kernel's own
  normal,
  pareto,
  paretonormal: (i) => cut(normal(i) / 4 + pareto(i) * 3 / 4),
};

/** The names of the distributions, for checks. */
export const NETEM_DISTRIBUTIONS: Readonly<Record<NetemDistribution, NetemDistribution>> = {
  uniform: "uniform",
  normal: "normal",
  pareto: "pareto",
  paretonormal: "paretonormal",
};

/** The table of a distribution; `undefined` for the uniform one, which needs none. */
export function distributionTable(name: NetemDistribution): readonly number[] | undefined {
  const value = TABLES[name];
  return value && Array.from({ length: SIZE }, (_, i) => value(i));
}
