// Log-linear Mamba-2 (Guo et al. 2025, "Log-linear attention", §3): Mamba-2 with a memory for each level of
// the past, of which the older ones hold more tokens,
//   y = Σ_ℓ λ^(ℓ) S^(ℓ)ᵀ C + D x ,  Σ_ℓ S^(ℓ) the state of Mamba-2 ,  λ_t^(ℓ) = softplus(L_hℓ · dl_tℓ)
// All of it comes from one projection, z | x, B, C | dt | dl, in the order of fla's layer.
import { logLinearDecay } from '@mnemix/kernels';
import type { MemoryCell } from '@mnemix/layers';
import { add, split, type Tensor1D, type Tensor2D, type Tensor3D, type TensorTree } from '@mnemix/tensor';
import {
  checkLevels,
  DEFAULT_LEVELS,
  initLevels,
  levelScales,
  type LevelOptions,
  type LevelState,
} from './level-scales.ts';
import {
  mamba2Cell,
  mamba2Defaults,
  type Mamba2Config,
  type Mamba2Inputs,
  type Mamba2Params,
} from './mamba2.ts';
import { complete } from './options.ts';
import { rideAlong } from './ride-along.ts';

export interface LogLinearMamba2Config extends Mamba2Config, LevelOptions {}

/** Those of Mamba-2, in_proj with H·levels further outputs dl behind its others. */
export interface LogLinearMamba2Params extends Mamba2Params {
  /** [H, levels] */
  readonly L: Tensor2D;
}

export interface LogLinearMamba2State extends LevelState {
  /** The convolution's last inputs, [sequences, H·P + 2·G·N, taps] */
  readonly window: Tensor3D;
  readonly [name: string]: TensorTree;
}

export interface LogLinearMamba2Inputs extends Mamba2Inputs {
  readonly levelScales: Tensor3D;
}

export function logLinearMamba2(
  options: LogLinearMamba2Config,
): MemoryCell<LogLinearMamba2Params, LogLinearMamba2State, LogLinearMamba2Inputs> {
  const config = complete('logLinearMamba2', options, ['width', 'heads'], {
    ...mamba2Defaults,
    levels: DEFAULT_LEVELS,
  });
  const { heads, levels } = config;
  checkLevels('logLinearMamba2(levels)', levels);
  const mamba2 = mamba2Cell('logLinearMamba2', config, heads * levels);

  return {
    ...mamba2,
    name: 'log_linear_mamba2',

    init: (rng) => ({ ...mamba2.init(rng), L: initLevels(heads, levels) }),

    stateShape: (sequences) => {
      const { memory, window } = mamba2.stateShape(sequences) as Record<
        'memory' | 'window',
        readonly number[]
      >;
      const [, , ...ofHead] = memory;
      return { memory: [sequences, heads, levels, ...ofHead], position: [sequences], window };
    },

    project: (params, context) => {
      const product = context.linear(params.in_proj);
      const [own, dl] = split(product, [product.shape[1] - heads * levels, heads * levels], 1) as Tensor2D[];
      // Of the state Mamba-2 only sees the window, which is the same.
      const inputs = mamba2.project(params, { ...context, linear: () => own as Tensor2D } as never);
      return { ...inputs, levelScales: levelScales(dl as Tensor2D, params.L) };
    },

    scan: ({ skip, z, window, ...inputs }, state, sequences, algorithm) => {
      const { o, state: next } = logLinearDecay(
        { ...inputs, initialState: state && { memory: state.memory, position: state.position } },
        { ...algorithm, sequences, scale: 1 },
      );
      return {
        o: rideAlong(add(o, skip) as Tensor3D, [z], sequences),
        state: { memory: next.memory, position: next.position as Tensor1D, window },
      };
    },
  };
}
