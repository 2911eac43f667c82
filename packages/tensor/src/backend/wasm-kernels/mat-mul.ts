// Matrix products by XNNPACK. tfjs hands it only products of two plain matrices; transposed operands and batches fall
// to scalar loops that are 5 to 15 times slower.
import { BatchMatMul, backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { MnemixError } from '../../errors.ts';
import { sizeOf } from '../../shape.ts';
import { transposeMatrices } from './copy.ts';
import { replaceKernel, type WasmHeap } from './heap.ts';

interface Product {
  readonly inputs: { readonly a: TensorInfo; readonly b: TensorInfo };
  readonly attrs: { readonly transposeA: boolean; readonly transposeB: boolean };
  readonly backend: WasmHeap;
}

/** Rows of a below which packing b for XNNPACK costs more than it saves. */
const FEW_ROWS = 8;
/** Multiplications below which a call costs more than it saves. */
const FEW_PRODUCTS = 2048;

/** (id of a, its shape, 3, id of b, its shape, 3, transposeA, transposeB, id of the output); shapes are pointers. */
let stockMatMul: (...args: number[]) => void;

function matMul({
  inputs: { a, b },
  attrs: { transposeA, transposeB },
  backend,
}: Product): TensorInfo | undefined {
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
  const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [rowsA = 0, columnsA = 0] = a.shape.slice(-2);
  const [rowsB = 0, columnsB = 0] = b.shape.slice(-2);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [inner, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  if (inner !== k) throw mismatch(a, b, 'differ in their inner sizes');
  const outer = backend_util.assertAndGetBroadcastShape(outerA, outerB);
  const [batchA, batchB, batch] = [sizeOf(outerA), sizeOf(outerB), sizeOf(outer)];
  const shape = [...outer, m, n];
  if (batch * m * n === 0 || k === 0) return zeros(backend, shape);

  if ([batchA, batchB].some((count) => count !== 1 && count !== batch)) {
    throw mismatch(a, b, 'both have batch axes to be broadcast');
  }

  // One b for all: the rows of a are one long matrix.
  const single = batchB === 1 && (batchA === 1 || !transposeA);
  const rows = single ? batchA * m : m;
  const small = rows < FEW_ROWS || m * k * n < FEW_PRODUCTS;
  if (small && !(single && !transposeB)) return undefined;

  const left = transposeA ? transposed(backend, a) : a;
  const right = transposeB ? transposed(backend, b) : b;
  const out = backend.makeOutput(shape, 'float32');
  if (single) multiply(backend, left, right, out, [rows, k, n]);
  else multiplyEach(backend, left, right, out, [m, k, n], { batch, batchA, batchB });
  if (left !== a) backend.disposeData(left.dataId);
  if (right !== b) backend.disposeData(right.dataId);
  return out;
}

const mismatch = (a: TensorInfo, b: TensorInfo, how: string): MnemixError =>
  new MnemixError({
    code: 'shape',
    where: 'matMul(a, b)',
    message: `shapes [${a.shape.join(', ')}] and [${b.shape.join(', ')}] ${how}.`,
    fix: 'Use matMul of @mnemix/tensor, which says what fits.',
  });

type Sizes = readonly [m: number, k: number, n: number];

/** Rows of b when XNNPACK packed it, by its data. */
const packedRows = new WeakMap<object, number>();

/**
 * One product. XNNPACK keeps its packed form of b with b's id, so a weight is packed once; and it takes that form whatever the
 * shape, so a reshaped b, which has the same data, must not come under the same id.
 */
function multiply(backend: WasmHeap, a: TensorInfo, b: TensorInfo, out: TensorInfo, sizes: Sizes): void {
  const [, k] = sizes;
  if (!packedRows.has(b.dataId)) packedRows.set(b.dataId, k);
  if (packedRows.get(b.dataId) !== k) {
    multiplyEach(backend, a, b, out, sizes, { batch: 1, batchA: 1, batchB: 1 });
    return;
  }
  const ids = [a, b, out].map(({ dataId }) => backend.dataIdMap.get(dataId).id) as [number, number, number];
  withShapes(backend, sizes, (run) => run(...ids));
}

/** Many products: every pair of matrices gets ids of its own that point into the batches. */
function multiplyEach(
  backend: WasmHeap,
  a: TensorInfo,
  b: TensorInfo,
  out: TensorInfo,
  sizes: Sizes,
  { batch, batchA, batchB }: { batch: number; batchA: number; batchB: number },
): void {
  const [m, k, n] = sizes;
  const { registerTensor, disposeData } = backend.wasm.tfjs;
  const pointer = ({ dataId }: TensorInfo): number => backend.dataIdMap.get(dataId).memoryOffset;
  const [fromA, fromB, to] = [pointer(a), pointer(b), pointer(out)];
  const [stepA, stepB] = [batchA === 1 ? 0 : 4 * m * k, batchB === 1 ? 0 : 4 * k * n];
  const ids = [0, 1, 2].map((i) => backend.dataIdNextNumber + i) as [number, number, number];
  backend.dataIdNextNumber += 3;
  withShapes(backend, sizes, (run) => {
    for (let i = 0; i < batch; i++) {
      registerTensor(ids[0], m * k, fromA + i * stepA);
      registerTensor(ids[1], k * n, fromB + i * stepB);
      registerTensor(ids[2], m * n, to + i * 4 * m * n);
      run(...ids);
      ids.forEach((id) => disposeData(id));
    }
  });
}

function withShapes(
  backend: WasmHeap,
  [m, k, n]: Sizes,
  use: (run: (a: number, b: number, out: number) => void) => void,
): void {
  const shapes = backend.makeOutput([6], 'int32');
  backend.typedArrayFromHeap(shapes).set([1, m, k, 1, k, n]);
  const pointer = backend.dataIdMap.get(shapes.dataId).memoryOffset;
  use((a, b, out) => stockMatMul(a, pointer, 3, b, pointer + 12, 3, 0, 0, out));
  backend.disposeData(shapes.dataId);
}

function transposed(backend: WasmHeap, x: TensorInfo): TensorInfo {
  const outer = x.shape.slice(0, -2);
  const [rows = 0, columns = 0] = x.shape.slice(-2);
  const out = backend.makeOutput([...outer, columns, rows], x.dtype);
  transposeMatrices(
    backend.typedArrayFromHeap(x),
    backend.typedArrayFromHeap(out),
    sizeOf(outer),
    rows,
    columns,
  );
  return out;
}

function zeros(backend: WasmHeap, shape: number[]): TensorInfo {
  const out = backend.makeOutput(shape, 'float32');
  backend.typedArrayFromHeap(out).fill(0);
  return out;
}

export function installMatMulKernel(): void {
  replaceKernel(BatchMatMul, matMul, (backend) => {
    stockMatMul = backend.wasm.cwrap('BatchMatMul', null, Array<'number'>(9).fill('number'));
  });
}
