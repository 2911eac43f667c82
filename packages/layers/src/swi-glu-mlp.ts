// The gated MLP of every block (Shazeer 2020): down( silu(gate(x)) ⊙ up(x) ).
import { swiGlu } from '@mnemix/kernels';
import type { Rng, Tensor2D } from '@mnemix/tensor';
import { initNormal, linear, type LinearParams } from './linear.ts';

export interface SwiGluMlpParams {
  readonly gate_proj: LinearParams;
  readonly up_proj: LinearParams;
  readonly down_proj: LinearParams;
  readonly [name: string]: LinearParams;
}

/** fla's hidden width: two thirds of ratio·d, rounded up to a multiple of 256. */
export const swiGluWidth = (width: number, ratio: number): number =>
  256 * Math.ceil(Math.floor((width * ratio * 2) / 3) / 256);

export const initSwiGluMlp = (
  rng: Rng,
  width: number,
  hidden: number,
  deviation = 0.02,
): SwiGluMlpParams => ({
  gate_proj: initNormal(rng.fold('gate_proj'), width, hidden, deviation),
  up_proj: initNormal(rng.fold('up_proj'), width, hidden, deviation),
  down_proj: initNormal(rng.fold('down_proj'), hidden, width, deviation),
});

/** x [N,d] → [N,d]. */
export const swiGluMlp = (params: SwiGluMlpParams, x: Tensor2D): Tensor2D =>
  linear(swiGlu(linear(x, params.gate_proj), linear(x, params.up_proj)) as Tensor2D, params.down_proj);
