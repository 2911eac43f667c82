// Some fused ops with their WebGPU kernels and without, forward and backward: the same numbers are expected.
import {
  crossEntropy,
  diagonalDecay,
  l2Norm,
  rmsNormGated,
  routeGather,
  routeMix,
  routePlan,
  shortConv,
  swiGlu,
  uniformSequences,
} from '@mnemix/kernels';
import {
  disposeTree,
  mul,
  openBackend,
  Rng,
  sum,
  tensor1d,
  tensor2d,
  valueAndGrad,
  withStockKernels,
  type Scalar,
  type Tensor,
} from '@mnemix/tensor';

export interface Compared {
  readonly op: string;
  /** Relative RMS differences from the portable form: of the result, and the largest of a gradient. */
  readonly result: number;
  readonly gradients: number;
}

type Inputs = Record<string, Tensor>;

interface FusedCase {
  readonly op: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly run: (inputs: Inputs) => Tensor;
}

const BATCH = 2;
const TOKENS = 19;
const ROWS = BATCH * TOKENS;

function cases(): readonly FusedCase[] {
  const sequences = uniformSequences(BATCH, TOKENS);
  const targets = tensor1d(
    Int32Array.from({ length: ROWS }, (_, row) => (5 * row) % 11),
    'int32',
  );
  const choices = tensor2d(
    Int32Array.from({ length: 2 * ROWS }, (_, i) => (Math.floor(i / 2) + (i % 2)) % 3),
    [ROWS, 2],
    'int32',
  );
  return [
    {
      op: 'gated RMSNorm',
      inputs: { x: [ROWS, 12], gate: [ROWS, 12], weight: [12] },
      run: ({ x, gate, weight }) => rmsNormGated({ x: x!, gate: gate!, weight: weight! }),
    },
    { op: 'l2Norm', inputs: { x: [ROWS, 12] }, run: ({ x }) => l2Norm(x!) },
    {
      op: 'SwiGLU',
      inputs: { gate: [ROWS, 10], up: [ROWS, 10] },
      run: ({ gate, up }) => swiGlu(gate!, up!),
    },
    {
      op: 'short convolution',
      inputs: { x: [ROWS, 6], weight: [6, 1, 4] },
      run: ({ x, weight }) => shortConv({ x: x!, weight: weight! }, { sequences }).y,
    },
    {
      op: 'cross-entropy',
      inputs: { logits: [ROWS, 11] },
      run: ({ logits }) => crossEntropy({ logits: logits!, targets }).loss,
    },
    {
      op: 'diagonal decay',
      inputs: { q: [ROWS, 2, 8], k: [ROWS, 2, 8], v: [ROWS, 2, 8] },
      run: ({ q, k, v }) => diagonalDecay({ q: q!, k: k!, v: v! }, { sequences }).o,
    },
    {
      op: 'plan, gather and mix',
      inputs: { x: [ROWS, 8], weights: [ROWS, 2] },
      run: ({ x, weights }) => {
        const plan = routePlan(choices, { memories: 3, sequences });
        return routeMix({ o: routeGather(x!, plan), weights: weights! }, plan);
      },
    },
  ];
}

/** Opens the backend and compares every case. */
export async function compareFusedOps(backend: 'webgpu' | 'webgpu-software'): Promise<Compared[]> {
  await openBackend(backend);
  const compared: Compared[] = [];
  for (const { op, inputs: shapes, run } of cases()) {
    const rng = Rng.of(3).fold(op);
    const inputs: Inputs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, rng.fold(name).normal([...shape])]),
    );
    const both = () =>
      valueAndGrad((tree: Inputs) => {
        const y = run(tree);
        const upstream = rng.fold('upstream').normal(y.shape);
        return { value: sum(mul(y, upstream)) as Scalar, aux: y };
      })(inputs);
    const [ours, portable] = [both(), withStockKernels(both)];
    const gradients: number[] = [];
    for (const name of Object.keys(inputs)) {
      gradients.push(await difference(ours.grads[name]!, portable.grads[name]!));
    }
    compared.push({
      op,
      result: await difference(ours.aux as Tensor, portable.aux as Tensor),
      gradients: Math.max(...gradients),
    });
    disposeTree([inputs, ours.grads, portable.grads]);
  }
  return compared;
}

async function difference(found: Tensor, wanted: Tensor): Promise<number> {
  const [x, y] = [await found.data<'float32'>(), await wanted.data<'float32'>()];
  const squares = (values: Float32Array): number => values.reduce((total, value) => total + value * value, 0);
  return Math.sqrt(squares(x.map((value, i) => value - y[i]!)) / squares(y));
}
