// What is wrong between keys that are each right alone.
import type { Config, ModelConfig, TaskConfig } from './config.ts';
import type { Fault } from './errors.ts';
import { mainName, modelsOf } from './plan-job.ts';

/** A fault, and all the keys that it is a relation of. */
export interface Contradiction extends Fault {
  readonly keys: readonly string[];
}

/** What no single key can tell. Sizes that depend on the task's or the cell's own rules are checked by them. */
export function contradictions(config: Config): Contradiction[] {
  const { optimizer, training } = config;
  const found: Contradiction[] = [];
  const main = mainName(config.model);
  if (config.task.kind === 'recall') found.push(...recallContradictions(config.task));
  for (const [name, model] of Object.entries(modelsOf(config))) {
    found.push(...modelContradictions(name === main ? 'model' : `beside.${name}`, model));
  }
  if (main in config.beside) {
    found.push({
      where: `beside.${main}`,
      message: 'is the name of the main model.',
      fix: 'Give it another name.',
      keys: ['model', 'beside'],
    });
  }
  if (optimizer.schedule !== 'constant' && optimizer.warmupSteps >= training.steps) {
    found.push({
      where: 'optimizer.warmupSteps',
      message: `is ${optimizer.warmupSteps}, but training.steps is ${training.steps}: nothing is left for the schedule.`,
      fix: 'Use a warm-up that is shorter than the training.',
      keys: ['optimizer.warmupSteps', 'training.steps'],
    });
  }
  return found;
}

function modelContradictions(section: string, model: ModelConfig): Contradiction[] {
  const { width, heads, keyWidth, memories, topK } = model;
  const found: Contradiction[] = [];
  const add = (key: string, others: readonly string[], message: string, fix: string): void => {
    // A model beside the main one takes from it whatever it does not say itself.
    const keys = [key, ...others].flatMap((name) => [`${section}.${name}`, `model.${name}`]);
    found.push({ where: `${section}.${key}`, message, fix, keys });
  };
  if (topK > memories) {
    const there = memories === 1 ? 'is 1 memory' : `are ${memories} memories`;
    const range = memories === 1 ? 'topK 1' : `topK between 1 and ${memories}`;
    add('topK', ['memories'], `is ${topK}, but there ${there}.`, `Use ${range}, or more memories.`);
  }
  if (keyWidth === undefined && width % heads !== 0) {
    const fix = 'Use a number of heads that divides the width, or set keyWidth.';
    add('heads', ['width', 'keyWidth'], `is ${heads}, which does not divide the width of ${width}.`, fix);
  }
  return found;
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
