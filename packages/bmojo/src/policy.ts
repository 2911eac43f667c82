// What an eidetic memory keeps. A policy ranks tokens once, when they are seen; a slot goes to whoever ranks highest. So the
// memory after any number of tokens is the set of the highest ranks so far, whether it is found token by token, chunk by chunk or
// from the whole sequence.
import { innovation as innovationOf, type InnovationError, type Sequences } from '@mnemix/kernels';
import type { CrossLayer } from '@mnemix/layers';
import {
  add,
  cast,
  checkConfig,
  checkCount,
  checkKeys,
  checkShapes,
  gatherRows,
  greater,
  greaterEqual,
  log,
  mul,
  noGrad,
  reshape,
  Rng,
  scalar,
  sub,
  tensor2d,
  where,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { quotient } from './timeline.ts';

/** What a policy may look at. All of it is constant: nothing about the choice is learned. */
export interface PolicyContext {
  /** What the layer received, [N, d]. */
  readonly inputs: Tensor2D;
  /** What the fading memory returned, [N, d]; absent without one. */
  readonly outputs?: Tensor2D | undefined;
  /** The last `outputsBefore` outputs of an earlier pass, [S, h, d], the newest last; absent at the start of sequences. */
  readonly before?: Tensor3D | undefined;
  /** Tokens that each sequence has seen before these rows, [S]. */
  readonly position: Tensor1D;
  /** Position of each row, [N]. */
  readonly rowPosition: Tensor1D;
  readonly sequences: Sequences;
  /** How badly the fading memory returns a token's value for its own key, [N]; present if `needs` asks for it. */
  readonly selfRecall?: Tensor1D | undefined;
  readonly crossLayer: CrossLayer;
}

/** What to keep of a stream. Three questions about each token: what it is worth, whether it may enter, and when it leaves. */
export interface MemoryPolicy {
  readonly name: string;
  /** Enough to make it again: what `memoryPolicy` takes beside the name. */
  readonly config: Readonly<Record<string, unknown>>;
  /** How many earlier outputs `score` looks at. Default 0. */
  readonly outputsBefore?: number;
  /** What it cannot do without. */
  readonly needs?: 'outputs' | 'selfRecall';
  /** What each token is worth, [N]. Not NaN. */
  score(context: PolicyContext): Tensor1D;
  /** Which tokens may enter at all, bool [N]. Default: all. */
  admit?(scores: Tensor1D, context: PolicyContext): Tensor;
  /** The order in which tokens leave, the lowest first, [N]; of equals the newer. Default: by score. */
  evict?(scores: Tensor1D, context: PolicyContext): Tensor1D;
}

/** A rank that never enters. */
const NEVER = -Infinity;

/**
 * Rank of each token, [N]: who has the higher one stays longer; −∞ never enters.
 *
 * @throws MnemixError `config` where the policy does not get what it needs, `shape` where it returns the wrong count
 */
export function ranksOf(policy: MemoryPolicy, context: PolicyContext): Tensor1D {
  const where_ = `memory policy ${policy.name}`;
  checkConfig(
    policy.needs === undefined || context[policy.needs] !== undefined,
    where_,
    policy.needs === 'outputs'
      ? 'it judges what a fading memory returns, but the layer has none.'
      : 'the fading memory cannot say how well it recalls its own tokens.',
    policy.needs === 'outputs'
      ? 'Give the layer a fading memory, or choose recency, random or oracle.'
      : 'Use a cell that can (linear_attention, gla, delta_net, gated_delta_net, …), or the policy innovation.',
  );
  return noGrad(() => {
    const rows = context.inputs.shape[0];
    const scores = policy.score(context);
    checkShapes(`${where_}: score`, { scores: [scores, [rows]] });
    const order = policy.evict?.(scores, context) ?? scores;
    checkShapes(`${where_}: evict`, { order: [order, [rows]] });
    if (!policy.admit) return order;
    const admitted = policy.admit(scores, context);
    checkShapes(`${where_}: admit`, { admitted: [admitted, [rows]] });
    return where<Tensor>(admitted, order, scalar(NEVER)) as Tensor1D;
  });
}

export interface InnovationOptions {
  /** Weights of the last outputs in the prediction, the newest first. Default ½, ¼, ⅛, 1⁄16 (normalised). */
  readonly taps?: readonly number[];
  /** Default `l2`: ‖y − ŷ‖². */
  readonly error?: InnovationError;
}

const ERRORS: readonly InnovationError[] = ['l2', 'l1', 'relL2'];

/**
 * B'MOJO's choice (Zancato et al. 2024, Algorithm 1): how far the fading memory's output lies from what a short, fixed average of
 * those before it predicts.
 */
export function innovation({
  taps = [0.5, 0.25, 0.125, 0.0625],
  error = 'l2',
}: InnovationOptions = {}): MemoryPolicy {
  checkConfig(
    taps.length > 0 && taps.every((tap) => Number.isFinite(tap) && tap > 0),
    'innovation(taps)',
    `they are [${taps.join(', ')}].`,
    'Use one positive number or more, the weight of the newest output first.',
  );
  checkConfig(
    ERRORS.includes(error),
    'innovation(error)',
    `there is no "${String(error)}".`,
    `Choose one of ${ERRORS.join(', ')}.`,
  );
  return {
    name: 'innovation',
    config: { taps, error },
    needs: 'outputs',
    outputsBefore: taps.length,
    score: ({ outputs, before, position, sequences }) =>
      innovationOf({ y: outputs as Tensor2D, before, position }, { sequences, taps, error }) as Tensor1D,
  };
}

/** The newest tokens: a second window, behind the first or across it. */
export const recency = (): MemoryPolicy => ({
  name: 'recency',
  config: {},
  score: ({ rowPosition }) => rowPosition,
});

/** Entries of the tables that `random` draws from; their sums repeat after the square of it. */
const TABLE = 1024;

/**
 * A choice that looks at nothing: each position has a rank by chance, the same in every sequence and every run. What innovation is to
 * be measured against.
 */
export function random({ seed = 0 }: { readonly seed?: number } = {}): MemoryPolicy {
  const drawTable = (label: string): Float32Array =>
    Float32Array.from(Rng.of(seed).fold(label).uniformArray(TABLE));
  const [lowTable, highTable] = [drawTable('low'), drawTable('high')];
  const entries = (table: Float32Array, index: Tensor): Tensor =>
    gatherRows(tensor2d(table, [TABLE, 1]), cast(index, 'int32'));
  return {
    name: 'random',
    config: { seed },
    score: ({ rowPosition }) => {
      const high = quotient(rowPosition, TABLE);
      const low = sub(rowPosition, mul(high, TABLE));
      const again = sub(high, mul(quotient(high, TABLE), TABLE));
      const drawn = add(entries(lowTable, low), entries(highTable, again));
      const fraction = sub(drawn, cast(greaterEqual(drawn, 1), 'float32'));
      return reshape(fraction, [rowPosition.size]) as Tensor1D;
    },
  };
}

/**
 * The tokens that whoever feeds the model marks: `crossLayer.tokens[mark]` [N, 1], where more than 0 means to keep it, and how
 * dearly. The upper bound of what a choice can bring.
 */
export const oracle = ({ mark = 'keep' }: { readonly mark?: string } = {}): MemoryPolicy => ({
  name: 'oracle',
  config: { mark },
  score: ({ crossLayer, inputs }) => {
    const marks = crossLayer.tokens?.[mark];
    checkConfig(
      marks !== undefined,
      'memory policy oracle',
      `no tokens are marked as "${mark}".`,
      `Pass crossLayer: { tokens: { ${mark}: … } } with a number for each token, [B·T, 1].`,
    );
    checkShapes('memory policy oracle', { [mark]: [marks, [inputs.shape[0], 1]] });
    return reshape(marks, [inputs.shape[0]]) as Tensor1D;
  },
  admit: (scores) => greater(scores, 0),
});

/** What the fading memory returns worst for its own key (after the self-recall error of LoLA, McDermott et al. 2025). */
export const selfRecall = (): MemoryPolicy => ({
  name: 'self_recall',
  config: {},
  needs: 'selfRecall',
  score: ({ selfRecall: error }) => error as Tensor1D,
});

/** The smallest normal float32: a score of 0 is worth this little, and still worth an empty slot. */
const LEAST = 2 ** -126;

/**
 * The same, with memories that age: a score s ≥ 0 counts as s·e^{−rate·age}. Since all age alike, comparing ln s + rate·position at
 * any time is the same, and ranks need never be looked at again.
 *
 * @param rate per token
 */
export function ageing(policy: MemoryPolicy, rate: number): MemoryPolicy {
  checkConfig(
    Number.isFinite(rate) && rate >= 0,
    'ageing(rate)',
    `it is ${rate}.`,
    'Use 0 or a small positive number, e.g. 1 / (tokens after which a score counts a third).',
  );
  if (rate === 0) return policy;
  return {
    ...policy,
    config: { ...policy.config, ageing: rate },
    evict: (scores, context) => {
      const order = policy.evict?.(scores, context) ?? scores;
      return add(log(add(order, LEAST)), mul(context.rowPosition, rate)) as Tensor1D;
    },
  };
}

/** The same, without the first tokens of each sequence, which surprise whoever has seen nothing yet. */
export function skippingFirst(policy: MemoryPolicy, tokens: number): MemoryPolicy {
  checkCount('skippingFirst(tokens)', tokens, 0);
  if (tokens === 0) return policy;
  return {
    ...policy,
    config: { ...policy.config, skipFirst: tokens },
    admit: (scores, context) => {
      const late = greaterEqual(context.rowPosition, tokens);
      return policy.admit ? where(late, policy.admit(scores, context), late) : late;
    },
  };
}

/** Each policy by name, with the options that it has. */
const policies = {
  innovation: { create: innovation, options: ['taps', 'error'] },
  random: { create: random, options: ['seed'] },
  recency: { create: recency, options: [] },
  oracle: { create: oracle, options: ['mark'] },
  self_recall: { create: selfRecall, options: [] },
};

/** A policy as plain data, for configuration files. */
export type MemoryPolicyConfig = (
  | ({ readonly type: 'innovation' } & InnovationOptions)
  | { readonly type: 'random'; readonly seed?: number }
  | { readonly type: 'recency' }
  | { readonly type: 'oracle'; readonly mark?: string }
  | { readonly type: 'self_recall' }
) & {
  /** Rate at which scores age, per token. Default 0. */
  readonly ageing?: number;
  /** Tokens at the start of a sequence that are never kept. Default 0. */
  readonly skipFirst?: number;
};

/** @throws MnemixError `config` for an unknown name or option */
export function memoryPolicy(config: MemoryPolicyConfig): MemoryPolicy {
  const { type, ageing: rate = 0, skipFirst = 0, ...options } = config;
  checkConfig(
    Object.hasOwn(policies, type),
    'memoryPolicy(type)',
    `there is no "${String(type)}".`,
    `Choose one of ${Object.keys(policies).join(', ')}.`,
  );
  const { create, options: known } = policies[type];
  checkKeys(`memory policy ${type}: `, options, known);
  return skippingFirst(ageing((create as (given: object) => MemoryPolicy)(options), rate), skipFirst);
}
