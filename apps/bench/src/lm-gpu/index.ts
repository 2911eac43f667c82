// A Mixture-of-Memories language model on the GPU: tokens a second in training and milliseconds a token in decoding, with our kernels
// and without, in the same run.
import { warmUp } from '@mnemix/kernels';
import { createLm, type LanguageModel, type LmConfig, type LmParams, type LmState } from '@mnemix/lm';
import { adamW, type AdamWState } from '@mnemix/optim';
import {
  assertBackendHealthy,
  closeBackend,
  deviceKernelTimes,
  disposeTree,
  leaves,
  openBackend,
  profileDevice,
  Rng,
  tensor1d,
  tensor2d,
  tidy,
  valueAndGrad,
  withStockKernels,
  type BackendReport,
  type DeviceKernelTime,
  type DeviceProfile,
  type Precision,
  type Tensor1D,
  type Tensor2D,
} from '@mnemix/tensor';
import { whole } from '../kernels/data.ts';
import { spread, type Spread } from '../statistics.ts';
import { countReads } from './reads.ts';

export type LmForm = 'ours' | 'portable';

export interface LmShape {
  readonly model: LmConfig;
  readonly batch: number;
  readonly tokens: number;
  /** Sequences of which one token is decoded. */
  readonly decoded: number;
}

export interface TrainingResult {
  readonly form: LmForm;
  readonly precision: Precision;
  /** Sequences of a step: fewer than asked for where the device has no memory for more. */
  readonly batch: number;
  readonly failures: readonly { readonly batch: number; readonly reason: string }[];
  /** Of a step: on the wall, and of it the time in which JavaScript records it. */
  readonly wall: Spread;
  readonly encoding: Spread;
  readonly tokensPerSecond: Spread;
  /** Of a step, by the device's clock, without what lies between dispatches; absent without a clock. */
  readonly kernelMilliseconds?: number;
  readonly dispatches?: number;
  /** Of a block, forward and backward: the difference that one block less makes. */
  readonly dispatchesPerBlock?: number;
  readonly kernels?: readonly DeviceKernelTime[];
  /** Reads from the device inside of all measured steps. */
  readonly reads: number;
  /** Cross-entropy of the first and the last step. */
  readonly losses: readonly [first: number, last: number];
  /** Milliseconds that compiling ahead took; the step after it, compared with later ones, tells what it missed. */
  readonly warmUpMilliseconds?: number;
  readonly firstStepMilliseconds: number;
}

export interface DecodeResult {
  readonly form: LmForm;
  readonly precision: Precision;
  /** Of one token for each of the sequences. */
  readonly wall: Spread;
  readonly kernelMilliseconds?: number;
  readonly dispatches?: number;
}

export interface LmGpuResult {
  /** What was typed. */
  readonly command: string;
  readonly node: string;
  readonly backend: BackendReport;
  readonly quick: boolean;
  readonly shape: LmShape;
  readonly training: readonly TrainingResult[];
  readonly decode: readonly DecodeResult[];
  readonly left: readonly { readonly what: string; readonly reason: string }[];
}

/** What a part of the benchmark can be chosen by. */
export const CHOICES = {
  task: ['training', 'decoding'],
  form: ['ours', 'portable'],
  precision: ['float32', 'mixed'],
} as const;

export type Choice = (typeof CHOICES)[keyof typeof CHOICES][number];

export interface LmGpuOptions {
  readonly command: string;
  readonly backend: 'webgpu' | 'webgpu-software';
  /** A tiny model, once. */
  readonly quick: boolean;
  /** Of each kind of which any is named, those alone; default: all. */
  readonly only?: readonly Choice[] | undefined;
  readonly onResult?: (line: string, all: LmGpuResult) => void | Promise<void>;
  readonly onProfile?: (profile: DeviceProfile) => void;
}

/** Width 512, 8 layers, 4 memories of which 2 and a shared one, heads of 128. */
const FULL: LmShape = {
  model: {
    vocabSize: 8192,
    width: 512,
    layers: 8,
    mlp: { hidden: 1408 },
    mixer: {
      type: 'mom',
      memories: 4,
      topK: 2,
      shared: true,
      cell: { type: 'gated_delta_net', heads: 4, headWidth: 128, expandV: 1 },
    },
  },
  batch: 8,
  tokens: 2048,
  decoded: 32,
};

const TINY: LmShape = {
  model: {
    vocabSize: 32,
    width: 16,
    layers: 2,
    mlp: null,
    mixer: {
      type: 'mom',
      memories: 3,
      topK: 2,
      shared: true,
      cell: { type: 'gated_delta_net', heads: 1, headWidth: 16, expandV: 1 },
    },
  },
  batch: 2,
  tokens: 24,
  decoded: 2,
};

const [ROUNDS, ROUND_MILLISECONDS, DECODE_STEPS] = [5, 400, 20];

const VARIANTS: readonly { readonly form: LmForm; readonly precision: Precision }[] = [
  { form: 'ours', precision: 'float32' },
  { form: 'portable', precision: 'float32' },
  { form: 'ours', precision: 'mixed' },
];

/** @throws MnemixError `backend` without WebGPU */
export async function benchLmGpu({
  command,
  backend,
  quick,
  only = [],
  onResult,
  onProfile,
}: LmGpuOptions): Promise<LmGpuResult> {
  const shape = quick ? TINY : FULL;
  const training: TrainingResult[] = [];
  const decode: DecodeResult[] = [];
  const left: { what: string; reason: string }[] = [];
  await closeBackend();
  const report = await openBackend(backend);
  const isChosen = (kind: keyof typeof CHOICES, choice: Choice): boolean =>
    only.includes(choice) || !CHOICES[kind].some((other) => only.includes(other));
  const all = (): LmGpuResult => ({
    command,
    node: process.version,
    backend: report,
    quick,
    shape,
    training,
    decode,
    left,
  });
  for (const { form, precision } of VARIANTS) {
    if (!isChosen('form', form) || !isChosen('precision', precision)) continue;
    const open = async (): Promise<BackendReport> => {
      await closeBackend();
      return openBackend(backend, { precision });
    };
    const { precision: granted, rejected } = await open();
    if (granted !== precision) {
      left.push({ what: precision, reason: rejected.map(({ reason }) => reason).join('; ') });
      continue;
    }
    const options = { form, precision, quick, shape, open, onProfile };
    const measures = {
      training: async () => {
        const one = await bestBatch(options);
        training.push(one);
        return `${one.tokensPerSecond.median.toFixed(0)} tokens/s with ${one.batch} sequences`;
      },
      decoding: async () => {
        const one = await measureDecode(options);
        decode.push(one);
        return `${one.wall.median.toFixed(2)} ms a token of ${shape.decoded} sequences`;
      },
    };
    for (const task of CHOICES.task.filter((each) => isChosen('task', each))) {
      const what = `${task}, ${form}, ${precision}`;
      try {
        const measured = await measures[task]();
        await onResult?.(`${what}: ${measured}`, all());
      } catch (error) {
        left.push({ what, reason: reasonOf(error) });
        await open();
      }
    }
  }
  return all();
}

interface Variant {
  readonly form: LmForm;
  readonly precision: Precision;
  readonly quick: boolean;
  readonly shape: LmShape;
  readonly open: () => Promise<unknown>;
  readonly onProfile?: ((profile: DeviceProfile) => void) | undefined;
}

/** Of the whole batch, or of half of it for as long as the device has no room. */
async function bestBatch(variant: Variant): Promise<TrainingResult> {
  const failures: { batch: number; reason: string }[] = [];
  for (let batch = variant.shape.batch; ; batch = batch / 2) {
    try {
      return { ...(await measureTraining(variant, batch)), failures };
    } catch (error) {
      failures.push({ batch, reason: reasonOf(error) });
      await variant.open();
      if (batch <= 1) throw error;
    }
  }
}

async function measureTraining(
  { form, precision, quick, shape: { model: config, tokens }, onProfile }: Variant,
  batch: number,
): Promise<Omit<TrainingResult, 'failures'>> {
  const as = inForm(form);
  const model = createLm(config);
  const optimiser = adamW({ clipNorm: 1 });
  let params = model.init(Rng.of(1));
  let state: AdamWState<LmParams> = optimiser.init(params);
  const tokensOf = (seed: number): Tensor2D =>
    tensor2d(whole(seed, batch * tokens, config.vocabSize), [batch, tokens], 'int32') as Tensor2D;
  const [ids, targets] = [tokensOf(1), tokensOf(2)];
  const losses: number[] = [];
  const gradients = (of: LanguageModel, at: LmParams) =>
    valueAndGrad((tree: LmParams) => ({ value: of.loss(tree, ids, targets).loss }))(at);
  /** Records a step, and waits for nothing. */
  const record = (): { readonly loss: Tensor1D } =>
    as(() => {
      const { value, grads } = gradients(model, params);
      const { gradNorm, leafNorms, ...after } = optimiser.update(params, grads, state, {
        learningRate: 3e-4,
      });
      ({ params, state } = after);
      disposeTree({ gradNorm, leafNorms });
      return { loss: value as unknown as Tensor1D };
    });
  const finish = async ({ loss }: { readonly loss: Tensor1D }): Promise<void> => {
    losses.push((await loss.data())[0] as number);
    loss.dispose();
  };

  let warmUpMilliseconds: number | undefined;
  if (form === 'ours') {
    const start = performance.now();
    await warmUp(() => gradients(model, params));
    warmUpMilliseconds = performance.now() - start;
  }
  const began = performance.now();
  await finish(record());
  const firstStepMilliseconds = performance.now() - began;
  const probed = performance.now();
  await finish(record());
  const one = performance.now() - probed;
  const steps = quick ? 1 : Math.max(1, Math.ceil(ROUND_MILLISECONDS / one));
  const [walls, encodings]: [number[], number[]] = [[], []];
  let reads = 0;
  for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
    const start = performance.now();
    let encoding = 0;
    for (let step = 0; step < steps; step++) {
      const recording = performance.now();
      const made = countReads(record);
      reads += made.reads;
      encoding += performance.now() - recording;
      // The last loss waits for all.
      if (step === steps - 1) await finish(made.result);
      else made.result.loss.dispose();
    }
    walls.push((performance.now() - start) / steps);
    encodings.push(encoding / steps);
  }
  assertBackendHealthy();
  const profile = await profileOf(() => void record().loss.dispose());
  if (profile && form === 'ours') onProfile?.(profile);
  const dispatchesPerBlock = profile && (await blockDispatches(as, config, gradients));
  disposeTree({ params, m: state.m, v: state.v, ids, targets });
  return {
    form,
    precision,
    batch,
    wall: spread(walls),
    encoding: spread(encodings),
    tokensPerSecond: spread(walls.map((wall) => (1000 * batch * tokens) / wall)),
    ...(profile && {
      kernelMilliseconds: kernelMilliseconds(profile),
      dispatches: profile.device.length,
      kernels: deviceKernelTimes(profile),
    }),
    ...(dispatchesPerBlock !== undefined && { dispatchesPerBlock }),
    reads,
    losses: [losses[0] as number, losses.at(-1) as number],
    ...(warmUpMilliseconds !== undefined && { warmUpMilliseconds }),
    firstStepMilliseconds,
  };
}

/** Dispatches of the last block, forward and backward. */
async function blockDispatches(
  as: <T>(run: () => T) => T,
  config: LmConfig,
  gradients: (of: LanguageModel, at: LmParams) => unknown,
): Promise<number> {
  const counts: number[] = [];
  for (const layers of [config.layers, config.layers - 1]) {
    const model = createLm({ ...config, layers });
    const params = model.init(Rng.of(1));
    const run = (): void => as(() => tidy(() => void gradients(model, params)));
    const profile = await profileDevice(run);
    counts.push(profile.device.length);
    disposeTree(params);
  }
  return (counts[0] as number) - (counts[1] as number);
}

async function measureDecode({
  form,
  precision,
  quick,
  shape: { model: config, decoded },
}: Variant): Promise<DecodeResult> {
  const as = inForm(form);
  const model = createLm(config);
  const params = model.init(Rng.of(1));
  const ids = tensor1d(whole(3, decoded, config.vocabSize), 'int32') as Tensor1D;
  let state: LmState = model.initialState(decoded);
  const step = (): { readonly logits: Tensor2D } =>
    as(() => {
      const before = state;
      const { logits, state: after } = tidy(() => model.step(params, ids, before) as never) as {
        logits: Tensor2D;
        state: LmState;
      };
      state = after;
      const kept = new Set(leaves(after));
      disposeTree(leaves(before).filter((leaf) => !kept.has(leaf)));
      return { logits };
    });
  const decode = async (count: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      const { logits } = step();
      // As in generation, the next token waits for this one.
      await logits.data();
      logits.dispose();
    }
    return (performance.now() - start) / count;
  };
  await decode(3);
  const walls: number[] = [];
  for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
    walls.push(await decode(quick ? 1 : DECODE_STEPS));
  }
  assertBackendHealthy();
  const profile = await profileOf(() => step().logits.dispose());
  disposeTree({ params, state, ids } as never);
  return {
    form,
    precision,
    wall: spread(walls),
    ...(profile && { kernelMilliseconds: kernelMilliseconds(profile), dispatches: profile.device.length }),
  };
}

const inForm =
  (form: LmForm) =>
  <T>(run: () => T): T =>
    form === 'portable' ? withStockKernels(run) : run();

/** `undefined` where the device has no clock. */
async function profileOf(run: () => void): Promise<DeviceProfile | undefined> {
  try {
    return await profileDevice(run);
  } catch {
    assertBackendHealthy();
    return undefined;
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const kernelMilliseconds = ({ device }: Pick<DeviceProfile, 'device'>): number =>
  device.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
