// Sums over leading axes (the gradient of every bias and gain), and sums by segment, which tfjs lacks on WASM.
import { Mean, Sum, UnsortedSegmentSum, util, type TensorInfo } from '@tensorflow/tfjs-core';
import { sizeOf } from '../../shape.ts';
import { replaceKernel } from './heap.ts';

interface Reduction {
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

export function installReduceKernels(): void {
  for (const kernelName of [Sum, Mean]) {
    // The stock kernels transpose first, and add in float32 one after the other.
    replaceKernel<{ x: TensorInfo }, Reduction>(
      kernelName,
      ({ inputs: { x }, attrs: { axis, keepDims }, backend }) => {
        const axes = util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
        const leading =
          axes.length > 0 && axes.length < x.shape.length && axes.every((reduced, i) => reduced === i);
        if (!leading || x.dtype !== 'float32') return undefined;
        const rest = x.shape.slice(axes.length);
        const [rows, width] = [sizeOf(x.shape.slice(0, axes.length)), sizeOf(rest)];
        const out = backend.makeOutput(keepDims ? [...axes.map(() => 1), ...rest] : rest, 'float32');
        const values = backend.typedArrayFromHeap(x);
        const sums = new Float64Array(width);
        for (let row = 0, at = 0; row < rows; row++) {
          for (let column = 0; column < width; column++, at++)
            sums[column] = (sums[column] as number) + (values[at] as number);
        }
        const scale = kernelName === Mean ? 1 / rows : 1;
        backend.typedArrayFromHeap(out).set(sums.map((sum) => sum * scale));
        return out;
      },
    );
  }

  replaceKernel<{ x: TensorInfo; segmentIds: TensorInfo }, { numSegments: number }>(
    UnsortedSegmentSum,
    ({ inputs: { x, segmentIds }, attrs: { numSegments }, backend }) => {
      const rest = x.shape.slice(segmentIds.shape.length);
      const width = sizeOf(rest);
      const out = backend.makeOutput([numSegments, ...rest], x.dtype);
      // To look at an input may move it here, and memory that grows detaches views: the ids first.
      backend.typedArrayFromHeap(segmentIds);
      const values = backend.typedArrayFromHeap(x);
      const sums = backend.typedArrayFromHeap(out).fill(0);
      backend.typedArrayFromHeap(segmentIds).forEach((segment: number, row: number) => {
        if (segment < 0 || segment >= numSegments) return;
        const [from, to] = [row * width, segment * width];
        for (let i = 0; i < width; i++)
          sums[to + i] = (sums[to + i] as number) + (values[from + i] as number);
      });
      return out;
    },
  );
}
