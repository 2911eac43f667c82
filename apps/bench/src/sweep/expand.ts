// From a sweep to its jobs, or to every fault in it.
import { createLm, type LmConfig } from '@mnemix/lm';
import { schedule } from '@mnemix/optim';
import { taskOf, type TaskSpec } from '@mnemix/tasks';
import { recallOptions } from '../recall-options.ts';
import { refusal, schemaFaults, throwFaults, UsageError, type Fault } from './faults.ts';
import { keyOf } from './key.ts';
import { cellOf, eachCell, modelOf, parseMixer } from './mixer-line.ts';
import type { Job, JobTraining } from './record.ts';
import { mergedSizes, mergedTraining, sweepSchema, type Sweep } from './schema.ts';

type Json = Record<string, unknown>;

/** For cells of which `recall-options.ts` says nothing. */
const LEARNING_RATE = 5e-3;

/** A job under its name. */
export interface KeyedJob {
  readonly key: string;
  readonly job: Job;
}

/**
 * Checks a sweep that was read as JSON, and expands it: the jobs of the first seed before those of the second, so that a picture of
 * the whole is there early. Equal jobs come once.
 *
 * @throws UsageError with all faults
 */
export function jobsOf(raw: unknown): readonly KeyedJob[] {
  const parsed = sweepSchema.safeParse(raw);
  if (!parsed.success) {
    const { issues } = parsed.error;
    // What remains without the faulty parts may be wrong as well: say so in the same breath.
    const remaining = sweepSchema.safeParse(withoutFaulty(raw, issues));
    const further = remaining.success ? contradictions(remaining.data, raw as Json) : [];
    throw new UsageError([...issues.flatMap(schemaFaults), ...further]);
  }
  throwFaults(contradictions(parsed.data, raw as Json));
  const jobs = new Map(expand(parsed.data).map((job): [string, Job] => [keyOf(job), job]));
  return Array.from(jobs, ([key, job]) => ({ key, job }));
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly keys?: readonly string[];
}

/** Without the faulty mixers, sizes, tasks, and whatever else is at fault: the schema has defaults for it. */
function withoutFaulty(raw: unknown, issues: readonly Issue[]): unknown {
  if (typeof raw !== 'object' || raw === null) return raw;
  const rest = structuredClone(raw) as Json;
  const places = issues.flatMap(({ path, keys = [] }) =>
    path.length > 0 ? [path] : keys.map((key) => [key]),
  );
  for (const [section, entry] of places as readonly (readonly string[])[]) {
    const within = rest[section as string] as Json | undefined;
    const hasEntries = section === 'mixers' || !Array.isArray(within);
    if (entry !== undefined && within instanceof Object && hasEntries) delete within[entry];
    else delete rest[section as string];
  }
  // Those that are gone have left holes, so that the places of the others still held.
  if (Array.isArray(rest['mixers'])) rest['mixers'] = rest['mixers'].filter(() => true);
  return rest;
}

/** A mixer of the sweep, with what is its own. */
interface Model {
  readonly line: string;
  readonly name: string;
  readonly family: string;
  readonly cellOptions: Readonly<Record<string, unknown>>;
  readonly sizes: Sweep['sizes'];
  readonly learningRates: readonly number[] | undefined;
}

const modelsOf = ({ mixers, sizes, learningRates }: Sweep): readonly Model[] =>
  mixers.flatMap((mixer) => {
    const given = typeof mixer === 'string' ? { mixer, except: [], cellOptions: {} } : mixer;
    return eachCell(given.mixer, given.except).map(({ line, named }): Model => {
      const name = named(given.name ?? given.mixer);
      return {
        line,
        name,
        family: given.family === undefined ? name : named(given.family),
        cellOptions: given.cellOptions,
        sizes: given.sizes ?? sizes,
        learningRates: given.learningRates ?? learningRates,
      };
    });
  });

const lmOf = (
  { model }: Sweep,
  { line, sizes, cellOptions }: Model,
  size: string,
  vocabSize: number,
): LmConfig => modelOf(parseMixer(line), mergedSizes(model, sizes[size] ?? {}), vocabSize, cellOptions);

/** Everything but the schema's. */
function contradictions(sweep: Sweep, raw: Json): Fault[] {
  const models = modelsOf(sweep);
  const isEmpty = (section: unknown): boolean =>
    section === undefined || Object.keys(section as object).length === 0;
  const lacks = (section: 'mixers' | 'sizes' | 'tasks', example: string): Fault[] =>
    isEmpty(raw[section])
      ? [{ where: section, message: 'there are none.', fix: `Add e.g. ${example}.` }]
      : [];
  const needsSizes = models.some(({ sizes }) => sizes === sweep.sizes) || models.length === 0;
  const unreadable = models.flatMap(({ line }) => refusal(`mixers: ${line}`, () => parseMixer(line)));
  const isReadable = ({ line }: Model): boolean =>
    !unreadable.some(({ where }) => where === `mixers: ${line}`);
  const vocabSize = vocabSizesOf(sweep)[0] ?? 64;
  return [
    ...lacks('mixers', '["gated_delta_net", "mom gated_delta_net"]'),
    ...(needsSizes ? lacks('sizes', '{ "64": { "width": 64, "heads": 2 } }') : []),
    ...lacks(
      'tasks',
      '{ "recall": { "train": { "type": "mqar", "vocabSize": 66, "segments": [{ "tokens": 64, "pairs": 8 }] } } }',
    ),
    ...(sweep.seeds.length === 0
      ? [{ where: 'seeds', message: 'there are none.', fix: 'Add e.g. [1, 2, 3].' }]
      : []),
    ...unreadable,
    ...duplicates(models),
    ...Object.entries(sweep.tasks).flatMap(([name, { train, tests = {}, training }]) => [
      ...refusal(`tasks.${name}.train`, () => taskOf(train as unknown as TaskSpec)),
      ...Object.entries(tests).flatMap(([test, spec]) => [
        ...refusal(`tasks.${name}.tests.${test}`, () => taskOf(spec as unknown as TaskSpec)),
      ]),
      ...vocabularyFaults(name, train, tests),
      ...refusal(`tasks.${name}.training`, () =>
        scheduleOf({ ...mergedTraining(sweep.training, training), learningRate: LEARNING_RATE }),
      ),
    ]),
    ...models
      .filter(isReadable)
      .flatMap((model) =>
        Object.keys(model.sizes).flatMap((size) =>
          refusal(`mixers: ${model.name}, size ${size}`, () => createLm(lmOf(sweep, model, size, vocabSize))),
        ),
      ),
  ];
}

/** Results could not be told apart. */
function duplicates(models: readonly Model[]): Fault[] {
  const names = models.map(({ name }) => name);
  return [...new Set(names.filter((name, i) => names.indexOf(name) < i))].map((name) => ({
    where: `mixers: ${name}`,
    message: 'there are several of this name.',
    fix: 'Give each a name of its own: { "mixer": …, "name": … }.',
  }));
}

function sizeOfVocabulary(spec: object): number | undefined {
  try {
    return taskOf(spec as TaskSpec).vocabSize;
  } catch {
    return undefined;
  }
}

const vocabSizesOf = ({ tasks }: Sweep): readonly number[] =>
  Object.values(tasks).flatMap(({ train }) => sizeOfVocabulary(train) ?? []);

/** A model has one vocabulary. */
function vocabularyFaults(name: string, train: object, tests: Readonly<Record<string, object>>): Fault[] {
  const trained = sizeOfVocabulary(train);
  return Object.entries(tests).flatMap(([test, spec]) => {
    const tested = sizeOfVocabulary(spec);
    if (trained === undefined || tested === undefined || tested <= trained) return [];
    return [
      {
        where: `tasks.${name}.tests.${test}`,
        message: `its vocabulary has ${tested} tokens, that of the training ${trained}.`,
        fix: 'Give both the same vocabSize.',
      },
    ];
  });
}

/** The learning rate of each step. */
const scheduleOf = ({ schedule: kind, learningRate, warmupSteps, finalRatio, steps }: JobTraining) =>
  schedule({ kind, learningRate, warmupSteps, finalRatio, steps });

function expand(sweep: Sweep): readonly Job[] {
  const { seeds, tasks, backend, training: common } = sweep;
  return seeds.flatMap((seed) =>
    Object.entries(tasks).flatMap(([setting, { train, tests, training: own }]) => {
      const task = train as unknown as TaskSpec;
      const { vocabSize } = taskOf(task);
      return modelsOf(sweep).flatMap((model) => {
        const { name, family, line, sizes, learningRates } = model;
        const cell = cellOf(parseMixer(line));
        const rates = learningRates ?? [(cell && recallOptions[cell]?.learningRate) ?? LEARNING_RATE];
        return Object.keys(sizes).flatMap((size) =>
          rates.map((learningRate): Job => ({
            model: name,
            family,
            size,
            lm: lmOf(sweep, model, size, vocabSize),
            setting,
            task,
            ...(tests ? { tests: tests as unknown as Readonly<Record<string, TaskSpec>> } : {}),
            training: { ...mergedTraining(common, own), learningRate },
            seed,
            backend,
          })),
        );
      });
    }),
  );
}
