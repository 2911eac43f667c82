// What is wrong between keys that are each right alone.
import type { Config, ModelConfig, TaskConfig } from './config.ts';
import type { Fault } from './errors.ts';
import { mainName, variantsOf } from './plan-job.ts';
import { refusals } from './refusals.ts';

/** A fault, and all the keys that it is a relation of. */
export interface Contradiction extends Fault {
  readonly keys: readonly string[];
}

/** What no single key can tell. Sizes that depend on the task's own rules are checked by it. */
export function contradictions(config: Config): Contradiction[] {
  const found: Contradiction[] = [];
  const main = mainName(config.model);
  if (config.task.kind === 'recall') found.push(...recallContradictions(config.task));
  for (const [name, variant] of Object.entries(variantsOf(config))) {
    const prefix = name === main ? '' : `beside.${name}.`;
    const relations = modelContradictions(variant.model);
    const ofModel = relations.length > 0 ? relations : refusals(variant.model, prefix);
    for (const fault of [...ofModel, ...scheduleContradictions(variant)]) {
      // A model beside the main one takes from it whatever it does not say itself: its faults are told there alone.
      const own = under(prefix, fault);
      const isTold = found.some(
        ({ where, message }) => message === own.message && [own.where, fault.where].includes(where),
      );
      if (!isTold) found.push(own);
    }
  }
  if (main in config.beside) {
    found.push({
      where: `beside.${main}`,
      message: 'is the name of the main model.',
      fix: 'Give it another name.',
      keys: [
        `beside.${main}`,
        ...['pattern', 'layers', 'cell', 'memories', 'shared'].map((key) => `model.${key}`),
      ],
    });
  }
  return found;
}

/** @param prefix where the keys stand: nothing for the main model, else its entry in `beside` */
const under = (prefix: string, { where, message, fix, keys }: Contradiction): Contradiction => ({
  where: prefix + where,
  message,
  fix,
  keys: keys.flatMap((key) => [prefix + key, key]),
});

function modelContradictions(model: ModelConfig): Contradiction[] {
  const { width, heads, keyWidth, memories, topK, pattern, layers } = model;
  const found: Contradiction[] = [];
  if (topK > memories) {
    const there = memories === 1 ? 'is 1 memory' : `are ${memories} memories`;
    const range = memories === 1 ? 'topK 1' : `topK between 1 and ${memories}`;
    found.push({
      where: 'model.topK',
      message: `is ${topK}, but there ${there}.`,
      fix: `Use ${range}, or more memories.`,
      keys: ['model.topK', 'model.memories'],
    });
  }
  if (keyWidth === undefined && width % heads !== 0) {
    found.push({
      where: 'model.heads',
      message: `is ${heads}, which does not divide the width of ${width}.`,
      fix: 'Use a number of heads that divides the width, or set keyWidth.',
      keys: ['model.heads', 'model.width', 'model.keyWidth'],
    });
  }
  if (pattern.length > layers) {
    found.push({
      where: 'model.pattern',
      message: `names ${pattern.length} blocks, but there ${layers === 1 ? 'is 1 layer' : `are ${layers} layers`}.`,
      fix: 'Use a shorter pattern, or more layers.',
      keys: ['model.pattern', 'model.layers'],
    });
  }
  return found;
}

function scheduleContradictions({ optimizer, training }: Config): Contradiction[] {
  if (optimizer.schedule === 'constant' || optimizer.warmupSteps < training.steps) return [];
  const message = `is ${optimizer.warmupSteps}, but training.steps is ${training.steps}: nothing is left for the schedule.`;
  return [
    {
      where: 'optimizer.warmupSteps',
      message,
      fix: 'Use a warm-up that is shorter than the training.',
      keys: ['optimizer.warmupSteps', 'training.steps'],
    },
  ];
}

function recallContradictions(task: Extract<TaskConfig, { kind: 'recall' }>): Contradiction[] {
  const { vocabSize, mixture = [] } = task;
  const found = segmentContradictions('task', task);
  mixture.forEach((segment, i) => found.push(...segmentContradictions(`task.mixture.${i}`, segment)));
  const longest = Math.max(task.tokens, ...mixture.map(({ tokens }) => tokens));
  if (vocabSize <= longest) {
    found.push({
      where: 'task.vocabSize',
      message: `is ${vocabSize}, not more than the ${longest} tokens of a sequence.`,
      fix: `Use at least ${longest + 1}.`,
      keys: ['task.vocabSize', 'task.tokens', 'task.mixture'],
    });
  }
  return found;
}

function segmentContradictions(
  section: string,
  { tokens, pairs }: { tokens: number; pairs: number },
): Contradiction[] {
  const found: Contradiction[] = [];
  const keys = [`${section}.tokens`, `${section}.pairs`];
  if (tokens % 2 !== 0) {
    const message = `is ${tokens}, but tokens come in pairs.`;
    found.push({ where: `${section}.tokens`, message, fix: `Use ${tokens + 1}.`, keys });
  }
  if (4 * pairs > tokens) {
    const message = `is ${pairs}, which with their queries take ${4 * pairs} of ${tokens} tokens.`;
    const fix = `Use at most ${Math.floor(tokens / 4)} pairs, or at least ${4 * pairs} tokens.`;
    found.push({ where: `${section}.pairs`, message, fix, keys });
  }
  return found;
}
