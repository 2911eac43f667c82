// Softmax attention over groups of keys: causal, in a window, over a cache, and over keys that blocks of queries share.
import {
  checkConfig,
  checkShapes,
  defineOp,
  MnemixError,
  zeros,
  type Op,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';
import * as gpu from './gpu.ts';
import { blocksOf, type Attrs, type BackwardInputs, type Group, type Inputs, type Outputs } from './op.ts';
import * as portable from './portable.ts';

const integers = ['starts', 'lengths', 'rowSequence'];
/** Inputs that are constants to a gradient. */
const isConstant = (name: string): boolean =>
  integers.includes(name) || name === 'position' || name.startsWith('positions');

type Gradients = Record<string, Tensor>;
type Backward = Op<BackwardInputs, Gradients, Attrs>;

const backwardOps = new Map<string, Backward>();

/** The gradient of an attention that has these inputs: its outputs have their names. */
function backwardOf(names: readonly string[]): Backward {
  const key = names.join();
  const op =
    backwardOps.get(key) ??
    defineOp<BackwardInputs, Gradients, Attrs>({
      name: 'AttentionBackward',
      outputs: names,
      integers,
      portable: portable.backward,
      kernels: gpu.backward,
    });
  backwardOps.set(key, op);
  return op;
}

const attentionOp = defineOp<Inputs, Outputs, Attrs>({
  name: 'Attention',
  outputs: ['o', 'logSumExp', 'weights'],
  savedOutputs: ['o', 'logSumExp', 'weights'],
  integers,
  portable: portable.forward,
  kernels: gpu.forward,
  gradient: ({ inputs, outputs, grads, attrs }) => {
    const names = Object.keys(inputs).filter((name) => !isConstant(name));
    const kept = outputs.weights.size > 0 ? { weights: outputs.weights } : { logSumExp: outputs.logSumExp };
    return backwardOf(names)({ ...inputs, ...kept, o: outputs.o, dO: grads.o }, attrs);
  },
});

interface Seen {
  /** What asks for these keys, [N, H·D]. Several groups may have the same. */
  readonly queries: Tensor;
  /** Seen from this distance (position of the query − position of the key) on. Default 0. */
  readonly nearest?: number | undefined;
  /** Seen up to below this distance. Default Infinity. */
  readonly farthest?: number | undefined;
}

/** Keys of the tokens: the rows of each sequence, and the last R tokens that it had before them. */
export interface TokenKeys extends Seen {
  /** [N, kvH·D]. */
  readonly keys: Tensor;
  /** [N, kvH·D]. */
  readonly values: Tensor;
  /** [S, R, kvH·D] each, the newest last. Of those that `position` says there were not, nobody sees anything. */
  readonly before?: { readonly keys: Tensor; readonly values: Tensor } | undefined;
}

/** Keys of their own for each block of queries. */
export interface BlockKeys extends Seen {
  /** [S, n, m, kvH·D]; n = 1 for keys that all blocks share. */
  readonly keys: Tensor;
  /** [S, n, m, kvH·D]. */
  readonly values: Tensor;
  /** [S, n, m]; negative: nobody, who is never seen. */
  readonly positions: Tensor;
  /** From distance `from` on, queries [N, H·D] and keys [S, n, m, kvH·D] to be used instead. */
  readonly far?: { readonly from: number; readonly queries: Tensor; readonly keys: Tensor } | undefined;
}

export type AttentionKeys = TokenKeys | BlockKeys;

export interface AttentionOptions {
  /** Where the sequences lie in the rows of the queries. */
  readonly sequences: Sequences;
  /** H. */
  readonly heads: number;
  /** Heads of keys and values, a divisor of H: each serves H/kvH heads of queries, which lie side by side. Default H. */
  readonly kvHeads?: number | undefined;
  /** Factor of the scores. Default D^-1/2. */
  readonly scale?: number | undefined;
  /** b, needed for {@link BlockKeys}: block j of a sequence are the queries at positions (⌊p/b⌋ + j)·b … + b − 1, p = `position`. */
  readonly block?: number | undefined;
}

/**
 * Softmax attention of each token over several groups of keys with one softmax for all (Vaswani et al. 2017; with groups of keys
 * Zancato et al. 2024, "B'MOJO"): o_t = Σ_i e^{s_ti} v_i / Σ_i e^{s_ti}, s_ti = scale · q_t · k_i, where i runs over all keys of all
 * groups whose distance from t allows it. Causal attention is one group of {@link TokenKeys}, a window of w of them that with
 * `farthest` w. A query that sees nobody reads 0, and gives no gradient; rows of no sequence likewise.
 *
 * On WebGPU scores are never stored: 64 queries meet 64 keys in workgroup memory (Dao 2023, "FlashAttention-2"), and what is kept
 * for the gradient is the logarithm of the softmax's denominator.
 *
 * @param inputs.groups at least one
 * @param inputs.position float32 [S]: the tokens each sequence has seen before; none if left out
 * @returns [N, H·D]
 * @throws MnemixError `shape`; `config` for heads that do not fit, no groups, and block keys without `block`, or of another number of
 *   blocks than there are
 */
export function attention(
  { groups, position }: { groups: readonly AttentionKeys[]; position?: Tensor | undefined },
  { sequences, heads, kvHeads = heads, scale, block }: AttentionOptions,
): Tensor2D {
  const { rows, count, maxLength, uniform, starts, lengths, rowSequence } = sequences;
  checkConfig(groups.length > 0, 'attention(groups)', 'there is none.', 'Pass one group of keys or more.');
  checkConfig(
    heads % kvHeads === 0,
    'attention(kvHeads)',
    `${kvHeads} heads of keys cannot serve ${heads} of queries evenly.`,
    'Make heads a multiple of kvHeads.',
  );
  const width = (groups[0] as AttentionKeys).queries.shape[1] as number;
  const headWidth = width / heads;
  checkConfig(
    Number.isInteger(headWidth),
    'attention(heads)',
    `${width} columns cannot be shared by ${heads} heads.`,
    'Pass queries as [N, H·D].',
  );
  checkShapes('attention', { position: [position, [count]] });

  const tensors: Inputs = { starts, lengths, rowSequence, position };
  const asked: Tensor[] = [];
  const queriesOf = (queries: Tensor, where: string): number => {
    checkShapes(where, { queries: [queries, [rows, width]] });
    if (!asked.includes(queries)) asked.push(queries);
    return asked.indexOf(queries);
  };
  const described = groups.map((group, g): Group => {
    const where = `attention(groups[${g}])`;
    const { nearest = 0, farthest = Infinity } = group;
    const isOfBlocks = 'positions' in group;
    if (isOfBlocks)
      checkBlocks(where, group, { count, keySize: kvHeads * headWidth, block, maxLength, position });
    else checkTokens(where, group, { rows, count, keySize: kvHeads * headWidth, position });
    Object.assign(tensors, { [`keys${g}`]: group.keys, [`values${g}`]: group.values });
    if (!isOfBlocks) {
      const { before } = group;
      Object.assign(tensors, { [`keysBefore${g}`]: before?.keys, [`valuesBefore${g}`]: before?.values });
      return { kind: 'tokens', queries: queriesOf(group.queries, where), nearest, farthest };
    }
    const { positions, far } = group;
    Object.assign(tensors, { [`positions${g}`]: positions, [`farKeys${g}`]: far?.keys });
    return {
      kind: 'blocks',
      queries: queriesOf(group.queries, where),
      nearest,
      farthest,
      far: far && { from: far.from, queries: queriesOf(far.queries, where) },
    };
  });
  if (maxLength === 0) return zeros([rows, width]);
  asked.forEach((queries, i) => (tensors[`queries${i}`] = queries));
  return attentionOp(tensors, {
    rows,
    count,
    maxLength,
    uniform,
    heads,
    kvHeads,
    headWidth,
    scale: scale ?? headWidth ** -0.5,
    block,
    groups: described,
  }).o as Tensor2D;
}

function checkTokens(
  where: string,
  { keys, values, before }: TokenKeys,
  sizes: { rows: number; count: number; keySize: number; position: Tensor | undefined },
): void {
  const { rows, count, keySize, position } = sizes;
  checkShapes(where, {
    keys: [keys, [rows, keySize]],
    values: [values, [rows, keySize]],
    'before.keys': [before?.keys, [count, 'R', keySize]],
    'before.values': [before?.values, [count, 'R', keySize]],
  });
  checkConfig(
    before === undefined || position !== undefined,
    `${where}.before`,
    'it is given, but not how many of its slots hold tokens.',
    'Pass the number of tokens that each sequence has seen as position.',
  );
}

function checkBlocks(
  where: string,
  { keys, values, positions, far }: BlockKeys,
  sizes: {
    count: number;
    keySize: number;
    block: number | undefined;
    maxLength: number;
    position: Tensor | undefined;
  },
): void {
  const { count, keySize, block, maxLength, position } = sizes;
  const { n = 0 } = checkShapes(where, {
    positions: [positions, [count, 'n', 'm']],
    keys: [keys, [count, 'n', 'm', keySize]],
    values: [values, [count, 'n', 'm', keySize]],
    'far.keys': [far?.keys, [count, 'n', 'm', keySize]],
  });
  if (n === 1) return;
  if (block === undefined || !Number.isSafeInteger(block) || block < 1) {
    throw new MnemixError({
      code: 'config',
      where: 'attention(block)',
      message: `it is ${block}, but there are keys of ${n} blocks.`,
      fix: 'Say how many tokens a block has.',
    });
  }
  const blocks = blocksOf(maxLength, block, position !== undefined);
  checkConfig(
    n === blocks,
    `${where}.positions`,
    `there are ${n} blocks, but the queries lie in ${blocks}.`,
    'Pass keys for each block, or of one block for all.',
  );
}
