// The systems of all tokens by the SIMD scan: one run of it is a product with the matrices of all of them.
// Between the products the vectors are updated by plain loops over the backend's memory. What the host sees
// without asking a device it may act on: tokens that are done are left alone, and the steps end with the last
// of them.
import { hostView, type BackendKernel, type TensorInfo } from '@mnemix/tensor';
import { wasmKernel, type Pointer } from '../wasm/bridge.ts';
import { FORWARD_SEGMENT } from '../wasm/scans.ts';
import type { MesaSolveAttrs, MesaSolveInputs } from './op.ts';

const wasm: BackendKernel<MesaSolveInputs, MesaSolveAttrs> = (call) =>
  solveOn(call.backend, call.inputs.q).wasm?.(call);

export const solveKernel = { wasm };

const solveOn = (backend: unknown, query: TensorInfo) =>
  wasmKernel<MesaSolveInputs, MesaSolveAttrs>({
    outputs: ({ q }, { count, form }) => {
      const [, heads = 0, dk = 0] = q.shape;
      return form ? undefined : [{ shape: q.shape }, { shape: [count, heads, dk, dk] }];
    },
    run: ({ exports, inputs, outputs: [x = 0, state = 0], shapes, attrs, scratch }) => {
      const [rows = 0, heads = 0, dk = 0] = shapes.q;
      const { q, k, v, logDecay, ridge, initialState, starts, lengths, rowSequence } = inputs;
      const bytes = rows * heads * dk * Float32Array.BYTES_PER_ELEMENT;
      const [direction, residual, image] = [scratch(bytes), scratch(bytes), scratch(bytes)];
      const scanned = scratch(exports.diagonalDecayScratch(dk, dk, FORWARD_SEGMENT));
      // Nothing is allocated behind this line, so the memory does not move.
      const { buffer } = hostView(backend, query).data;
      const vectors = (pointer: Pointer, count = rows) =>
        new Float32Array(buffer, pointer, count * heads * dk);
      const { step } = conjugateGradients(
        {
          x: vectors(x),
          b: vectors(q),
          direction: vectors(direction),
          residual: vectors(residual),
          image: vectors(image),
          ridge: vectors(ridge, 1),
          rowSequence: new Int32Array(buffer, rowSequence, rows),
        },
        { heads, dk, tolerance: attrs.tolerance },
      );
      for (let i = 0, open = true; open && i < attrs.steps; i++) {
        exports.diagonalDecay(
          direction,
          k,
          v,
          logDecay,
          0,
          initialState,
          starts,
          lengths,
          image,
          state,
          scanned,
          rows,
          attrs.count,
          heads,
          dk,
          dk,
          1,
          FORWARD_SEGMENT,
          1,
        );
        open = step();
      }
    },
  });

/** In place: vectors [N, H, dk], ridge [H, dk], and rowSequence [N]. */
interface Vectors {
  readonly x: Float32Array;
  readonly b: Float32Array;
  readonly direction: Float32Array;
  readonly residual: Float32Array;
  /** H times the direction. */
  readonly image: Float32Array;
  readonly ridge: Float32Array;
  readonly rowSequence: Int32Array;
}

/**
 * (H + Diag(λ)) x = b from x = 0 on, by conjugate gradients with Diag(λ) as preconditioner. `step` takes the
 * image of the direction, and says whether another step is needed.
 */
function conjugateGradients(
  { x, b, direction, residual, image, ridge, rowSequence }: Vectors,
  { heads, dk, tolerance }: { heads: number; dk: number; tolerance: number },
): { step: () => boolean } {
  const count = rowSequence.length * heads;
  const inverse = Float32Array.from(ridge, (penalty) => 1 / penalty);
  /** ⟨r, r / λ⟩ of each token and head, and where it is small enough. */
  const error = new Float64Array(count);
  const enough = new Float64Array(count);
  residual.set(b);
  x.fill(0);
  direction.fill(0);
  for (let row = 0; row < count; row++) {
    if ((rowSequence[Math.floor(row / heads)] as number) < 0) continue;
    const [first, last, channel] = [row * dk, (row + 1) * dk, (row % heads) * dk];
    let sum = 0;
    for (let i = first, c = channel; i < last; i++, c++) {
      const r = b[i] as number;
      const z = r * (inverse[c] as number);
      // The comparisons below would stop at a NaN and hide it.
      if (!Number.isFinite(r)) x[i] = NaN;
      direction[i] = z;
      sum += r * z;
    }
    error[row] = sum;
    enough[row] = sum * tolerance ** 2;
  }

  const stepRow = (row: number): boolean => {
    const before = error[row] as number;
    if (!(before > (enough[row] as number))) return false;
    const [first, last, channel] = [row * dk, (row + 1) * dk, (row % heads) * dk];
    let curvature = 0;
    for (let i = first, c = channel; i < last; i++, c++) {
      const p = direction[i] as number;
      const h = (image[i] as number) + (ridge[c] as number) * p;
      image[i] = h;
      curvature += p * h;
    }
    // Only rounding is left of the direction.
    if (curvature <= 0) {
      error[row] = 0;
      return false;
    }
    const size = before / curvature;
    let after = 0;
    for (let i = first, c = channel; i < last; i++, c++) {
      x[i] = (x[i] as number) + size * (direction[i] as number);
      const r = (residual[i] as number) - size * (image[i] as number);
      residual[i] = r;
      after += r * r * (inverse[c] as number);
    }
    error[row] = after;
    const kept = after / before;
    for (let i = first, c = channel; i < last; i++, c++) {
      direction[i] = (residual[i] as number) * (inverse[c] as number) + kept * (direction[i] as number);
    }
    return after > (enough[row] as number);
  };
  return {
    step: () => {
      let open = false;
      for (let row = 0; row < count; row++) open = stepRow(row) || open;
      return open;
    },
  };
}
