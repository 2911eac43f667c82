// Runs an op forward and backward on the current backend, for tests of the smaller ops.
import { nd, centralDifferences, type NdArray } from '@mnemix/testkit';
import { add, fill, memory, mul, sum, tensor, valueAndGrad, type Scalar, type Tensor } from '@mnemix/tensor';
import { expect } from 'vitest';

export type Arrays = Readonly<Record<string, NdArray>>;
export type Tensors = Record<string, Tensor>;

export interface OpResult {
  readonly outputs: Arrays;
  /** Of Σ ⟨outputs, upstream⟩, for every input. */
  readonly gradients: Arrays;
}

/** Rounded to what a float32 tensor can hold, so that oracles see the same inputs. */
export const float32 = (x: NdArray): NdArray => nd(x.shape, Float32Array.from(x.data));

export const toTensor = (x: NdArray): Tensor => tensor(Float32Array.from(x.data), [...x.shape], 'float32');
export const int32 = (values: ArrayLike<number>, shape: number[] = [values.length]): Tensor =>
  tensor(Int32Array.from(values), shape, 'int32');

const toArray = async (x: Tensor): Promise<NdArray> => nd(x.shape, await x.data<'float32'>());

/**
 * Fills memory that the next tensors may get with NaN: what a kernel forgets to write then shows. Memory is
 * reused by exact size on WebGPU, and only after a submit, which the read brings about.
 */
export async function poison(shapes: readonly (readonly number[])[]): Promise<void> {
  const filled = shapes.flatMap((shape) => Array.from({ length: 4 }, () => fill([...shape], NaN)));
  await filled.at(-1)?.data();
  for (const x of filled) x.dispose();
}

/**
 * Outputs of `op` for `inputs`, and the gradients of Σ ⟨outputs, upstream⟩. Fails if a tensor leaks.
 *
 * @param upstream by the outputs' names; outputs left out get no gradient
 */
export async function runOp(
  inputs: Arrays,
  op: (inputs: Tensors) => Tensors,
  upstream: Arrays,
): Promise<OpResult> {
  await poison([...Object.values(inputs), ...Object.values(upstream)].map(({ shape }) => shape));
  const before = memory().numTensors;
  const entries = (x: Arrays) =>
    Object.fromEntries(Object.entries(x).map(([name, value]) => [name, toTensor(value)]));
  const params = entries(inputs);
  const weights = entries(upstream);
  const { value, aux, grads } = valueAndGrad((leaves: Tensors) => {
    const outputs = op(leaves);
    const parts = Object.entries(weights).map(([name, weight]) => sum(mul(outputs[name]!, weight)));
    return { value: parts.reduce((a, b) => add(a, b)) as Scalar, aux: outputs };
  })(params);
  const read = async (x: Tensors): Promise<Arrays> =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(x).map(async ([name, value]) => [name, await toArray(value)] as const),
      ),
    );
  const result = { outputs: await read(aux), gradients: await read(grads) };
  for (const made of [value, ...[aux, grads, params, weights].flatMap((x) => Object.values(x))])
    made.dispose();
  expect(memory().numTensors, 'tensors alive').toBe(before);
  return result;
}

/** Outputs of a float64 oracle, and its gradients by central differences. */
export function runOracle(inputs: Arrays, oracle: (inputs: Arrays) => Arrays, upstream: Arrays): OpResult {
  const value = (x: Arrays): number => {
    const outputs = oracle(x);
    return Object.entries(upstream).reduce(
      (total, [name, weight]) =>
        total + weight.data.reduce((part, w, i) => part + w * outputs[name]!.data[i]!, 0),
      0,
    );
  };
  return { outputs: oracle(inputs), gradients: centralDifferences(value, inputs) };
}

/** Outputs to 1e-5 and gradients to 1e-4, by relative RMS. Empty ones need only have the same shape. */
export function expectToMatch(actual: OpResult, wanted: OpResult): void {
  const compare = (found: NdArray | undefined, expected: NdArray, tolerance: number, name: string) => {
    if (expected.data.length === 0) expect(found?.shape, name).toEqual(expected.shape);
    else expect(found, name).toBeCloseRms(expected, tolerance);
  };
  for (const [name, expected] of Object.entries(wanted.outputs))
    compare(actual.outputs[name], expected, 1e-5, name);
  for (const [name, expected] of Object.entries(wanted.gradients)) {
    compare(actual.gradients[name], expected, 1e-4, `gradient of ${name}`);
  }
}
