// What a task is: plain data and a pure function from (key, batch number) to a batch of host arrays.
import { checkConfig, MnemixError, type Rng } from '@mnemix/tensor';
import { checkInteger } from './check.ts';

/** Target of a position that carries no label; the default `ignoreIndex` of the cross-entropy. */
export const IGNORE = -100;

export type Split = 'train' | 'test';

/** Sequences of one length, as host arrays: turning them into tensors is the caller's. */
export interface Batch {
  /** Token ids [size · tokens], one sequence after the other. */
  readonly inputs: Int32Array;
  /** The token to predict at each position [size · tokens], or {@link IGNORE}. */
  readonly targets: Int32Array;
  /**
   * How far each label reaches back [size · tokens]: the answer stands among the last so many tokens, the current one
   * included, and not among fewer. 0 where there is no label, or none that earlier tokens answer.
   */
  readonly reach: Int32Array;
  /** Number of sequences; fewer than asked for at the end of a finite source. */
  readonly size: number;
  /** Length of each sequence. */
  readonly tokens: number;
  /** Which {@link ExampleSource} they come from, to report on each apart. */
  readonly source: string;
}

export interface BatchRequest {
  /** Number of the batch within the run, from 0. Nothing else moves from batch to batch. */
  readonly index: number;
  /** Sequences in a batch. */
  readonly size: number;
  readonly split: Split;
}

/** Something to train and judge a model on. */
export interface Task {
  readonly name: string;
  /** The settings, defaults filled in: plain data for logs and checkpoints. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Token ids are below this. */
  readonly vocabSize: number;
  /** Length of the longest sequence. */
  readonly tokens: number;
  /** What the examples of each split are drawn from. */
  readonly sources: Readonly<Record<Split, readonly SourceFacts[]>>;
  /** Batches in one pass over a split; `Infinity` where examples are made or drawn without end. */
  batchesPerEpoch(size: number, split: Split): number;
  /**
   * Batch number `index`: a pure function, so a run resumes from its step number alone.
   *
   * @param rng the run's key, the same for all batches
   * @throws MnemixError `config` unless `size` ≥ 1 and `index` ≥ 0 are integers
   */
  batch(rng: Rng, request: BatchRequest): Batch;
}

/** What is known of one kind of example without making any. */
export interface SourceFacts {
  /** Unique within the split; names the kind in results. */
  readonly name: string;
  readonly tokens: number;
  /** Share of the batches, relative to the other sources of the split (default 1). Only for endless sources. */
  readonly weight?: number | undefined;
  /** Size of a fixed data set. Left out: every example is new. */
  readonly examples?: number | undefined;
  /**
   * Distribution of the labels' reach, where a formula gives it: entry r is the probability that a label reaches r
   * tokens back (see {@link Batch.reach}). A function, because it may take a while.
   */
  readonly reaches?: (() => Float64Array) | undefined;
  /** Highest probability that a label is guessed by a model that does not see its answer. */
  readonly guess?: number | undefined;
}

/** One kind of example within a task: a length, a difficulty. */
export interface ExampleSource extends SourceFacts {
  /**
   * Writes example `number` into `inputs` (zeros at first) and `targets` ({@link IGNORE} at first), and may write how far
   * its labels reach back into `reach` (zeros at first), each [tokens].
   *
   * @param rng a key for this one example
   */
  readonly write: (
    rng: Rng,
    inputs: Int32Array,
    targets: Int32Array,
    reach: Int32Array,
    number: number,
  ) => void;
}

export interface TaskDefinition extends Pick<Task, 'name' | 'config' | 'vocabSize'> {
  readonly train: readonly ExampleSource[];
  readonly test: readonly ExampleSource[];
}

/**
 * Makes a task of functions that write one example each. A batch holds examples of one source.
 *
 * Endless sources are mixed at random by weight, one draw a batch. Finite ones are passed through in the order
 * given, example by example, with a short last batch each; then the next epoch repeats the same examples.
 * Example n of a source depends on the run's key, the split, the source's name and n alone: not on the batch size,
 * nor on what other sources there are. Train and test keys are folded from different labels, hence independent.
 *
 * @throws MnemixError `config` for a split without sources, with two of one name, a weight that is not positive,
 *   or with finite and endless sources mixed
 */
export function defineTask({ name, config, vocabSize, train, test }: TaskDefinition): Task {
  const splits = { train, test };
  for (const split of ['train', 'test'] as const) checkSources(`${name} (${split})`, splits[split]);

  return {
    name,
    config,
    vocabSize,
    tokens: Math.max(...[...train, ...test].map((source) => source.tokens)),
    sources: splits,

    batchesPerEpoch(size, split) {
      checkInteger(`${name}.batchesPerEpoch(size)`, size, 1);
      return splits[split].reduce((sum, source) => sum + batchesOf(source, size), 0);
    },

    batch(rng, { index, size, split }) {
      checkInteger(`${name}.batch(size)`, size, 1);
      checkInteger(`${name}.batch(index)`, index, 0);
      const key = rng.fold(split);
      const { source, first, count } = locate(splits[split], key, index, size);
      const { tokens } = source;
      const inputs = new Int32Array(count * tokens);
      const targets = new Int32Array(count * tokens).fill(IGNORE);
      const reach = new Int32Array(count * tokens);
      const examples = key.fold(source.name);
      for (let row = 0; row < count; row++) {
        const [from, to] = [row * tokens, (row + 1) * tokens];
        source.write(
          examples.fold(first + row),
          inputs.subarray(from, to),
          targets.subarray(from, to),
          reach.subarray(from, to),
          first + row,
        );
      }
      return { inputs, targets, reach, size: count, tokens, source: source.name };
    },
  };
}

/**
 * Checks a batch before tensors are made of it: on a device an id that there is not reads zeros, and a target that
 * there is not goes uncounted, without a word.
 *
 * @throws MnemixError `value`, naming sequence and position, for an input outside of 0 … vocabSize−1, or a target that
 *   is neither that nor {@link IGNORE}
 */
export function checkBatch(batch: Batch, vocabSize: number): void {
  const { inputs, targets, size, tokens, source } = batch;
  const check = (name: 'inputs' | 'targets', ids: Int32Array): void => {
    const fail = (where: string, message: string, fix: string): never => {
      throw new MnemixError({ code: 'value', where: `batch of ${source}: ${name}${where}`, message, fix });
    };
    if (ids.length !== size * tokens) {
      const fix = 'Write one entry a token.';
      fail('', `expected ${size} sequences of ${tokens} tokens, found ${ids.length} entries.`, fix);
    }
    const isGood = (id: number): boolean =>
      (id >= 0 && id < vocabSize) || (name === 'targets' && id === IGNORE);
    const i = ids.findIndex((id) => !isGood(id));
    if (i < 0) return;
    const allowed = `${name === 'targets' ? `${IGNORE} (no label) or ` : ''}0 to ${vocabSize - 1}`;
    fail(
      `[sequence ${Math.floor(i / tokens)}, position ${i % tokens}]`,
      `found ${ids[i]}, expected ${allowed}.`,
      'Correct what writes the examples, or raise vocabSize.',
    );
  };
  check('inputs', inputs);
  check('targets', targets);
}

const batchesOf = ({ examples = Infinity }: ExampleSource, size: number): number =>
  Math.ceil(examples / size);

interface Place {
  readonly source: ExampleSource;
  /** Number of the batch's first example. */
  readonly first: number;
  readonly count: number;
}

/** Which examples make up batch `index`. */
function locate(sources: readonly ExampleSource[], key: Rng, index: number, size: number): Place {
  const epoch = sources.reduce((sum, source) => sum + batchesOf(source, size), 0);
  if (epoch === Infinity)
    return { source: drawSource(sources, key, index), first: index * size, count: size };
  let batch = index % epoch;
  let i = 0;
  const source = () => sources[i] as ExampleSource;
  for (; batch >= batchesOf(source(), size); i++) batch -= batchesOf(source(), size);
  const first = batch * size;
  return { source: source(), first, count: Math.min(size, (source().examples as number) - first) };
}

/** An endless source for batch `index`, with probability proportional to its weight. */
function drawSource(sources: readonly ExampleSource[], key: Rng, index: number): ExampleSource {
  const total = sources.reduce((sum, { weight = 1 }) => sum + weight, 0);
  let rest = total * (key.fold('source').fold(index).uniformArray(1)[0] as number);
  return sources.find(({ weight = 1 }) => (rest -= weight) < 0) ?? (sources.at(-1) as ExampleSource);
}

function checkSources(where: string, sources: readonly ExampleSource[]): void {
  checkConfig(sources.length > 0, where, 'there is nothing to draw examples from.', 'List at least one.');
  const names = new Set<string>();
  for (const { name, weight, examples } of sources) {
    checkConfig(!names.has(name), where, `${name} is listed twice.`, 'List it once; weights set its share.');
    names.add(name);
    if (examples !== undefined) checkInteger(`${where} ${name}: examples`, examples, 1);
    if (weight === undefined) continue;
    checkConfig(
      Number.isFinite(weight) && weight > 0,
      `${where} ${name}: weight`,
      `expected a positive number, found ${weight}.`,
      'Choose a positive weight, or leave the entry out.',
    );
    checkConfig(
      examples === undefined,
      `${where} ${name}: weight`,
      'a fixed data set has a size, not a weight.',
      'Give either weight or examples.',
    );
  }
  const finite = sources.filter(({ examples }) => examples !== undefined).length;
  checkConfig(
    finite === 0 || finite === sources.length,
    where,
    `${finite} of ${sources.length} entries are fixed data sets, the others endless.`,
    'Give examples for every entry or for none.',
  );
}
