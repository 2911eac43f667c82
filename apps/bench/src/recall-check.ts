// Whether each memory cell learns to recall, alone and as the memory of a Mixture-of-Memories: associative recall of 8 pairs in
// 64 tokens, one seed, until a level is reached.
import { cellEntry, cells, type CellName } from '@mnemix/cells';
import { cellBlock, type CellConfig, type LmConfig, type MixerConfig } from '@mnemix/lm';
import { mqar } from '@mnemix/tasks';
import { openBackend } from '@mnemix/tensor';
import { recallOptions } from './recall-options.ts';
import { startTraining } from './training.ts';

const VOCABULARY = 66;
const TOKENS = 64;
const PAIRS = 8;
const BATCH = 32;
const WIDTH = 64;
const HEADS = 2;
const HEAD_WIDTH = 16;
const EVERY = 50;
const UNSEEN = 256;
const LEARNING_RATE = 5e-3;

/**
 * The accuracy to reach. Guessing among all values gives 1/32, guessing among the eight of the sequence 1/8: a plateau on which
 * every model stays until it binds keys to values. Half is four times that: most pairs are bound, and told apart.
 */
const LEVEL = 0.5;

/** A cell alone, or with a router in front. */
export interface RecallJob {
  readonly cell: CellName;
  readonly routed: boolean;
}

export interface RecallResult extends RecallJob {
  /** Best accuracy on unseen sequences. */
  readonly accuracy: number;
  /** Steps until it was reached. */
  readonly steps: number;
  readonly seconds: number;
  readonly learningRate: number;
  readonly reached: boolean;
}

function recallModel({ cell, routed }: RecallJob): LmConfig {
  const { width: _, ...sizes } = cellEntry('bench', cell).ofSizes({
    width: WIDTH,
    heads: HEADS,
    keyWidth: HEAD_WIDTH,
    valueWidth: HEAD_WIDTH,
  });
  const config = { type: cell, ...sizes, ...recallOptions[cell]?.cell } as CellConfig;
  const mixer: MixerConfig = routed ? { type: 'mom', cell: config, memories: 4, topK: 2 } : config;
  return { vocabSize: VOCABULARY, width: WIDTH, layers: 2, mixer, ...cellBlock(cell, 0) };
}

/** Trains until the level is reached, or for `steps` steps. */
export async function runRecall(
  job: RecallJob,
  { steps, seed = 1 }: { steps: number; seed?: number },
): Promise<RecallResult> {
  await openBackend('wasm', { threads: 1 });
  const begin = performance.now();
  const learningRate = recallOptions[job.cell]?.learningRate ?? LEARNING_RATE;
  const training = startTraining({
    model: recallModel(job),
    task: mqar({ vocabSize: VOCABULARY, segments: [{ tokens: TOKENS, pairs: PAIRS }], fill: 'blank' }),
    batch: BATCH,
    steps,
    seed,
    learningRate,
  });
  let best = { accuracy: 0, steps: 0 };
  for (let step = 0; step < steps && best.accuracy < LEVEL; step++) {
    await training.step(step);
    if ((step + 1) % EVERY > 0 && step + 1 < steps) continue;
    const accuracy = await training.accuracy(UNSEEN);
    if (accuracy > best.accuracy) best = { accuracy, steps: step + 1 };
  }
  training.dispose();
  const seconds = (performance.now() - begin) / 1000;
  return { ...job, ...best, seconds, learningRate, reached: best.accuracy >= LEVEL };
}

/** Every cell alone and routed, or those of the cells that are named. */
export const recallJobs = (only = Object.keys(cells) as readonly CellName[]): readonly RecallJob[] =>
  only.flatMap((cell) => [false, true].map((routed) => ({ cell, routed })));

/** The results as Markdown. */
export function formatRecallCheck(results: readonly RecallResult[], { steps }: { steps: number }): string {
  const outcome = (cell: CellName, routed: boolean): string => {
    const result = results.find((each) => each.cell === cell && each.routed === routed);
    if (result === undefined) return '– | –';
    const percent = `${(100 * result.accuracy).toFixed(1)} %`;
    return `${result.reached ? percent : `**${percent}**`} | ${result.steps}`;
  };
  const names = [...new Set(results.map(({ cell }) => cell))];
  const rate = (cell: CellName): string => String(recallOptions[cell]?.learningRate ?? LEARNING_RATE);
  const given = (cell: CellName): string => {
    const options = Object.entries(recallOptions[cell]?.cell ?? {});
    return options.map(([name, value]) => `${name} ${String(value)}`).join(', ');
  };
  const missed = results.filter(({ reached }) => !reached).length;
  return [
    `Multi-query associative recall of ${PAIRS} pairs in ${TOKENS} tokens (vocabulary ${VOCABULARY}, blanks between the queries): ` +
      `two layers of width ${WIDTH} without MLP, ${HEADS} heads of ${HEAD_WIDTH} × ${HEAD_WIDTH}, ${BATCH} sequences a step, seed 1. ` +
      `In the mixture, 4 memories, top-2, and a shared one. Training stops at ${100 * LEVEL} % on ${UNSEEN} unseen sequences, ` +
      `or after ${steps} steps.`,
    '',
    `Why ${100 * LEVEL} %: a guess among all values is right in 3 %, one among the eight values of the sequence in 12.5 %, which is ` +
      'where every model waits until it begins to bind keys to values; half is four times that, out of reach unless most pairs are ' +
      'bound and told apart. ' +
      (missed === 0
        ? `All ${results.length} reach it.`
        : `${missed} of ${results.length} miss it (in bold).`),
    '',
    '| cell | alone | steps | in Mixture-of-Memories | steps | learning rate | options beside the sizes |',
    '|---|---|---|---|---|---|---|',
    ...names.map(
      (cell) =>
        `| \`${cell}\` | ${outcome(cell, false)} | ${outcome(cell, true)} | ${rate(cell)} | ${given(cell)} |`,
    ),
    '',
  ].join('\n');
}
