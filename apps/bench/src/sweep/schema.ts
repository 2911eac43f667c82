// What a sweep file may say: models × tasks × learning rates × seeds.
import { z } from 'zod';

const count = z.int().min(1);
const share = z.number().min(0).max(1);

const sizeFields = {
  width: count.describe('Width of the model.'),
  layers: count.describe('Blocks. Left out: 2.'),
  mlp: z.int().min(0).describe('Hidden width of the MLP after each mixer; 0: none. Left out: 0.'),
  tieEmbeddings: z.boolean().describe('The output layer is the embedding, transposed. Left out: false.'),
  heads: count.describe('Heads of the memories. Left out: 1.'),
  keyWidth: count.describe('Key width of a head. Left out: width / heads.'),
  valueWidth: count.describe('Value width of a head. Left out: keyWidth.'),
  attentionHeads: count.describe("Heads of attention, window and B'MOJO. Left out: heads."),
  memories: count.describe('Memories of a mixture. Left out: 4.'),
  topK: count.describe('Memories that a token goes to. Left out: 2.'),
  shared: z.boolean().describe('One more memory, which every token goes to. Left out: true.'),
  window: count.describe("Tokens that window and B'MOJO see."),
  slots: count.describe("Eidetic slots of B'MOJO."),
  policy: z
    .enum(['innovation', 'recency', 'random', 'self_recall'])
    .describe('What the slots keep. Left out: innovation.'),
};

/** What a size says; the rest is the same for all sizes. */
const sizes = z.strictObject(sizeFields).partial();

/** The sizes of one model, defaults filled in. */
const modelSizes = sizes.extend({
  layers: sizeFields.layers.default(2),
  mlp: sizeFields.mlp.default(0),
  tieEmbeddings: sizeFields.tieEmbeddings.default(false),
  heads: sizeFields.heads.default(1),
  memories: sizeFields.memories.default(4),
  topK: sizeFields.topK.default(2),
  shared: sizeFields.shared.default(true),
  policy: sizeFields.policy.default('innovation'),
});

export type ModelSizes = z.output<typeof modelSizes>;

/** The later ones win. */
export const mergedSizes = (...parts: readonly z.output<typeof sizes>[]): ModelSizes =>
  modelSizes.parse(Object.assign({}, ...parts));

const learningRates = z.array(z.number().positive()).min(1);

/** Names of things in a sweep. */
const name = z.string().regex(/\S/, 'expected a name');

const mixer = z.union([
  z.string(),
  z.strictObject({
    mixer: z.string().describe('The mixer in a line.'),
    except: z.array(z.string()).default([]).describe('Cells that a star does not stand for.'),
    name: name.optional().describe('What results call it. Left out: the line.'),
    family: name.optional().describe('The line of a figure that it belongs to. Left out: its name.'),
    cellOptions: z
      .record(z.string(), z.unknown())
      .default({})
      .describe('Further options of the cells, by the names of their package.'),
    sizes: z.record(name, sizes).optional().describe('Instead of those of the sweep.'),
    learningRates: learningRates.optional().describe('Instead of those of the sweep.'),
  }),
]);

const training = {
  batch: count.describe('Sequences of a step. Left out: 32.'),
  steps: count.describe('Steps at most. Left out: 1000.'),
  weightDecay: z.number().min(0).describe('Left out: 0.01.'),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .describe('Largest norm of the gradient; null: no clipping. Left out: 1.'),
  schedule: z.enum(['cosine', 'constant']).describe('Left out: cosine.'),
  warmupSteps: z.int().min(0).describe('Left out: 20.'),
  finalRatio: share.describe('Share of the learning rate left after the last step. Left out: 0.1.'),
  evaluateEvery: count.describe('Steps between evaluations. Left out: 50.'),
  testSequences: count.describe('Sequences of each test. Left out: 256.'),
  stopAt: share.describe('Training ends once the accuracy is above this. Left out: 0.99.'),
};

const trainingDefaults = {
  batch: 32,
  steps: 1000,
  weightDecay: 0.01,
  clipNorm: 1,
  schedule: 'cosine',
  warmupSteps: 20,
  finalRatio: 0.1,
  evaluateEvery: 50,
  testSequences: 256,
  stopAt: 0.99,
} as const;

const trainingPart = z.strictObject(training).partial();

/** The training of one task, defaults filled in. */
export const mergedTraining = (
  ...parts: readonly z.output<typeof trainingPart>[]
): Required<z.output<typeof trainingPart>> => Object.assign({}, trainingDefaults, ...parts);

/** Tasks check their own options. */
const taskSpec = z.looseObject({ type: z.string().describe('The task, e.g. mqar; then its options.') });

const task = z.strictObject({
  train: taskSpec,
  tests: z.record(name, taskSpec).optional().describe('Left out: unseen sequences of the task itself.'),
  training: trainingPart.default({}).describe('What is different for this task.'),
});

/** Sections may be empty as far as the schema is concerned: what lacks is told with all other faults. */
export const sweepSchema = z.strictObject({
  $schema: z.string().optional().describe('Where editors find this schema.'),
  name: name.default('sweep').describe('What results are called.'),
  about: z.string().default('').describe('What the sweep is to show, in a sentence or two.'),
  backend: z
    .enum(['wasm', 'cpu', 'webgpu', 'webgpu-software'])
    .default('wasm')
    .describe('Where jobs compute; wasm with one thread each.'),
  mixers: z
    .array(mixer)
    .default([])
    .describe(
      'In a line each, e.g. "gla", "mom gla", "bmojo gla", "window"; "convolution, *": every cell over one.',
    ),
  model: sizes.default({}).describe('What all sizes have in common.'),
  sizes: z.record(name, sizes).default({}).describe('By name: every mixer is trained at each.'),
  tasks: z.record(name, task).default({}).describe('By name: every model is trained on each.'),
  learningRates: learningRates
    .optional()
    .describe('Left out: one, which suits the cell on small recall tasks.'),
  seeds: z.array(z.int().min(0)).default([1]).describe('Of the parameters and the data.'),
  training: trainingPart.default({}).describe('How all jobs train.'),
});

export type Sweep = z.output<typeof sweepSchema>;

/** The schema for editors (JSON Schema draft 7). */
export const sweepJsonSchema = (): Record<string, unknown> => ({
  ...z.toJSONSchema(sweepSchema, { io: 'input', target: 'draft-7' }),
  title: 'mnemix sweep',
});
