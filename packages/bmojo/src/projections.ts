// From rows to queries, keys and values. What the fading memory returns uses the projections of the layer's inputs, or, untied, its own.
import { rmsNorm } from '@mnemix/kernels';
import { initNormal, linear, rotary, type LinearParams } from '@mnemix/layers';
import {
  fill,
  ones,
  reshape,
  type ParamTree,
  type Rng,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import type { CheckedConfig } from './config.ts';
import type { Timeline } from './timeline.ts';

interface NormParams {
  readonly weight: Tensor1D;
  readonly [name: string]: Tensor1D;
}

export interface BmojoParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly o_proj: LinearParams;
  /** Of each head's queries and keys, [D]. */
  readonly q_norm?: NormParams;
  readonly k_norm?: NormParams;
  /** Of the fading memory's outputs, [d]. */
  readonly y_norm?: NormParams;
  /** For keys that are made of the fading memory's outputs, where they are not tied. */
  readonly fading_q_proj?: LinearParams;
  readonly fading_k_proj?: LinearParams;
  readonly fading_v_proj?: LinearParams;
  readonly fading_q_norm?: NormParams;
  readonly fading_k_norm?: NormParams;
  /** Those of the fading memory. */
  readonly fading?: ParamTree;
  readonly [name: string]: ParamTree;
}

/** Rows [R, kvH·D] of keys, rotated to their positions, and of values. */
export interface KeyValueRows {
  readonly keys: Tensor2D;
  readonly values: Tensor2D;
}

/** Queries [N, H·D] by what they are asked of, made when first asked for. */
export interface Queries {
  readonly ofInputs: Tensor;
  /** For keys made of the fading memory's outputs: the same where they are tied. */
  readonly ofOutputs: Tensor;
  /** The same as if all keys were 2w tokens away. */
  readonly farOfInputs: Tensor;
  readonly farOfOutputs: Tensor;
}

export interface Projections {
  /** All parameters but those of the fading memory. */
  init(rng: Rng): BmojoParams;
  /** Layer inputs [R, d] at positions [R]. */
  inputs(params: BmojoParams, u: Tensor2D, positions: Tensor): KeyValueRows;
  /** Outputs of the fading memory [R, d] at positions [R]. */
  outputs(params: BmojoParams, y: Tensor2D, positions: Tensor): KeyValueRows;
  /** Of the layer inputs [N, d]. */
  queries(params: BmojoParams, u: Tensor2D, timeline: Timeline): Queries;
}

export function projections(config: CheckedConfig): Projections {
  const { width, heads, kvHeads, headWidth, window, tied, qkNorm, ropeBase, normEps } = config;
  const [querySize, keySize] = [heads * headWidth, kvHeads * headWidth];
  const seesOutputs =
    (config.fadingTokens?.source ?? 'none') !== 'none' || config.eidetic?.payload === 'output';
  const prefix = tied ? '' : 'fading_';

  /** Rows [R, d] → [R, heads·D]: a projection, with the norm of its heads and rotary positions where there are any. */
  const project = (params: BmojoParams, name: string, x: Tensor2D, positions?: Tensor): Tensor2D => {
    const flat = linear(x, params[`${name}_proj`] as LinearParams);
    const norm = params[`${name}_norm`] as NormParams | undefined;
    const rotates = positions !== undefined && ropeBase > 0;
    if (norm === undefined && !rotates) return flat;
    let perHead: Tensor = reshape(flat, [flat.shape[0], flat.shape[1] / headWidth, headWidth]);
    if (norm) perHead = rmsNorm({ x: perHead, weight: norm.weight }, { eps: normEps });
    if (rotates) perHead = rotary(perHead as Tensor3D, positions as Tensor1D, ropeBase);
    return reshape(perHead, flat.shape) as Tensor2D;
  };

  const init = (rng: Rng): BmojoParams => {
    const norm = (size: number): NormParams => ({ weight: ones([size]) as Tensor1D });
    const ofKind = (kind: string) => ({
      [`${kind}q_proj`]: initNormal(rng.fold(`${kind}q_proj`), width, querySize),
      [`${kind}k_proj`]: initNormal(rng.fold(`${kind}k_proj`), width, keySize),
      [`${kind}v_proj`]: initNormal(rng.fold(`${kind}v_proj`), width, keySize),
      ...(qkNorm ? { [`${kind}q_norm`]: norm(headWidth), [`${kind}k_norm`]: norm(headWidth) } : {}),
    });
    return {
      ...ofKind(''),
      ...(tied ? {} : ofKind('fading_')),
      o_proj: initNormal(rng.fold('o_proj'), querySize, width),
      ...(seesOutputs && config.fadingTokens?.norm ? { y_norm: norm(width) } : {}),
    } as unknown as BmojoParams;
  };

  return {
    init,

    inputs: (params, u, positions) => ({
      keys: project(params, 'k', u, positions),
      values: project(params, 'v', u),
    }),

    outputs: (params, y, positions) => {
      const { y_norm: norm } = params;
      const normed = norm ? (rmsNorm({ x: y, weight: norm.weight }, { eps: normEps }) as Tensor2D) : y;
      return {
        keys: project(params, `${prefix}k`, normed, positions),
        values: project(params, `${prefix}v`, normed),
      };
    },

    queries: (params, u, timeline) => {
      const far = (): Tensor => fill([timeline.sequences.rows], 2 * window);
      const queries = (name: string, positions: () => Tensor) =>
        once(() => project(params, name, u, positions()));
      const ofInputs = queries('q', () => timeline.rowPosition);
      const farOfInputs = queries('q', far);
      const ofOutputs = tied ? ofInputs : queries('fading_q', () => timeline.rowPosition);
      const farOfOutputs = tied ? farOfInputs : queries('fading_q', far);
      return {
        get ofInputs() {
          return ofInputs();
        },
        get ofOutputs() {
          return ofOutputs();
        },
        get farOfInputs() {
          return farOfInputs();
        },
        get farOfOutputs() {
          return farOfOutputs();
        },
      };
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
