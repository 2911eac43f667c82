// Causal softmax attention (Vaswani et al. 2017), whole or in a sliding window, with rotary positions and grouped key heads:
// the mixer that hybrids put between memories, and what memories are measured against. Parameters under fla's names.
//
// Sequences are laid out with their last tokens side by side, so that the age of a token (0 for the last) is its distance from
// the end: caches of different lengths, packed documents and windows are then all a matter of comparing ages.
import { batchSequences, rmsNorm, type Sequences } from '@mnemix/kernels';
import {
  add,
  cast,
  checkConfig,
  checkShapes,
  concat,
  countElements,
  expandDims,
  gatherRows,
  greaterEqual,
  less,
  logicalAnd,
  matMul,
  mul,
  ones,
  range,
  reshape,
  scalar,
  slice,
  softmax,
  sub,
  tidy,
  transpose,
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

/** Scores of tokens that are not to be seen: e^{this} is 0, and it is a number. */
const HIDDEN = -1e30;

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
      const view = alignEnds(sequences);
      const keys = view.toSlots(projected('k', kvHeads), state?.keys);
      const values = view.toSlots(linear(rows, params.v_proj), state?.values);
      const seen = cast(sequences.lengths, 'float32') as Tensor1D;
      const total = state ? (add(state.position, seen) as Tensor1D) : seen;
      const o = attend(view.toSlots(projected('q', heads)), keys, values, total);
      const y = reshape(linear(view.toRows(o), params.o_proj), x.shape) as Tensor3D;
      const kept = Math.min(keys.shape[1], window === undefined ? Infinity : Math.max(1, window - 1));
      const newest = (cache: Tensor3D): Tensor =>
        slice(cache, [0, cache.shape[1] - kept, 0], [cache.shape[0], kept, keySize]);
      const next = { keys: newest(keys), values: newest(values), position: total };
      return { y, state: next, aux: {} } as never;
    });
  };

  /** q [S, Tq, H·D], k and v [S, L, kvH·D], total [S] → [S, Tq, H·D]. */
  const attend = (q: Tensor3D, k: Tensor3D, v: Tensor3D, total: Tensor1D): Tensor3D => {
    const [count, queries] = q.shape;
    const slots = k.shape[1];
    const group = heads / kvHeads;
    // Heads of one group share their keys, so they are queries of one product: [S, kvH, group·Tq, D].
    const headsFirst = (x: Tensor3D, perKey: number): Tensor =>
      reshape(transpose(reshape(x, [count, x.shape[1], kvHeads, perKey, headWidth]), [0, 2, 3, 1, 4]), [
        count,
        kvHeads,
        perKey * x.shape[1],
        headWidth,
      ]);
    const scores = mul(matMul(headsFirst(q, group), headsFirst(k, 1), false, true), headWidth ** -0.5);
    const perQuery = reshape(scores, [count, heads, queries, slots]);
    const visible = expandDims(visibility(queries, slots, total, window), 1);
    const weights = softmax(where(visible, perQuery, scalar(HIDDEN)));
    const read = matMul(reshape(weights, [count, kvHeads, group * queries, slots]), headsFirst(v, 1));
    const perHead = transpose(reshape(read, [count, heads, queries, headWidth]), [0, 2, 1, 3]);
    return reshape(perHead, [count, queries, querySize]) as Tensor3D;
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
    checkConfig(
      Number.isSafeInteger(value) && value >= 1,
      `softmaxAttention(${name})`,
      `it is ${value}.`,
      name === 'headWidth'
        ? 'Use heads that divide the width, or set headWidth.'
        : 'Use a whole number from 1 on.',
    );
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

/** Sequences with their last tokens side by side. */
interface EndAlignment {
  /** Rows [N, w], behind the slots of an earlier call [S, L, w] if given, as [S, L + maxLength, w]; empty slots are 0. */
  readonly toSlots: (rows: Tensor2D, before?: Tensor3D) => Tensor3D;
  /** [S, maxLength, w] as rows [N, w]; rows of no sequence are 0. */
  readonly toRows: (slots: Tensor3D) => Tensor2D;
}

function alignEnds(sequences: Sequences): EndAlignment {
  const { rows, count, maxLength, starts, lengths, rowSequence, uniform } = sequences;
  if (uniform)
    return {
      toSlots: (x, before) => {
        const slots = reshape(x, [count, maxLength, x.shape[1]]) as Tensor3D;
        return before ? (concat([before, slots], 1) as Tensor3D) : slots;
      },
      toRows: (slots) => reshape(slots, [rows, slots.shape[2]]) as Tensor2D,
    };
  const int = (value: number): Tensor => scalar(value, 'int32');
  const perSequence = (x: Tensor): Tensor => reshape(x, [count, 1]);
  return {
    toSlots: (x, before) => {
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
      const width = x.shape[1];
      const all = before ? concat([x, reshape(before, [count * older, width])], 0) : x;
      const found = gatherRows(all, reshape(cast(source, 'int32'), [count * slots]));
      return reshape(found, [count, slots, width]) as Tensor3D;
    },
    toRows: (slots) => {
      // Row r of sequence s is slot r − start + (maxLength − length).
      const shift = sub(mul(range(1, count + 1, 1, 'int32'), int(maxLength)), add(starts, lengths));
      const shifts = gatherRows(reshape(cast(shift, 'float32'), [count, 1]), rowSequence);
      const slot = add(range(0, rows), reshape(shifts, [rows]));
      const target = where(greaterEqual(rowSequence, int(0)), cast(slot, 'int32'), int(-1));
      return gatherRows(
        reshape(slots, [count * maxLength, slots.shape[2]]),
        cast(target, 'int32'),
      ) as Tensor2D;
    },
  };
}

/** Whether a query [Tq] sees a slot [L]: not newer than it, inside of the window, and not empty: [S, Tq, L]. */
function visibility(queries: number, slots: number, total: Tensor1D, window: number | undefined): Tensor {
  const queryAge = reshape(range(queries - 1, -1, -1), [1, queries, 1]);
  const slotAge = reshape(range(slots - 1, -1, -1), [1, 1, slots]);
  const distance = sub(slotAge, queryAge);
  const isPast = greaterEqual(distance, scalar(0));
  const isNear = window === undefined ? isPast : logicalAnd(isPast, less(distance, scalar(window)));
  return logicalAnd(isNear, less(slotAge, reshape(total, [total.shape[0], 1, 1])));
}
