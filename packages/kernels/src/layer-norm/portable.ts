// LayerNorm in tensor ops, over rows.
import { add, mean, mul, reshape, rsqrt, square, sub, zeros, type Tensor } from '@mnemix/tensor';
import { sumOfRows } from '../rows.ts';

/** x [N·P, D]; weight and bias [P, D], one row for each place in a period of P rows. */
export type Inputs = { x: Tensor; weight: Tensor | undefined; bias: Tensor | undefined };
export type BackwardInputs = Inputs & { dy: Tensor };
/** In the shapes of the inputs; [0] for the weight and bias that are absent. */
export type Gradients = { dx: Tensor; dWeight: Tensor; dBias: Tensor };
export interface Attrs {
  readonly eps: number;
  /** P. */
  readonly period: number;
}

/** Rows [N·P, D] as [N, P, D], and back. */
const inPeriods = (x: Tensor, period: number): Tensor =>
  reshape(x, [(x.shape[0] as number) / period, period, x.shape[1] as number]);
const inRows = (x: Tensor): Tensor =>
  reshape(x, [(x.shape[0] as number) * (x.shape[1] as number), x.shape[2] as number]);

/** r and x̂ = r(x − mean x). */
function standardise(x: Tensor, eps: number): { factor: Tensor; normal: Tensor } {
  const centred = sub(x, mean(x, -1, true));
  const factor = rsqrt(add(mean(square(centred), -1, true), eps));
  return { factor, normal: mul(centred, factor) };
}

export function forward({ x, weight, bias }: Inputs, { eps, period }: Attrs): { y: Tensor } {
  const { normal } = standardise(x, eps);
  if (!weight && !bias) return { y: normal };
  const scaled = weight ? mul(inPeriods(normal, period), weight) : inPeriods(normal, period);
  return { y: inRows(bias ? add(scaled, bias) : scaled) };
}

export function backward({ x, weight, bias, dy }: BackwardInputs, { eps, period }: Attrs): Gradients {
  const { factor, normal } = standardise(x, eps);
  const h = weight ? inRows(mul(inPeriods(dy, period), weight)) : dy;
  const along = mul(normal, mean(mul(h, normal), -1, true));
  /** Σ over the rows at each place of a period. */
  const sumOfPeriods = (terms: Tensor): Tensor => {
    const [rows, width] = terms.shape as [number, number];
    return reshape(sumOfRows(reshape(terms, [rows / period, period * width])), [period, width]);
  };
  return {
    dx: mul(factor, sub(sub(h, mean(h, -1, true)), along)),
    dWeight: weight ? sumOfPeriods(mul(dy, normal)) : zeros([0]),
    dBias: bias ? sumOfPeriods(dy) : zeros([0]),
  };
}
