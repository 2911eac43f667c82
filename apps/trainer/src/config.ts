// The configuration of a training job: its schema, which is also what editors and the README are told.
import { cells, type CellName } from '@mnemix/cells';
import { z } from 'zod';

const count = z.int().min(1);
const fraction = z.number().min(0).max(1);
const folderName = z.string().regex(/^[\w][\w.-]*$/, 'must consist of letters, digits, ".", "_" and "-"');

const recallTask = z.strictObject({
  kind: z
    .literal('recall')
    .describe('Multi-query associative recall (MQAR): key-value pairs, then keys to answer.'),
  tokens: count.default(32).describe('Length of a sequence. Even, and at least 4 × pairs.'),
  pairs: count.default(4).describe('Key-value pairs to remember.'),
  vocabSize: count
    .default(64)
    .describe('Symbols, more than tokens: 0 is blank, the lower half keys, the upper half values.'),
  fill: z.enum(['random', 'blank']).default('random').describe('What stands between the queries.'),
  mixture: z
    .array(z.strictObject({ tokens: count, pairs: count, weight: z.number().positive().optional() }))
    .min(1)
    .optional()
    .describe('Train on a mixture of lengths and pairs instead; unseen data keep `tokens` and `pairs`.'),
});

const textTask = z.strictObject({
  kind: z.literal('text').describe('Next-token prediction on text.'),
  file: z.string().optional().describe('A UTF-8 text file. Left out: Moby-Dick.'),
  tokenizer: z.string().default('bytes').describe('`bytes`, or the path of a Hugging Face tokenizer.json.'),
  tokens: count.default(128).describe('Length of a sequence.'),
});

const model = z.strictObject({
  width: count.default(64).describe('Width of the residual stream.'),
  layers: count.default(2).describe('Residual blocks.'),
  cell: z
    .enum(Object.keys(cells) as [CellName])
    .default('gated_delta_net')
    .describe('The memory cell.'),
  heads: count.default(1).describe('Heads of each memory.'),
  keyWidth: count.optional().describe('Key width of a head. Left out: width / heads.'),
  valueWidth: count.optional().describe('Value width of a head. Left out: keyWidth.'),
  cellOptions: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Further options of the cell, by the names of its package, e.g. { initialDecay: 1 }.'),
  memories: count
    .default(4)
    .describe('Memories that a router chooses between. 1 without a shared one: the cell alone.'),
  topK: count.default(2).describe('Memories that each token is written to. At most `memories`.'),
  shared: z.boolean().default(true).describe('One more memory, which every token is written to.'),
  singleKvProj: z.boolean().default(false).describe('All memories share their key and value projections.'),
  mlpWidth: z.int().min(0).default(0).describe('Hidden width of the SwiGLU after each mixer. 0: none.'),
  tieEmbeddings: z.boolean().default(false).describe('The output layer is the embedding, transposed.'),
  initializerRange: z
    .number()
    .positive()
    .default(0.02)
    .describe('Standard deviation of embedding, head and SwiGLU.'),
  balance: z.number().min(0).default(0.01).describe('Weight of the load-balancing loss.'),
  zLoss: z.number().min(0).default(0).describe('Weight of the router z-loss.'),
});

const optimizer = z.strictObject({
  learningRate: z.number().positive().default(3e-3).describe('The highest learning rate.'),
  schedule: z
    .enum(['cosine', 'linear', 'constant'])
    .default('cosine')
    .describe('How it falls after the warm-up.'),
  warmupSteps: z.int().min(0).default(0).describe('Steps over which it rises.'),
  finalRatio: fraction
    .default(0)
    .describe('Share of it that is left after the last step (cosine and linear).'),
  weightDecay: z.number().min(0).default(0.1).describe('AdamW; norms, biases, A_log and dt_bias are exempt.'),
  beta1: z.number().min(0).lt(1).default(0.9).describe("Decay of the gradient's running mean."),
  beta2: z.number().min(0).lt(1).default(0.95).describe('Decay of the running mean of its square.'),
  epsilon: z.number().positive().default(1e-8).describe('Added to the root of the mean square.'),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe('Largest norm of the gradient. null: no clipping.'),
});

const training = z.strictObject({
  steps: count.default(1000).describe('Optimiser steps at most.'),
  batch: count.default(64).describe('Sequences a step.'),
  seed: z.int().min(0).default(1).describe('Seed of initialisation and data.'),
  seeds: count.default(1).describe('How many seeds to run: seed, seed + 1, …'),
  stopAt: fraction.optional().describe('Stop once this accuracy is reached on unseen data.'),
  evalEvery: count.default(50).describe('Steps between evaluations on unseen data.'),
  evalSequences: count.default(256).describe('Sequences of one evaluation.'),
});

const output = z.strictObject({
  logEvery: count.default(10).describe('Steps between lines where output is no terminal.'),
  saveEvery: count.default(100).describe('Steps between checkpoints.'),
  keep: count.default(2).describe('Newest checkpoints to keep; the best one is kept besides.'),
  tensorboard: z.boolean().default(true).describe('Write TensorBoard event files.'),
});

/** The same keys, all optional and without defaults: what is left out is taken from elsewhere. */
function overridesOf<Shape extends z.ZodRawShape>(schema: z.ZodObject<Shape>) {
  const bare = Object.entries(schema.shape).map(([key, field]) => {
    const type = field instanceof z.ZodDefault ? field.unwrap() : field;
    return [key, z.optional(type).describe((field as z.ZodType).description ?? '')];
  });
  return z.strictObject(Object.fromEntries(bare)).optional() as unknown as z.ZodOptional<
    z.ZodType<Partial<z.output<z.ZodObject<Shape>>>, Partial<z.output<z.ZodObject<Shape>>>>
  >;
}

/** What may differ between the models of a job; task, seeds and the accuracy to reach are what they share. */
const variant = z.strictObject({
  model: overridesOf(model),
  optimizer: overridesOf(optimizer),
  training: overridesOf(training.omit({ seed: true, seeds: true, stopAt: true })),
  output: overridesOf(output.omit({ logEvery: true })),
});

export const configSchema = z.strictObject({
  $schema: z
    .string()
    .optional()
    .describe('Where editors find this schema.')
    // It matters to nobody else.
    .transform(() => undefined),
  name: folderName.default('run').describe('Name of the run folder.'),
  backend: z
    .enum(['auto', 'webgpu', 'webgpu-software', 'wasm', 'cpu'])
    .default('auto')
    .describe('Where tensors live. auto: a real GPU, else WASM, else plain JavaScript.'),
  threads: count
    .default(1)
    .describe('Threads of the WASM backend. More than one pays off from widths of about 512 on.'),
  task: z.discriminatedUnion('kind', [recallTask, textTask]),
  model: model.prefault({}),
  optimizer: optimizer.prefault({}),
  training: training.prefault({}),
  output: output.prefault({}),
  beside: z
    .record(folderName, variant)
    .default({})
    .describe(
      'Models to train on the same task beside the main one: their names, and what differs in which section.',
    ),
});

/** What a user writes: nearly every key may be left out. */
export type ConfigInput = z.input<typeof configSchema>;

/** A whole configuration, defaults filled in. */
export type Config = z.output<typeof configSchema>;
export type ModelConfig = Config['model'];
export type TaskConfig = Config['task'];

/** The schema for editors (JSON Schema draft 7), of what a user writes. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return { ...schema, title: 'mnemix training configuration' };
}
