// The grouped linear map on backends whose data lie in host memory: the kernel reads there where each group's rows
// are, and leaves each product to the backend. No product has a transposed operand, which WASM multiplies ten times
// slower than it transposes it beforehand.
import {
  hostOutput, hostView, matMul, reshape, slice, tidy, transpose, type BackendKernel, type Tensor, type Tensor2D,
  type TensorInfo,
} from '@mnemix/tensor';
import type { BackwardInputs, Inputs } from './portable.ts';

const forwardKernel: BackendKernel<Inputs, object> = ({ inputs, backend }) => {
  const { x, weight, bias } = tensors<Inputs>(inputs);
  const [groups = 0, outputs = 0, depth = 0] = weight.shape;
  const matrices = reshape(weight, [groups * outputs, depth]);
  const y = zeroOutput(backend, [x.shape[0] as number, outputs]);
  forEachGroup(inputs, backend, (m, start, length) => {
    const product = matMul(rows(x, start, length), transpose(rows(matrices, m * outputs, outputs)));
    write(backend, y, start * outputs, product);
    if (bias) addToRows(view(backend, y), start * outputs, length, view(backend, bias), m * outputs, outputs);
  });
  matrices.dispose();
  return [y];
};

const backwardKernel: BackendKernel<BackwardInputs, object> = ({ inputs, backend }) => {
  const { x, weight, dy } = tensors<BackwardInputs>(inputs);
  const [groups = 0, outputs = 0, depth = 0] = weight.shape;
  const matrices = reshape(weight, [groups * outputs, depth]);
  const dx = zeroOutput(backend, x.shape);
  const dWeight = zeroOutput(backend, weight.shape);
  const dBias = zeroOutput(backend, [groups, outputs]);
  forEachGroup(inputs, backend, (m, start, length) => {
    const own = rows(dy, start, length);
    write(backend, dx, start * depth, matMul(own, rows(matrices, m * outputs, outputs)));
    write(backend, dWeight, m * outputs * depth, matMul(transpose(own), rows(x, start, length)));
    sumRows(view(backend, own), view(backend, dBias), m * outputs, outputs);
  });
  matrices.dispose();
  return [dx, dWeight, dBias];
};

export const forward = { cpu: forwardKernel, wasm: forwardKernel };
export const backward = { cpu: backwardKernel, wasm: backwardKernel };

/** tfjs passes kernels whole tensors, though it promises less. */
const tensors = <I>(inputs: object): I => inputs as I;

const view = (backend: unknown, info: TensorInfo): Float32Array => hostView(backend, info).data as Float32Array;

function zeroOutput(backend: unknown, shape: readonly number[]): TensorInfo {
  const info = hostOutput(backend, { shape });
  view(backend, info).fill(0);
  return info;
}

/** Calls `f` with the number, first row and rows of each group that has any; frees the tensors that it makes. */
function forEachGroup(
  { starts, lengths }: { readonly starts: TensorInfo; readonly lengths: TensorInfo },
  backend: unknown,
  f: (m: number, start: number, length: number) => void,
): void {
  // Copies: a view would not survive the growth of WASM's memory.
  const first = Array.from(hostView(backend, starts).data);
  Array.from(hostView(backend, lengths).data).forEach((length, m) => {
    if (length > 0) tidy(() => f(m, first[m] as number, length));
  });
}

const rows = (x: Tensor, start: number, length: number): Tensor2D =>
  slice(x, [start, 0], [length, x.shape[1] as number]) as Tensor2D;

const write = (backend: unknown, target: TensorInfo, offset: number, values: Tensor): void =>
  view(backend, target).set(view(backend, values), offset);

function addToRows(
  target: Float32Array, offset: number, length: number, bias: Float32Array, from: number, width: number,
): void {
  for (let i = 0; i < length * width; i++) {
    target[offset + i] = (target[offset + i] as number) + (bias[from + (i % width)] as number);
  }
}

/** Column sums of `source`, in float64, to `target` from `offset` on. */
function sumRows(source: Float32Array, target: Float32Array, offset: number, width: number): void {
  const sums = new Float64Array(width);
  for (let i = 0; i < source.length; i++) sums[i % width] = (sums[i % width] as number) + (source[i] as number);
  target.set(sums, offset);
}
