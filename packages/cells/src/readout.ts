// The way out of a memory: RMSNorm of each head, an optional gate, the output projection.
import { rmsNorm, rmsNormGated, type RmsNormGatedOptions } from '@mnemix/kernels';
import { linear, type LinearParams } from '@mnemix/layers';
import type { Tensor1D, Tensor2D, Tensor3D } from '@mnemix/tensor';
import { fromHeads, toHeads } from './heads.ts';

export interface NormParams {
  readonly weight: Tensor1D;
  readonly [name: string]: Tensor1D;
}

export interface ReadoutParams {
  /** [value width of a head] */
  readonly norm: NormParams;
  readonly o_proj: LinearParams;
  /** [H·dv, d], or layers that come to that, in turn (a low rank); left out: no gate. */
  readonly g_proj?: LinearParams | readonly LinearParams[] | undefined;
}

/** fla's name of the norm in RetNet and GLA: fused with the gate, or alone. */
export const normName = (gate: boolean): 'g_norm_swish_gate' | 'g_norm' =>
  gate ? 'g_norm_swish_gate' : 'g_norm';

/**
 * W_o( RMSNorm_head(o)·w ⊙ act(W_g x) ), with silu as in RetNet, GLA and Gated DeltaNet, or with a sigmoid as in
 * KDA and Comba.
 *
 * @param o [N,H,dv]
 * @param x [N,d] the layer's input
 * @param activation of the gate
 * @returns [N,d]
 */
export function readout(
  { norm, o_proj, g_proj }: ReadoutParams,
  o: Tensor3D,
  x: Tensor2D,
  eps: number,
  activation: RmsNormGatedOptions['activation'] = 'silu',
): Tensor2D {
  const heads = o.shape[1];
  const y = g_proj
    ? rmsNormGated(
        { x: o, gate: toHeads(inTurn(x, g_proj), heads), weight: norm.weight },
        { eps, activation },
      )
    : rmsNorm({ x: o, weight: norm.weight }, { eps });
  return linear(fromHeads(y as Tensor3D), o_proj);
}

const inTurn = (x: Tensor2D, layers: LinearParams | readonly LinearParams[]): Tensor2D =>
  [layers].flat().reduce((rows, layer) => linear(rows, layer), x);
