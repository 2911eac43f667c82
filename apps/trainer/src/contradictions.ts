// What is wrong between keys that are each right alone.
import type { Config, ModelConfig, TaskConfig } from './config.ts';
import type { Fault } from './errors.ts';
import { mainName, variantsOf } from './plan-job.ts';

/** A fault, and all the keys that it is a relation of. */
export interface Contradiction extends Fault {
  readonly keys: readonly string[];
}

/** What no single key can tell. Sizes that depend on the task's or the cell's own rules are checked by them. */
export function contradictions(config: Config): Contradiction[] {
  const found: Contradiction[] = [];
  const main = mainName(config.model);
  if (config.task.kind === 'recall') found.push(...recallContradictions(config.task));
  for (const [name, variant] of Object.entries(variantsOf(config))) {
    const relate = relateIn(name === main ? '' : `beside.${name}.`, found);
    modelContradictions(variant.model, relate);
    scheduleContradictions(variant, relate);
  }
  if (main in config.beside) {
    found.push({
      where: `beside.${main}`,
      message: 'is the name of the main model.',
      fix: 'Give it another name.',
      keys: ['model', 'beside'],
    });
  }
  return found;
}

/** Reports a key that does not go with others. */
type Relate = (key: string, others: readonly string[], message: string, fix: string) => void;

/** @param prefix where the keys stand: nothing for the main model, else its entry in `beside` */
const relateIn =
  (prefix: string, found: Contradiction[]): Relate =>
  (key, others, message, fix) => {
    // A model beside the main one takes from it whatever it does not say itself: its faults are told there alone.
    if (prefix !== '' && found.some((fault) => fault.where === key && fault.message === message)) return;
    const keys = [key, ...others].flatMap((name) => [prefix + name, name]);
    found.push({ where: prefix + key, message, fix, keys });
  };

function modelContradictions(model: ModelConfig, relate: Relate): void {
  const { width, heads, keyWidth, memories, topK } = model;
  if (topK > memories) {
    const there = memories === 1 ? 'is 1 memory' : `are ${memories} memories`;
    const range = memories === 1 ? 'topK 1' : `topK between 1 and ${memories}`;
    const message = `is ${topK}, but there ${there}.`;
    relate('model.topK', ['model.memories'], message, `Use ${range}, or more memories.`);
  }
  if (keyWidth === undefined && width % heads !== 0) {
    const message = `is ${heads}, which does not divide the width of ${width}.`;
    const fix = 'Use a number of heads that divides the width, or set keyWidth.';
    relate('model.heads', ['model.width', 'model.keyWidth'], message, fix);
  }
}

function scheduleContradictions({ optimizer, training }: Config, relate: Relate): void {
  if (optimizer.schedule === 'constant' || optimizer.warmupSteps < training.steps) return;
  relate(
    'optimizer.warmupSteps',
    ['training.steps'],
    `is ${optimizer.warmupSteps}, but training.steps is ${training.steps}: nothing is left for the schedule.`,
    'Use a warm-up that is shorter than the training.',
  );
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
