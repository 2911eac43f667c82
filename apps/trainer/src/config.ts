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

const attention = z.strictObject({
  heads: count.optional().describe('Heads. Left out: model.heads.'),
  kvHeads: count.optional().describe('Heads of keys and values, a divisor of `heads`. Left out: `heads`.'),
  headWidth: count.optional().describe('Width of a head. Left out: width / heads.'),
  window: count
    .optional()
    .describe('A token sees itself and `window` − 1 before it. Left out: everything before it.'),
  ropeBase: z
    .number()
    .min(0)
    .optional()
    .describe('Base of the rotary positions; 0: no positions. Left out: 10000.'),
  qkvBias: z
    .boolean()
    .optional()
    .describe('Biases of queries, keys and values in the projections. Left out: false.'),
  qkNorm: z.boolean().optional().describe('RMSNorm of each query and key. Left out: false.'),
  normEps: z.number().min(0).optional().describe('Added to its mean square. Left out: 1e-5.'),
});

const policy = z.strictObject({
  type: z
    .enum(['innovation', 'recency', 'random', 'self_recall'])
    .describe(
      'innovation: what surprises the fading memory; recency: the newest; random: any; self_recall: what the fading memory recalls worst. Without a policy: innovation.',
    ),
  taps: z
    .array(z.number().positive())
    .min(1)
    .optional()
    .describe('innovation: weights of the last outputs in the prediction, the newest first.'),
  error: z
    .enum(['l2', 'l1', 'relL2'])
    .optional()
    .describe('innovation: the norm of what was not predicted. Left out: l2.'),
  seed: z.int().min(0).optional().describe('random: another choice. Left out: 0.'),
  ageing: z.number().min(0).optional().describe('Rate at which scores age, per token. Left out: 0.'),
  skipFirst: z.int().min(0).optional().describe('First tokens that are never kept. Left out: 0.'),
});

const fadingTokens = z.strictObject({
  source: z
    .enum(['tail', 'chunkEnds', 'offsetWindow', 'current', 'none'])
    .optional()
    .describe(
      'The last `count` before the chunk, those at the last `count` ends of chunks, those one window back, its own, or none. Left out: tail.',
    ),
  count: count.optional().describe('How many (tail, chunkEnds). Left out: 1.'),
  norm: z.boolean().optional().describe('RMSNorm before they become keys and values. Left out: true.'),
});

const eidetic = z.strictObject({
  slots: count.describe('Tokens that are kept.'),
  policy: policy.optional().describe('Which tokens are kept.'),
  refresh: z
    .enum(['chunk', 'token'])
    .optional()
    .describe('When queries see what was chosen anew. Left out: chunk.'),
  payload: z
    .enum(['input', 'output'])
    .optional()
    .describe("What a slot holds: the layer's input, or the fading memory's output. Left out: input."),
  span: z
    .int()
    .min(0)
    .optional()
    .describe('Tokens before the chosen one that its slot holds too; less than `window`. Left out: 0.'),
  dedupe: z
    .boolean()
    .optional()
    .describe('Hides slots whose token the window shows as well. Left out: false.'),
});

const bmojo = z.strictObject({
  window: count
    .default(32)
    .describe('A token sees itself and `window` − 1 before it; also the length of a chunk.'),
  heads: count.optional().describe('Heads. Left out: model.heads.'),
  kvHeads: count.optional().describe('Heads of keys and values, a divisor of `heads`. Left out: `heads`.'),
  headWidth: count.optional().describe('Width of a head. Left out: width / heads.'),
  inContext: z.boolean().optional().describe('Show the window at all. Left out: true.'),
  fadingTokens: fadingTokens
    .prefault({})
    .describe('Which outputs of the fading memory are seen, beside the window.'),
  eidetic: eidetic
    .nullable()
    .default(null)
    .describe("What is kept verbatim; in `beside` it is replaced whole. null: nothing, which is B'MOJO-F."),
  qkNorm: z.boolean().optional().describe('RMSNorm of each query and key. Left out: true.'),
  ropeBase: z
    .number()
    .min(0)
    .optional()
    .describe('Base of the rotary positions; 0: no positions. Left out: 0.'),
  tied: z
    .boolean()
    .optional()
    .describe("The fading memory's outputs use the projections of the inputs. Left out: true."),
  skip: z.boolean().optional().describe("Adds the fading memory's output to the block's. Left out: false."),
  normEps: z.number().min(0).optional().describe('Added to the mean square of norms. Left out: 1e-5.'),
});

const model = z.strictObject({
  width: count.default(64).describe('Width of the residual stream.'),
  layers: count.default(2).describe('Residual blocks.'),
  pattern: z
    .array(z.enum(['memory', 'attention', 'bmojo']))
    .min(1)
    .default(['memory'])
    .describe(
      "What the blocks mix tokens with, repeated over them: memory (the cell, or a MoM of it), attention, or bmojo (B'MOJO, which fades into that memory).",
    ),
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
  attention: attention.prefault({}).describe('Softmax attention, where `pattern` has it.'),
  bmojo: bmojo.prefault({}).describe("B'MOJO, where `pattern` has it."),
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

/** Some keys of a section, and of the sections in it. */
type Overrides<Section> = {
  [Key in keyof Section]?: Section[Key] extends readonly unknown[]
    ? Section[Key]
    : Section[Key] extends object
      ? Overrides<Section[Key]>
      : Section[Key];
};

/** The same keys, all optional and without defaults: what is left out is taken from elsewhere. */
function overridesOf<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
): z.ZodOptional<z.ZodType<Overrides<z.output<typeof schema>>, Overrides<z.output<typeof schema>>>> {
  const bare = Object.entries(schema.shape).map(([key, field]) => {
    const type = field instanceof z.ZodDefault || field instanceof z.ZodPrefault ? field.unwrap() : field;
    const override = type instanceof z.ZodObject ? overridesOf(type) : z.optional(type);
    return [key, override.describe((field as z.ZodType).description ?? '')];
  });
  return z.strictObject(Object.fromEntries(bare)).optional() as never;
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
export type ModelChanges = Overrides<ModelConfig>;
export type TaskConfig = Config['task'];

/** The schema for editors (JSON Schema draft 7), of what a user writes. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return { ...schema, title: 'mnemix training configuration' };
}
