// Causal softmax attention (Vaswani et al. 2017), whole or in a sliding window, with rotary positions and grouped key heads:
// the mixer that hybrids put between memories, and what memories are measured against. Parameters under fla's names.
//
// The cache holds the last tokens of all sequences side by side, whatever their lengths.
import { attention, batchSequences, rmsNorm, type Sequences } from '@mnemix/kernels';
import {
  add,
  cast,
  checkConfig,
  checkCount,
  checkShapes,
  concat,
  countElements,
  gatherRows,
  greaterEqual,
  less,
  ones,
  range,
  reshape,
  scalar,
  slice,
  sub,
  tidy,
  where,
  zeros,
  type ParamTree,
  type Rng,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { initNormal, linear, type LinearParams } from './linear.ts';
import { stepByForward, type Mixer } from './mixer.ts';
import { rotary, rowPositions } from './rotary.ts';
import { checkState, stateBytes, zeroState } from './state.ts';

export interface SoftmaxAttentionConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Heads of keys and values, a divisor of `heads`: each serves a group of queries. Default `heads`. */
  readonly kvHeads?: number | undefined;
  /** Width of a head, even where positions rotate it. Default d / heads. */
  readonly headWidth?: number | undefined;
  /** A token sees itself and window − 1 before it; the cache then stays that long. Default: everything before it. */
  readonly window?: number | undefined;
  /** Base of the rotary angles; 0 for no positions. Default 10000. */
  readonly ropeBase?: number | undefined;
  /** Biases in the projections of queries, keys and values. Default false. */
  readonly qkvBias?: boolean | undefined;
  /** RMSNorm of each query and key. Default false. */
  readonly qkNorm?: boolean | undefined;
  /** Default 1e-5. */
  readonly normEps?: number | undefined;
}

export interface SoftmaxAttentionParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly o_proj: LinearParams;
  readonly [name: string]: ParamTree;
}

export interface SoftmaxAttentionState {
  /** Keys as already rotated, the newest last, [sequences, slots, kvHeads·headWidth]. */
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  /** Tokens seen, [sequences]; slots of older ones are empty. */
  readonly position: Tensor1D;
  readonly [name: string]: Tensor;
}

/**
 * The softmax attention mixer.
 *
 * @throws MnemixError `config` where heads do not fit
 */
export function softmaxAttention(
  options: SoftmaxAttentionConfig,
): Mixer<SoftmaxAttentionParams, SoftmaxAttentionState> {
  const config = checkedConfig(options);
  const { width, heads, kvHeads, headWidth, window, ropeBase, qkvBias, qkNorm, normEps } = config;
  const [querySize, keySize] = [heads * headWidth, kvHeads * headWidth];
  const stateShape = (sequences: number, slots: number) => ({
    keys: [sequences, slots, keySize],
    values: [sequences, slots, keySize],
    position: [sequences],
  });

  const forward: Mixer<SoftmaxAttentionParams, SoftmaxAttentionState>['forward'] = (
    params,
    x,
    { state, segments } = {},
  ) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('softmaxAttention.forward', {
      x: [x, ['B', 'T', width]],
    });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) {
        const slots = state.keys?.shape[1] ?? 1;
        checkState('softmaxAttention.forward', state, stateShape(sequences.count, slots));
      }
      // No token at all, only padding: there is nothing to see, and states pass through.
      if (sequences.maxLength === 0)
        return {
          y: zeros(x.shape),
          state: state ?? zeroState(stateShape(sequences.count, 1)),
          aux: {},
        } as never;
      const rows = reshape(x, [batch * tokens, width]) as Tensor2D;
      const positions = rowPositions(sequences, state?.position);
      const projected = (name: 'q' | 'k', count: number): Tensor2D => {
        let y = toHeads(linear(rows, params[`${name}_proj`] as LinearParams), count);
        const norm = params[`${name}_norm`] as { weight: Tensor1D } | undefined;
        if (norm) y = rmsNorm({ x: y, weight: norm.weight }, { eps: normEps }) as Tensor3D;
        if (ropeBase > 0) y = rotary(y, positions, ropeBase);
        return reshape(y, [y.shape[0], count * headWidth]) as Tensor2D;
      };
      const keys = projected('k', kvHeads);
      const values = linear(rows, params.v_proj);
      const o = attention(
        {
          groups: [{ queries: projected('q', heads), keys, values, before: state, farthest: window }],
          position: state?.position,
        },
        { sequences, heads, kvHeads },
      );
      const y = reshape(linear(o, params.o_proj), x.shape) as Tensor3D;
      const held = (state?.keys.shape[1] ?? 0) + sequences.maxLength;
      const kept = Math.min(held, window === undefined ? Infinity : Math.max(1, window - 1));
      const newest = (x: Tensor2D, before?: Tensor3D): Tensor =>
        slice(endsAligned(sequences, x, before), [0, held - kept, 0], [sequences.count, kept, keySize]);
      const seen = cast(sequences.lengths, 'float32') as Tensor1D;
      const next = {
        keys: newest(keys, state?.keys),
        values: newest(values, state?.values),
        position: state ? add(state.position, seen) : seen,
      };
      return { y, state: next, aux: {} } as never;
    });
  };

  return {
    name: 'attention',
    config,
    width,
    init: (rng) => initParams(rng, { width, querySize, keySize, headWidth, qkvBias, qkNorm }),
    // One slot that nobody sees: tensors without elements are more trouble than they are worth.
    initialState: (sequences) => zeroState<SoftmaxAttentionState>(stateShape(sequences, 1)),
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences, tokens = 0) => {
      const kept = window === undefined ? tokens : Math.min(tokens, window - 1);
      return stateBytes(stateShape(sequences, Math.max(1, kept)));
    },
    activatedParameters: countElements,
  };
}

function checkedConfig(options: SoftmaxAttentionConfig) {
  const { width, heads, window, kvHeads = heads, qkvBias = false, qkNorm = false } = options;
  const { ropeBase = 10000, normEps = 1e-5, headWidth = width / heads } = options;
  const counts = { width, heads, kvHeads, headWidth, ...(window === undefined ? {} : { window }) };
  for (const [name, value] of Object.entries(counts)) {
    const fix = name === 'headWidth' ? 'Use heads that divide the width, or set headWidth.' : undefined;
    checkCount(`softmaxAttention(${name})`, value, 1, fix);
  }
  checkConfig(
    heads % kvHeads === 0,
    'softmaxAttention(kvHeads)',
    `${kvHeads} heads of keys cannot serve ${heads} of queries evenly.`,
    'Make heads a multiple of kvHeads.',
  );
  checkConfig(
    ropeBase >= 0 && (ropeBase === 0 || headWidth % 2 === 0),
    'softmaxAttention(ropeBase)',
    `heads ${headWidth} wide cannot be rotated with base ${ropeBase}.`,
    'Use an even head width and a positive base, or ropeBase: 0 for no positions.',
  );
  return { width, heads, kvHeads, headWidth, window, ropeBase, qkvBias, qkNorm, normEps };
}

function initParams(
  rng: Rng,
  sizes: {
    readonly width: number;
    readonly querySize: number;
    readonly keySize: number;
    readonly headWidth: number;
    readonly qkvBias: boolean;
    readonly qkNorm: boolean;
  },
): SoftmaxAttentionParams {
  const { width, querySize, keySize, headWidth, qkvBias, qkNorm } = sizes;
  const projection = (name: string, size: number): LinearParams => ({
    ...initNormal(rng.fold(name), width, size),
    ...(qkvBias ? { bias: zeros([size]) as Tensor1D } : {}),
  });
  const norm = () => ({ weight: ones([headWidth]) as Tensor1D });
  return {
    q_proj: projection('q_proj', querySize),
    k_proj: projection('k_proj', keySize),
    v_proj: projection('v_proj', keySize),
    o_proj: initNormal(rng.fold('o_proj'), querySize, width),
    ...(qkNorm ? { q_norm: norm(), k_norm: norm() } : {}),
  };
}

const toHeads = (x: Tensor2D, heads: number): Tensor3D =>
  reshape(x, [x.shape[0], heads, x.shape[1] / heads]) as Tensor3D;

/**
 * Rows [N, w] with the last tokens of all sequences side by side, behind the slots of an earlier call [S, L, w] if given:
 * [S, L + maxLength, w]. Empty slots are 0.
 */
function endsAligned(sequences: Sequences, x: Tensor2D, before?: Tensor3D): Tensor3D {
  const { rows, count, maxLength, starts, lengths, uniform } = sequences;
  const width = x.shape[1];
  if (uniform) {
    const slots = reshape(x, [count, maxLength, width]) as Tensor3D;
    return before ? (concat([before, slots], 1) as Tensor3D) : slots;
  }
  const int = (value: number): Tensor => scalar(value, 'int32');
  const perSequence = (values: Tensor): Tensor => reshape(values, [count, 1]);
  const older = before?.shape[1] ?? 0;
  const slots = older + maxLength;
  const age = reshape(range(slots - 1, -1, -1, 'int32'), [1, slots]);
  const length = perSequence(lengths);
  const isNew = less(age, length);
  const newRow = sub(add(perSequence(starts), sub(length, int(1))), age);
  // Where the slots of the earlier call lie behind the new rows; negative before the first of them.
  const oldSlot = sub(add(length, int(older - 1)), age);
  const first = perSequence(range(rows, rows + count * Math.max(older, 1), Math.max(older, 1), 'int32'));
  const oldRow = where(greaterEqual(oldSlot, int(0)), add(first, oldSlot), int(-1));
  const source = where(isNew, newRow, older > 0 ? oldRow : int(-1));
  const all = before ? concat([x, reshape(before, [count * older, width])], 0) : x;
  const found = gatherRows(all, reshape(cast(source, 'int32'), [count * slots]));
  return reshape(found, [count, slots, width]) as Tensor3D;
}
