/**
 * Finds and reads the golden data: layers and models of the PyTorch library fla, and float64 engine vectors.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromNested, type Nested, type NdArray } from './array.ts';
import { readSafetensors, type GoldenTensor } from './safetensors.ts';

type Config = Readonly<Record<string, unknown>>;
type GoldenTensors = Readonly<Record<string, GoldenTensor>>;

/** One layer in float32: parameters, x, y, and the gradients of Σ y·dy. */
export interface LayerFixture {
  /** fla's class name. */
  readonly class: string;
  /** fla's constructor arguments, in snake_case. */
  readonly config: Config;
  /** Under fla's names: `q_proj.weight`, … */
  readonly params: GoldenTensors;
  /** [2, 75, 64], like dy and y. */
  readonly x: GoldenTensor;
  readonly dy: GoldenTensor;
  readonly y: GoldenTensor;
  readonly gradients: { readonly x: GoldenTensor; readonly params: GoldenTensors };
  /** What else the file holds: `router_logits` [2·75, M] for MoM, `buffer.*` for RetNet. */
  readonly extra: GoldenTensors;
}

/** A two-layer language model as fla saves it, and what it computes. */
export interface ModelFixture {
  /** Holds `config.json` and `model.safetensors`. */
  readonly folder: string;
  readonly config: Config;
  readonly params: GoldenTensors;
  readonly expected: {
    /** int32 [2, 75]. */
    readonly inputIds: GoldenTensor;
    /** [2, 75, vocab]. */
    readonly logits: GoldenTensor;
    /** Mean next-token cross-entropy; MoM's includes `aux_loss_scale · auxLoss`. */
    readonly loss: number;
    /** Unscaled load-balancing loss; MoM only. */
    readonly auxLoss: number | undefined;
    /** int32 [1, 20]; then the 24 tokens that follow it and their logits [24, vocab]. */
    readonly greedyPrompt: GoldenTensor;
    readonly greedyTokens: GoldenTensor;
    readonly greedyLogits: GoldenTensor;
  };
}

/**
 * One engine, one head, float64; names of the inputs and gradients as in the file: q k v g S0, y e, u, a b.
 */
export interface EngineFixture {
  readonly inputs: Readonly<Record<string, NdArray>>;
  readonly dOutput: NdArray;
  readonly dFinalState: NdArray;
  readonly output: NdArray;
  readonly finalState: NdArray;
  readonly gradients: Readonly<Record<string, NdArray>>;
}

/** A MoM layer on one sequence of 21 tokens, float64, routing and final states included. */
export interface MomLayerFixture {
  readonly config: Config;
  readonly params: Readonly<Record<string, NdArray>>;
  /** [T, d]. */
  readonly x: NdArray;
  /** [T, M]. */
  readonly routerLogits: NdArray;
  /** [T, K]: memory numbers, best first. */
  readonly selected: NdArray;
  /** [T, K]. */
  readonly weights: NdArray;
  readonly output: NdArray;
  /** [M + 1, H, dk, dv], the shared memory last. */
  readonly finalStates: NdArray;
  /** Unscaled. */
  readonly auxLoss: number;
}

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/**
 * Where golden data is looked for, in this order. Only the last is part of the repository; it holds a
 * selection.
 */
export function fixtureFolders(): string[] {
  const named = process.env['MNEMIX_FIXTURES'];
  const beside = join(packageFolder, '..', '..', '..', 'shared', 'fixtures');
  return [...(named ? [named] : []), beside, join(packageFolder, 'fixtures')];
}

/**
 * Absolute path of a file or folder of the golden data.
 * @throws Error naming the places searched if none has it.
 */
export function fixturePath(name: string): string {
  const path = fixtureFolders()
    .map((folder) => join(folder, name))
    .find(existsSync);
  if (path === undefined) throw new Error(`No golden data '${name}' in ${fixtureFolders().join(', ')}`);
  return path;
}

/** Reads `<name>.safetensors`. */
export function readLayerFixture(name: string): LayerFixture {
  const { metadata, tensors } = readSafetensors(fixturePath(`${name}.safetensors`));
  const { x, dy, y, 'grad.x': dx, ...rest } = tensors;
  if (!x || !dy || !y || !dx || !metadata['class'] || !metadata['config']) {
    throw new Error(`${name}.safetensors lacks x, dy, y, grad.x or its metadata`);
  }
  const params = withPrefix(rest, 'param.');
  return {
    class: metadata['class'],
    config: JSON.parse(metadata['config']) as Config,
    params,
    x,
    dy,
    y,
    gradients: { x: dx, params: withPrefix(rest, 'grad.param.') },
    extra: Object.fromEntries(Object.entries(rest).filter(([key]) => !/^(param|grad)\./.test(key))),
  };
}

/** Reads the folder `models/<name>`. */
export function readModelFixture(name: string): ModelFixture {
  const folder = fixturePath(join('models', name));
  const expected = readSafetensors(join(folder, 'expected.safetensors')).tensors;
  const tensor = (key: string): GoldenTensor => {
    const found = expected[key];
    if (found === undefined) throw new Error(`${folder}/expected.safetensors lacks ${key}`);
    return found;
  };
  return {
    folder,
    config: JSON.parse(
      readFileSync(join(folder, 'config.json'), 'utf8').replaceAll('Infinity', '1e999'),
    ) as Config,
    params: readSafetensors(join(folder, 'model.safetensors')).tensors,
    expected: {
      inputIds: tensor('input_ids'),
      logits: tensor('logits'),
      loss: tensor('loss').data[0]!,
      auxLoss: expected['aux_loss']?.data[0],
      greedyPrompt: tensor('greedy_prompt'),
      greedyTokens: tensor('greedy_tokens'),
      greedyLogits: tensor('greedy_logits'),
    },
  };
}

/** The engines of `engines-float64.json`. */
export const engineFixtureNames = [
  'plain',
  'scalar',
  'vector',
  'rwkv6',
  'delta',
  'gdelta',
  'kda',
  'gdn2',
  'comba',
  'dplr',
] as const;

/** Reads one engine of `engines-float64.json`. */
export function readEngineFixture(name: (typeof engineFixtureNames)[number]): EngineFixture {
  const entry = readEngines()[name]!;
  return {
    inputs: arrays(entry['inputs'] as Record<string, Nested>),
    dOutput: fromNested(entry['do'] as Nested),
    dFinalState: fromNested(entry['dST'] as Nested),
    output: fromNested(entry['o'] as Nested),
    finalState: fromNested(entry['S_final'] as Nested),
    gradients: arrays(entry['grads'] as Record<string, Nested>),
  };
}

/** Reads the MoM layer of `engines-float64.json`. */
export function readMomLayerFixture(): MomLayerFixture {
  const entry = readEngines()['mom_layer']!;
  return {
    config: entry['config'] as Config,
    params: arrays(entry['params'] as Record<string, Nested>),
    x: fromNested(entry['x'] as Nested),
    routerLogits: fromNested(entry['router_logits'] as Nested),
    selected: fromNested(entry['selected'] as Nested),
    weights: fromNested(entry['weights'] as Nested),
    output: fromNested(entry['out'] as Nested),
    finalStates: fromNested(entry['final_states_m0..M-1_then_shared'] as Nested),
    auxLoss: entry['aux_loss_unscaled'] as number,
  };
}

function readEngines(): Record<string, Record<string, unknown>> {
  return JSON.parse(readFileSync(fixturePath('engines-float64.json'), 'utf8')) as Record<
    string,
    Record<string, unknown>
  >;
}

function arrays(record: Record<string, Nested>): Record<string, NdArray> {
  return Object.fromEntries(Object.entries(record).map(([name, nested]) => [name, fromNested(nested)]));
}

function withPrefix(tensors: GoldenTensors, prefix: string): GoldenTensors {
  const matching = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(matching.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
