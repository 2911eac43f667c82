// The grouped linear map on the `cpu` backend: it reads on the host where each group's rows are, and leaves
// each product to the backend.
import {
  hostOutput,
  hostView,
  matMul,
  reshape,
  slice,
  tidy,
  type BackendKernel,
  type Tensor,
  type Tensor2D,
  type TensorInfo,
} from '@mnemix/tensor';
import type { BackwardInputs, Inputs } from './portable.ts';

const forwardKernel: BackendKernel<Inputs, object> = ({ inputs, backend }) => {
  const { x, weight, bias } = tensors<Inputs>(inputs);
  const [groups = 0, outputs = 0, depth = 0] = weight.shape;
  const matrices = reshape(weight, [groups * outputs, depth]);
  const y = zeroOutput(backend, [x.shape[0] as number, outputs]);
  forEachGroup(inputs, backend, (m, start, length) => {
    const product = matMul(rows(x, start, length), rows(matrices, m * outputs, outputs), false, true);
    write(backend, y, start * outputs, product);
    if (bias) addToRows(view(backend, y).subarray(start * outputs), length, row(backend, bias, m));
  });
  matrices.dispose();
  return [y];
};

const backwardKernel: BackendKernel<BackwardInputs, object> = ({ inputs, backend }) => {
  const { x, weight, bias, dy } = tensors<BackwardInputs>(inputs);
  const [groups = 0, outputs = 0, depth = 0] = weight.shape;
  const matrices = reshape(weight, [groups * outputs, depth]);
  const dx = zeroOutput(backend, x.shape);
  const dWeight = zeroOutput(backend, weight.shape);
  const dBias = zeroOutput(backend, [groups, outputs]);
  forEachGroup(inputs, backend, (m, start, length) => {
    const own = rows(dy, start, length);
    write(backend, dx, start * depth, matMul(own, rows(matrices, m * outputs, outputs)));
    write(backend, dWeight, m * outputs * depth, matMul(own, rows(x, start, length), true, false));
    if (bias) row(backend, dBias, m).set(sumOfRows(view(backend, own), outputs));
  });
  matrices.dispose();
  return [dx, dWeight, dBias];
};

export const forward = { cpu: forwardKernel };
export const backward = { cpu: backwardKernel };

/** tfjs passes kernels whole tensors, though it promises less. */
const tensors = <I>(inputs: object): I => inputs as I;

const view = (backend: unknown, info: TensorInfo): Float32Array =>
  hostView(backend, info).data as Float32Array;

function zeroOutput(backend: unknown, shape: readonly number[]): TensorInfo {
  const info = hostOutput(backend, { shape });
  view(backend, info).fill(0);
  return info;
}

/**
 * Calls `f` with the number, first row and rows of each group that has any; frees the tensors that it makes.
 */
function forEachGroup(
  { starts, lengths }: { readonly starts: TensorInfo; readonly lengths: TensorInfo },
  backend: unknown,
  f: (m: number, start: number, length: number) => void,
): void {
  const first = hostView(backend, starts).data;
  hostView(backend, lengths).data.forEach((length, m) => {
    if (length > 0) tidy(() => f(m, first[m] as number, length));
  });
}

const rows = (x: Tensor, start: number, length: number): Tensor2D =>
  slice(x, [start, 0], [length, x.shape[1] as number]) as Tensor2D;

const write = (backend: unknown, target: TensorInfo, offset: number, values: Tensor): void =>
  view(backend, target).set(view(backend, values), offset);

/** Row m of a matrix, in place. */
function row(backend: unknown, matrix: TensorInfo, m: number): Float32Array {
  const width = matrix.shape[1] as number;
  return view(backend, matrix).subarray(m * width, (m + 1) * width);
}

function addToRows(target: Float32Array, count: number, added: Float32Array): void {
  const width = added.length;
  for (let first = 0; first < count * width; first += width) {
    for (let c = 0; c < width; c++) target[first + c] = (target[first + c] as number) + (added[c] as number);
  }
}

function sumOfRows(source: Float32Array, width: number): Float64Array {
  const sums = new Float64Array(width);
  for (let first = 0; first < source.length; first += width) {
    for (let c = 0; c < width; c++) sums[c] = (sums[c] as number) + (source[first + c] as number);
  }
  return sums;
}
