// Every differentiable op that the package exports, with inputs on which it is smooth.
import * as m from '../src/index.ts';
import { spread } from './support.ts';

type Inputs = readonly m.Tensor[];
export interface GradientCase {
  readonly name: string;
  readonly inputs: () => m.Tensor[];
  /** One tensor, or several that are all differentiated. */
  readonly f: (...inputs: m.Tensor[]) => m.Tensor | m.Tensor[];
}

const of = (name: string, shapes: number[][], f: GradientCase['f'], low = -2, high = 2): GradientCase => ({
  name,
  inputs: () => shapes.map((shape, i) => spread(shape, 7 + i, low, high)),
  f,
});

const a = [3, 4];
const positive = [0.3, 3] as const;
const indices = () => m.tensor1d([2, -1, 0, 2, 1], 'int32');

export const gradientCases: readonly GradientCase[] = [
  of('add', [a, a], (x, y) => m.add(x!, y!)),
  of('add of a row', [a, [4]], (x, y) => m.add(x!, y!)),
  of('add of a column', [a, [3, 1]], (x, y) => m.add(x!, y!)),
  of('add of a scalar', [a, []], (x, y) => m.add(x!, y!)),
  of(
    'sub, broadcast both ways',
    [
      [3, 1],
      [1, 4],
    ],
    (x, y) => m.sub(x!, y!),
  ),
  of('mul', [a, a], (x, y) => m.mul(x!, y!)),
  of(
    'mul of rank 3 and a row',
    [
      [2, 3, 4],
      [1, 4],
    ],
    (x, y) => m.mul(x!, y!),
  ),
  of('div', [a, a], (x, y) => m.div(x!, y!), ...positive),
  of('div by a column', [a, [3, 1]], (x, y) => m.div(x!, y!), ...positive),
  of('maximum', [a, [4]], (x, y) => m.maximum(x!, m.add(y!, 0.1))),
  of('minimum', [a, a], (x, y) => m.minimum(x!, m.add(y!, 0.1))),
  of('pow', [a, a], (x, y) => m.pow(x!, y!), ...positive),
  of('pow of a negative base', [a], (x) => m.pow(x!, 3)),
  of('abs', [a], (x) => m.abs(x!)),
  of('clipByValue', [a], (x) => m.clipByValue(x!, -1, 1.1)),
  of('cos', [a], (x) => m.cos(x!)),
  of('exp', [a], (x) => m.exp(x!)),
  of('log', [a], (x) => m.log(x!), ...positive),
  of('log1p', [a], (x) => m.log1p(x!), -0.5, 2),
  of('neg', [a], (x) => m.neg(x!)),
  of('relu', [a], (x) => m.relu(x!)),
  of('rsqrt', [a], (x) => m.rsqrt(x!), ...positive),
  of('sigmoid', [a], (x) => m.sigmoid(x!)),
  of('sin', [a], (x) => m.sin(x!)),
  of('softplus', [a], (x) => m.softplus(x!)),
  of('sqrt', [a], (x) => m.sqrt(x!), ...positive),
  of('square', [a], (x) => m.square(x!)),
  of('tanh', [a], (x) => m.tanh(x!)),
  of('silu', [a], (x) => m.silu(x!)),
  of('logSigmoid', [a], (x) => m.logSigmoid(x!)),
  of('where', [a, a], (x, y) =>
    m.where(m.tensor2d([1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1], [3, 4], 'bool'), x!, y!),
  ),
  of('where with a broadcast condition', [a, [4]], (x, y) =>
    m.where(m.tensor2d([1, 0, 1], [3, 1], 'bool'), x!, y!),
  ),
  of('where with a condition on x', [a], (x) => m.where(m.greater(x!, 0), m.square(x!), m.neg(x!))),

  of('sum', [a], (x) => m.sum(x!)),
  of('sum over the first axis', [[3, 4, 2]], (x) => m.sum(x!, 0)),
  of('sum over two axes, kept', [[3, 4, 2]], (x) => m.sum(x!, [0, -1], true)),
  of('mean', [a], (x) => m.mean(x!)),
  of('mean over the last axis', [[2, 3, 4]], (x) => m.mean(x!, -1)),
  of('max', [a], (x) => m.max(x!, -1)),
  of('min', [a], (x) => m.min(x!, 0, true)),
  of('logSumExp', [a], (x) => m.logSumExp(x!, -1)),
  of('softmax', [a], (x) => m.softmax(x!)),
  of('logSoftmax', [a], (x) => m.logSoftmax(x!)),
  of('cumsum over the last axis', [a], (x) => m.cumsum(x!, -1)),
  of('cumsum over the first axis', [[4, 4]], (x) => m.cumsum(x!, 0)),
  of('cumsum over a middle axis, exclusive', [[2, 3, 4]], (x) => m.cumsum(x!, 1, { exclusive: true })),
  of('cumsum in reverse', [[3, 4]], (x) => m.cumsum(x!, 0, { reverse: true })),

  of(
    'matMul',
    [
      [3, 4],
      [4, 5],
    ],
    (x, y) => m.matMul(x!, y!),
  ),
  of(
    'matMul, first transposed',
    [
      [4, 3],
      [4, 5],
    ],
    (x, y) => m.matMul(x!, y!, true),
  ),
  of(
    'matMul, second transposed',
    [
      [3, 4],
      [5, 4],
    ],
    (x, y) => m.matMul(x!, y!, false, true),
  ),
  of(
    'matMul, both transposed',
    [
      [4, 3],
      [5, 4],
    ],
    (x, y) => m.matMul(x!, y!, true, true),
  ),
  of(
    'matMul of batches',
    [
      [2, 3, 4],
      [2, 4, 2],
    ],
    (x, y) => m.matMul(x!, y!),
  ),
  of(
    'matMul of batches, first transposed',
    [
      [2, 4, 3],
      [2, 4, 2],
    ],
    (x, y) => m.matMul(x!, y!, true),
  ),
  of(
    'matMul of batches, second transposed',
    [
      [2, 3, 4],
      [2, 2, 4],
    ],
    (x, y) => m.matMul(x!, y!, false, true),
  ),
  of(
    'matMul with a shared second operand',
    [
      [2, 3, 4],
      [1, 4, 2],
    ],
    (x, y) => m.matMul(x!, y!),
  ),
  of(
    'matMul of batches that broadcast both ways',
    [
      [2, 1, 2, 3],
      [3, 3, 2],
    ],
    (x, y) => m.matMul(x!, y!),
  ),

  of('broadcastTo', [[3, 1]], (x) => m.broadcastTo(x!, [2, 3, 4])),
  of('cast', [a], (x) => m.cast(x!, 'float32')),
  of(
    'concat',
    [
      [2, 3],
      [4, 3],
    ],
    (x, y) => m.concat([x!, y!], 0),
  ),
  of(
    'concat along the last axis',
    [
      [2, 3],
      [2, 2],
    ],
    (x, y) => m.concat([x!, y!], -1),
  ),
  of('expandDims', [a], (x) => m.expandDims(x!, 1)),
  of('pad', [a], (x) =>
    m.pad(x!, [
      [1, 2],
      [0, 1],
    ]),
  ),
  of('reshape', [a], (x) => m.reshape(x!, [2, 6])),
  of('reverse', [[2, 3, 4]], (x) => m.reverse(x!, [0, 2])),
  of('slice', [[3, 4, 2]], (x) => m.slice(x!, [1, 0, 1], [2, 3, 1])),
  of('split', [[4, 3]], (x) => m.split(x!, [1, 3], 0)),
  of('split into one part', [[4, 3]], (x) => m.split(x!, 1, 0)),
  of('split along the last axis', [[2, 6]], (x) => m.split(x!, 3, -1)),
  of('squeeze', [[3, 1, 4]], (x) => m.squeeze(x!, [1])),
  of('stack', [a, a], (x, y) => m.stack([x!, y!], 1)),
  of('tile', [[2, 3]], (x) => m.tile(x!, [2, 3])),
  of('transpose', [[2, 3, 4]], (x) => m.transpose(x!, [2, 0, 1])),
  of('unstack', [[2, 3, 4]], (x) => m.unstack(x!, 1)),
  of('gatherRows', [[3, 2, 2]], (x) => m.gatherRows(x!, indices())),
  of('scatterAddRows', [[5, 3]], (x) => m.scatterAddRows(x!, indices(), 4)),
  of('topK', [[3, 5]], (x) => m.topK(x!, 3).values),
];

/** Σ w·y over all outputs, with fixed weights w that differ from each other. */
const weights = (y: m.Tensor): m.Tensor => spread(y.shape.slice(), 99, 0.5, 1.5);
const list = (made: m.Tensor | m.Tensor[]): m.Tensor[] => (Array.isArray(made) ? made : [made]);

/** Gradients by the package, one array for each input. */
export async function derivedGradients({ inputs, f }: GradientCase): Promise<Float32Array[]> {
  const scope = new m.AsyncScope();
  const { grads } = scope.run(() =>
    m.valueAndGrad((xs: m.Tensor[]) => ({
      value: list(f(...xs))
        .map((y) => m.sum(m.mul(y, weights(y))))
        .reduce((x, y) => m.add(x, y)) as m.Scalar,
    }))(inputs()),
  );
  const found = await Promise.all(grads.map((grad) => grad.data() as Promise<Float32Array>));
  scope.dispose();
  return found;
}

/**
 * The same by central differences, on a host backend. The weighted sums are taken in float64, so that only the
 * rounding of the outputs themselves remains.
 */
export function differencedGradients({ inputs, f }: GradientCase, step = 1e-2): Float32Array[] {
  return m.tidy(() => {
    const xs: Inputs = inputs();
    const outputs = (changed: Inputs): number[] =>
      m.tidy(() => list(f(...changed)).flatMap((y) => Array.from(y.dataSync()))) as never;
    const w = list(f(...xs)).flatMap((y) => Array.from(weights(y).dataSync()));
    return xs.map((x, which) => {
      const values = x.dataSync();
      return Float32Array.from(values, (value, i) => {
        const at = (shifted: number): number[] => {
          const moved = Float32Array.from(values);
          moved[i] = shifted;
          return outputs(xs.map((other, j) => (j === which ? m.tensor(moved, x.shape) : other)));
        };
        // The step as float32 rounds it.
        const [above, below] = [Math.fround(value + step), Math.fround(value - step)];
        const [up, down] = [at(above), at(below)];
        return (
          up.reduce((sum, y, j) => sum + (w[j] as number) * (y - (down[j] as number)), 0) / (above - below)
        );
      });
    }) as never;
  });
}
