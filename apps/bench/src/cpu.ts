// Training speed of a two-layer Mixture-of-Memories on the CPU: tokens a second, time by kernel, and the share of what the
// machine's arithmetic would allow, all from one run.
import { createLm, type LmConfig, type LmParams } from '@mnemix/lm';
import { adamW, type AdamWState } from '@mnemix/optim';
import { mqar } from '@mnemix/tasks';
import {
  disposeTree,
  matMul,
  openBackend,
  profileKernels,
  Rng,
  tensor2d,
  tidy,
  valueAndGrad,
  type BackendReport,
  type KernelTime,
  type Tensor2D,
} from '@mnemix/tensor';
import { trainingFlops } from './flops.ts';
import { spread, type Spread } from './statistics.ts';

const BATCH = 64;
const TOKENS = 64;

/** The reference size: 64 sequences of 64 tokens, width 64, two layers, 4 memories top-2 with a shared one. */
const referenceModel: LmConfig = {
  vocabSize: 66,
  width: 64,
  layers: 2,
  mlp: null,
  mixer: {
    type: 'mom',
    memories: 4,
    topK: 2,
    shared: true,
    cell: { type: 'gated_delta_net', heads: 2, headWidth: 16, expandV: 1 },
  },
};

export interface CpuResult {
  readonly machine: { readonly node: string; readonly backend: BackendReport };
  readonly model: LmConfig;
  readonly tokensPerStep: number;
  readonly milliseconds: Spread;
  readonly tokensPerSecond: Spread;
  /** By formula, forward and backward. */
  readonly flopsPerToken: number;
  /** Of a 512³ product, measured in this run. */
  readonly peakGflops: number;
  /** Time of the formula's operations at that speed, over the step's time. */
  readonly shareOfBound: number;
  /** One step; the times of a step under measurement are a little longer. */
  readonly kernels: readonly KernelTime[];
}

interface Training {
  params: LmParams;
  state: AdamWState<LmParams>;
}

/** @param steps measured after three to warm up */
export async function benchCpu({
  steps,
  backend = 'wasm',
  threads = 1,
}: {
  steps: number;
  backend?: 'wasm' | 'cpu';
  threads?: number;
}): Promise<CpuResult> {
  const report = await openBackend(backend, { threads });
  const model = createLm(referenceModel);
  const optimiser = adamW({ clipNorm: 1 });
  const params = model.init(Rng.of(1));
  const training: Training = { params, state: optimiser.init(params) };
  const task = mqar({ vocabSize: referenceModel.vocabSize, segments: [{ tokens: TOKENS, pairs: 16 }] });

  const step = (index: number): void => {
    const { inputs, targets } = task.batch(Rng.of(2), { index, size: BATCH, split: 'train' });
    const { params: before, state } = training;
    const { gradNorm, leafNorms, ...after } = tidy(() => {
      const ids = tensor2d(inputs, [BATCH, TOKENS], 'int32');
      const labels = tensor2d(targets, [BATCH, TOKENS], 'int32');
      const { grads } = valueAndGrad((p: LmParams) => ({ value: model.loss(p, ids, labels).loss }))(before);
      return optimiser.update(before, grads, state, { learningRate: 1e-3 }) as never;
    }) as ReturnType<typeof optimiser.update<LmParams>>;
    Object.assign(training, after);
    disposeTree({ gradNorm, leafNorms });
  };

  for (let i = 0; i < 3; i++) step(i);
  const times = Array.from({ length: steps }, (_, i) => milliseconds(() => step(3 + i)));
  const { kernels } = profileKernels(() => step(3 + steps));
  const peakGflops = measurePeak();
  const flopsPerToken = trainingFlops(referenceModel);
  const time = spread(times);
  const tokensPerStep = BATCH * TOKENS;
  disposeTree(training.params);
  disposeTree({ m: training.state.m, v: training.state.v });
  return {
    machine: { node: process.version, backend: report },
    model: referenceModel,
    tokensPerStep,
    milliseconds: time,
    tokensPerSecond: spread(times.map((ms) => (1000 * tokensPerStep) / ms)),
    flopsPerToken,
    peakGflops,
    shareOfBound: (flopsPerToken * tokensPerStep) / (peakGflops * 1e6) / time.median,
    kernels,
  };
}

/** GFLOP/s of a 512³ product, the best of ten. */
function measurePeak(): number {
  const size = 512;
  const [a, b] = [1, 2].map((seed) => Rng.of(seed).normal([size, size]) as Tensor2D);
  const times = Array.from({ length: 10 }, () => milliseconds(() => matMul(a!, b!).dispose()));
  disposeTree({ a, b });
  return (2 * size ** 3) / (Math.min(...times) * 1e6);
}

function milliseconds(f: () => void): number {
  const start = performance.now();
  f();
  return performance.now() - start;
}

/** The result as Markdown. */
export function formatCpu(result: CpuResult): string {
  const { backend, node } = result.machine;
  const round = (value: number) => Math.round(value).toLocaleString('en');
  const { median, min, max } = result.tokensPerSecond;
  const whole = result.kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
  const rows = result.kernels
    .slice(0, 25)
    .map(
      ({ name, calls, milliseconds: ms }) =>
        `| ${name.replace(/\(.*/, '')} | ${calls} | ${ms.toFixed(2)} | ${((100 * ms) / whole).toFixed(1)} % |`,
    );
  return [
    `Two-layer Mixture-of-Memories, width ${result.model.width}, ${BATCH} sequences of ${TOKENS} tokens, training step with AdamW.`,
    `Node ${node}, backend ${backend.name}, ${backend.threads ?? 1} threads.`,
    '',
    '| | |',
    '|---|---|',
    `| tokens a second, median (min – max) | **${round(median)}** (${round(min)} – ${round(max)}) |`,
    `| step, median | ${result.milliseconds.median.toFixed(1)} ms |`,
    `| arithmetic, by formula | ${(result.flopsPerToken / 1e6).toFixed(3)} MFLOP a token |`,
    `| fastest product (512³) in this run | ${result.peakGflops.toFixed(1)} GFLOP/s |`,
    `| share of the arithmetic bound | ${(100 * result.shareOfBound).toFixed(1)} % |`,
    '',
    '| kernel | calls | ms | share |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
