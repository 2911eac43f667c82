// The way out of a memory: RMSNorm of each head, an optional gate, the output projection.
import { rmsNorm, rmsNormGated } from '@mnemix/kernels';
import { linear, type LinearParams } from '@mnemix/layers';
import type { Tensor1D, Tensor2D, Tensor3D } from '@mnemix/tensor';
import { fromHeads, toHeads } from './streams.ts';

export interface NormParams {
  readonly weight: Tensor1D;
  readonly [name: string]: Tensor1D;
}

export interface ReadoutParams {
  /** [value width of a head] */
  readonly norm: NormParams;
  readonly o_proj: LinearParams;
  /** [H·dv, d]; left out: no gate. */
  readonly g_proj?: LinearParams | undefined;
}

/** fla's name of the norm in RetNet and GLA: fused with the gate, or alone. */
export const normName = (gate: boolean): 'g_norm_swish_gate' | 'g_norm' =>
  gate ? 'g_norm_swish_gate' : 'g_norm';

/**
 * W_o( RMSNorm_head(o)·w ⊙ silu(W_g x) ), as in RetNet, GLA and Gated DeltaNet.
 *
 * @param o [N,H,dv]
 * @param x [N,d] the layer's input
 * @returns [N,d]
 */
export function readout(
  { norm, o_proj, g_proj }: ReadoutParams,
  o: Tensor3D,
  x: Tensor2D,
  eps: number,
): Tensor2D {
  const heads = o.shape[1];
  const y = g_proj
    ? rmsNormGated(
        { x: o, gate: toHeads(linear(x, g_proj), heads), weight: norm.weight },
        { eps, activation: 'silu' },
      )
    : rmsNorm({ x: o, weight: norm.weight }, { eps });
  return linear(fromHeads(y as Tensor3D), o_proj);
}
