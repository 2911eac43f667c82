// The way out of a memory: RMSNorm of each head, an optional gate, the output projection.
import { rmsNorm, rmsNormGated, type RmsNormGatedOptions } from '@mnemix/kernels';
import { initLinear, linear, type LinearParams, type TokenLayers } from '@mnemix/layers';
import { ones, type Rng, type Tensor1D, type Tensor2D, type Tensor3D } from '@mnemix/tensor';
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

/** What the tokens themselves are mapped by in cells with queries that all memories share, and a gate. */
export const queryAndGate = ({
  q_proj,
  g_proj,
}: {
  readonly q_proj: LinearParams;
  readonly g_proj?: LinearParams | readonly LinearParams[];
}): TokenLayers => ({ project: [q_proj], readout: [g_proj ?? []].flat().slice(0, 1) });

/**
 * W_o( RMSNorm_head(o)·w ⊙ act(W_g x) ), with silu as in RetNet, GLA and Gated DeltaNet, or with a sigmoid as in
 * KDA and Comba.
 *
 * @param o [N,H,dv]
 * @param map x·Wᵀ + b of the layer's input x [N,d]
 * @param activation of the gate
 * @returns [N,d]
 */
export function readout(
  { norm, o_proj, g_proj }: ReadoutParams,
  o: Tensor3D,
  map: (layer: LinearParams) => Tensor2D,
  eps: number,
  activation: RmsNormGatedOptions['activation'] = 'silu',
): Tensor2D {
  const heads = o.shape[1];
  const y = g_proj
    ? rmsNormGated(
        { x: o, gate: toHeads(inTurn(map, g_proj), heads), weight: norm.weight },
        { eps, activation },
      )
    : rmsNorm({ x: o, weight: norm.weight }, { eps });
  return linear(fromHeads(y as Tensor3D), o_proj);
}

const inTurn = (
  map: (layer: LinearParams) => Tensor2D,
  layers: LinearParams | readonly LinearParams[],
): Tensor2D => {
  const [first, ...rest] = [layers].flat();
  return rest.reduce((rows, layer) => linear(rows, layer), map(first as LinearParams));
};

export interface SwishReadoutParams {
  /** With the gate, [H·dv, d] */
  readonly g_proj?: LinearParams;
  /** With the gate. */
  readonly g_norm_swish_gate?: NormParams;
  /** Without. */
  readonly g_norm?: NormParams;
  readonly o_proj: LinearParams;
}

export interface SwishReadout {
  init(rng: Rng): SwishReadoutParams;
  /** As `readout`. */
  apply(
    params: SwishReadoutParams,
    o: Tensor3D,
    x: Tensor2D,
    map: (layer: LinearParams) => Tensor2D,
  ): Tensor2D;
}

/**
 * The readout of RetNet, GLA and their like, with silu for its gate or without any; fla's name of their norm says whether
 * it is fused with the gate.
 *
 * @param valueSize H·dv
 */
export function swishReadout(
  config: {
    readonly width: number;
    readonly heads: number;
    readonly gate: boolean;
    readonly normEps: number;
  },
  valueSize: number,
): SwishReadout {
  const { width, heads, gate, normEps } = config;
  const normName = gate ? 'g_norm_swish_gate' : 'g_norm';
  return {
    init: (rng) => ({
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, valueSize) } : {}),
      [normName]: { weight: ones([valueSize / heads]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
    }),
    apply: ({ [normName]: norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: norm as NormParams, o_proj, g_proj }, o, map, normEps),
  };
}
