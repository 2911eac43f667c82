// Kernels that only move elements. The stock ones copy their whole input first (slice), fall to a generic path above
// rank 4, or walk index by index (tile, reverse).
import {
  Reverse,
  Slice,
  slice_util,
  SplitV,
  backend_util,
  Tile,
  Transpose,
  Unpack,
  util,
  type TensorInfo,
  type TypedArray,
} from '@tensorflow/tfjs-core';
import { sizeOf } from '../../shape.ts';
import { replaceKernel, stridesOf, type WasmHeap } from './heap.ts';
import { share } from './share.ts';

/** One axis of a walk through memory: `count` steps of `stride` elements, which may be negative. */
interface Axis {
  readonly count: number;
  readonly stride: number;
}

/** Runs shorter than this are copied by a loop: a call costs more. */
const SHORT_RUN = 24;

/** Copies the elements that `axes` visit from `offset` on to consecutive places of `to`. */
function copyWalk(from: TypedArray, to: TypedArray, axes: readonly Axis[], offset: number): void {
  const walk = mergeAxes(axes);
  const { count, stride } = walk.pop() ?? { count: 1, stride: 1 };
  let target = 0;
  const visit = (depth: number, source: number): void => {
    const axis = walk[depth];
    if (axis) {
      for (let i = 0; i < axis.count; i++) visit(depth + 1, source + i * axis.stride);
    } else if (stride === 1 && count >= SHORT_RUN) {
      to.set(from.subarray(source, source + count), target);
      target += count;
    } else {
      for (let i = 0, at = source; i < count; i++, at += stride) to[target++] = from[at] as number;
    }
  };
  visit(0, offset);
}

/** Drops axes of one step, and joins those that are one walk: few, long axes remain, whatever the rank. */
function mergeAxes(axes: readonly Axis[]): Axis[] {
  const merged: Axis[] = [];
  for (const axis of axes) {
    if (axis.count === 1) continue;
    const last = merged.at(-1);
    if (last && last.stride === axis.count * axis.stride) {
      merged[merged.length - 1] = { count: last.count * axis.count, stride: axis.stride };
    } else merged.push(axis);
  }
  return merged;
}

function copySlice(
  backend: WasmHeap,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
): TensorInfo {
  if (size.every((count, axis) => count === x.shape[axis])) return share(backend, x);
  const out = backend.makeOutput(size, x.dtype);
  if (sizeOf(size) === 0) return out;
  const strides = stridesOf(x.shape);
  const axes = size.map((count, axis) => ({ count, stride: strides[axis] as number }));
  const offset = begin.reduce((sum, start, axis) => sum + start * (strides[axis] as number), 0);
  copyWalk(backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out), axes, offset);
  return out;
}

/** Equal or given sizes along one axis, one slice each. */
function copyParts(backend: WasmHeap, x: TensorInfo, axis: number, sizes: readonly number[]): TensorInfo[] {
  let start = 0;
  return sizes.map((size) => {
    const part = copySlice(
      backend,
      x,
      x.shape.map((_, i) => (i === axis ? start : 0)),
      x.shape.map((whole, i) => (i === axis ? size : whole)),
    );
    start += size;
    return part;
  });
}

/** [batch, rows, columns] → [batch, columns, rows], in blocks that stay in the cache. */
export function transposeMatrices(
  from: TypedArray,
  to: TypedArray,
  batch: number,
  rows: number,
  columns: number,
): void {
  const block = 32;
  for (let base = 0; base < batch * rows * columns; base += rows * columns) {
    for (let row0 = 0; row0 < rows; row0 += block) {
      const row1 = Math.min(rows, row0 + block);
      for (let column0 = 0; column0 < columns; column0 += block) {
        const column1 = Math.min(columns, column0 + block);
        for (let column = column0; column < column1; column++) {
          let source = base + row0 * columns + column;
          for (let target = base + column * rows + row0; target < base + column * rows + row1; target++) {
            to[target] = from[source] as number;
            source += columns;
          }
        }
      }
    }
  }
}

/** Repeats `to[start … start + length]` until there are `times` of it. */
function repeat(to: TypedArray, start: number, length: number, times: number): void {
  const end = start + length * times;
  if (length === 1) {
    to.fill(to[start] as number, start, end);
    return;
  }
  for (let filled = length; start + filled < end; filled *= 2) {
    to.copyWithin(start + filled, start, Math.min(start + filled, end - filled));
  }
}

function copyTiles(
  from: TypedArray,
  to: TypedArray,
  shape: readonly number[],
  reps: readonly number[],
): void {
  // Below this axis nothing repeats: whole runs are copied.
  let flat = shape.length;
  while (flat > 0 && reps[flat - 1] === 1) flat--;
  const run = sizeOf(shape.slice(flat));
  let source = 0;
  const fill = (axis: number, start: number): number => {
    if (axis === flat) {
      if (run >= SHORT_RUN) to.set(from.subarray(source, source + run), start);
      else for (let i = 0; i < run; i++) to[start + i] = from[source + i] as number;
      source += run;
      return run;
    }
    let length = 0;
    for (let i = 0; i < (shape[axis] as number); i++) length += fill(axis + 1, start + length);
    const times = reps[axis] as number;
    repeat(to, start, length, times);
    return length * times;
  };
  fill(0, 0);
}

export function installCopyKernels(): void {
  replaceKernel<{ x: TensorInfo }, { begin: number[]; size: number[] }>(
    Slice,
    ({ inputs: { x }, attrs, backend }) => {
      if (x.dtype === 'string') return undefined;
      const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size);
      slice_util.assertParamsValid(x as never, begin as number[], size as number[]);
      return copySlice(backend, x, begin as number[], size as number[]);
    },
  );

  replaceKernel<{ value: TensorInfo }, { axis: number }>(Unpack, ({ inputs: { value }, attrs, backend }) => {
    if (value.dtype === 'string') return undefined;
    const axis = util.parseAxisParam(attrs.axis, value.shape)[0] as number;
    const parts = copyParts(backend, value, axis, new Array<number>(value.shape[axis] as number).fill(1));
    const shape = value.shape.filter((_, i) => i !== axis);
    return parts.map((part) => ({ ...part, shape }));
  });

  replaceKernel<{ x: TensorInfo }, { numOrSizeSplits: number | number[]; axis: number }>(
    SplitV,
    ({ inputs: { x }, attrs, backend }) => {
      if (x.dtype === 'string') return undefined;
      const axis = util.parseAxisParam(attrs.axis, x.shape)[0] as number;
      return copyParts(
        backend,
        x,
        axis,
        backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis),
      );
    },
  );

  replaceKernel<{ x: TensorInfo }, { dims: number[] }>(Reverse, ({ inputs: { x }, attrs, backend }) => {
    if (x.dtype === 'string') return undefined;
    const reversed = new Set(util.parseAxisParam(attrs.dims, x.shape));
    const strides = stridesOf(x.shape);
    const out = backend.makeOutput(x.shape, x.dtype);
    let offset = 0;
    const axes = x.shape.map((count, axis) => {
      const stride = strides[axis] as number;
      if (!reversed.has(axis)) return { count, stride };
      offset += (count - 1) * stride;
      return { count, stride: -stride };
    });
    if (sizeOf(x.shape) > 0)
      copyWalk(backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out), axes, offset);
    return out;
  });

  replaceKernel<{ x: TensorInfo }, { reps: number[] }>(
    Tile,
    ({ inputs: { x }, attrs: { reps }, backend }) => {
      if (x.dtype === 'string') return undefined;
      const out = backend.makeOutput(
        x.shape.map((size, axis) => size * (reps[axis] as number)),
        x.dtype,
      );
      if (sizeOf(out.shape) > 0)
        copyTiles(backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out), x.shape, reps);
      return out;
    },
  );

  // Stock copies where only axes of one entry move. Elsewhere it is fast where the matrices are small; a long one is
  // written with strides that defeat the cache.
  replaceKernel<{ x: TensorInfo }, { perm: number[] }>(
    Transpose,
    ({ inputs: { x }, attrs: { perm }, backend }) => {
      if (x.dtype === 'string') return undefined;
      const moved = perm.filter((axis) => x.shape[axis] !== 1);
      if (moved.every((axis, i) => i === 0 || axis > (moved[i - 1] as number)))
        return share(
          backend,
          x,
          perm.map((axis) => x.shape[axis] as number),
        );
      if (x.shape.length !== 2) return undefined;
      const [rows = 0, columns = 0] = x.shape;
      const out = backend.makeOutput([columns, rows], x.dtype);
      transposeMatrices(backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out), 1, rows, columns);
      return out;
    },
  );
}
