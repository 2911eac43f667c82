// Log-linear Gated DeltaNet (Guo et al. 2025, "Log-linear attention", §3): Gated DeltaNet with a memory for
// each level of the past, of which the older ones hold more tokens,
//   o = Σ_ℓ λ^(ℓ) S^(ℓ)ᵀ q ,  Σ_ℓ S^(ℓ) that of Gated DeltaNet ,  λ_t^(ℓ) = softplus(L_hℓ · (W_l x_t)_hℓ)
import { logLinearDelta } from '@mnemix/kernels';
import { initLinear, type LinearParams, type MemoryCell } from '@mnemix/layers';
import type { Tensor1D, Tensor2D, Tensor3D, TensorTree } from '@mnemix/tensor';
import type { WindowState } from './convolutions.ts';
import {
  gatedDeltaNetCell,
  gatedDeltaNetDefaults,
  type GatedDeltaNetConfig,
  type GatedDeltaNetInputs,
  type GatedDeltaNetParams,
} from './gated-delta-net.ts';
import {
  checkLevels,
  DEFAULT_LEVELS,
  initLevels,
  levelScales,
  type LevelOptions,
  type LevelState,
} from './level-scales.ts';
import { complete } from './options.ts';

export interface LogLinearGdnConfig extends GatedDeltaNetConfig, LevelOptions {}

export interface LogLinearGdnParams extends GatedDeltaNetParams {
  /** [value heads · levels, d] */
  readonly l_proj: LinearParams;
  /** [value heads, levels] */
  readonly L: Tensor2D;
}

export interface LogLinearGdnState extends LevelState, WindowState<'q' | 'k' | 'v'> {
  readonly [name: string]: TensorTree;
}

export interface LogLinearGdnInputs extends GatedDeltaNetInputs {
  readonly levelScales: Tensor3D;
}

export function logLinearGdn(
  options: LogLinearGdnConfig,
): MemoryCell<LogLinearGdnParams, LogLinearGdnState, LogLinearGdnInputs> {
  const config = complete('logLinearGdn', options, ['width', 'heads', 'headWidth'], {
    ...gatedDeltaNetDefaults(options.heads),
    levels: DEFAULT_LEVELS,
  });
  const { width, valueHeads, levels } = config;
  checkLevels('logLinearGdn(levels)', levels);
  const gatedDeltaNet = gatedDeltaNetCell('logLinearGdn', config);

  return {
    ...gatedDeltaNet,
    name: 'log_linear_gdn',

    // How strongly levels are read is, like the query, common to all memories of a Mixture-of-Memories.
    init: (rng) => ({
      ...gatedDeltaNet.init(rng),
      l_proj: initLinear(rng.fold('l_proj'), width, valueHeads * levels),
      L: initLevels(valueHeads, levels),
    }),

    stateShape: (sequences) => {
      const { memory, ...windows } = gatedDeltaNet.stateShape(sequences);
      const [, , ...ofHead] = memory as readonly number[];
      return {
        memory: [sequences, valueHeads, levels, ...ofHead],
        position: [sequences],
        ...windows,
      };
    },

    project: (params, context) => ({
      // Of the state Gated DeltaNet only sees the windows, which are the same.
      ...gatedDeltaNet.project(params, context as never),
      levelScales: levelScales(context.commonLinear(params.l_proj), params.L),
    }),

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: next } = logLinearDelta(
        { ...inputs, initialState: state && { memory: state.memory, position: state.position } },
        { ...algorithm, sequences },
      );
      return {
        o: o as Tensor3D,
        state: { memory: next.memory, position: next.position as Tensor1D, windows },
      };
    },
  };
}
