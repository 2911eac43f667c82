// The SIMD kernels of the diagonal-decay scan: token by token, with the state in cache.
import type { ScanAttrs } from '../portable/scan-options.ts';
import { wasmKernel } from '../wasm/bridge.ts';
import { backwardSegment, FORWARD_SEGMENT, scanWidths } from '../wasm/scans.ts';
import type { DiagonalDecayGradientInputs, DiagonalDecayInputs } from './op.ts';

const none = { shape: [0] };

export const forwardKernel = wasmKernel<DiagonalDecayInputs, ScanAttrs>({
  outputs: ({ q, v }, { count, form }) => {
    const { heads, dk, dv } = scanWidths({ q: q.shape, v: v.shape });
    return form ? undefined : [{ shape: v.shape }, { shape: [count, heads, dk, dv] }];
  },
  run: ({ exports, inputs, outputs: [o = 0, state = 0], shapes, attrs: { rows, count, scale }, scratch }) => {
    const { heads, dk, dv, gates } = scanWidths(shapes);
    const { q, k, v, logDecay, bonus, initialState, starts, lengths } = inputs;
    exports.diagonalDecay(
      q,
      k,
      v,
      logDecay,
      bonus,
      initialState,
      starts,
      lengths,
      o,
      state,
      scratch(exports.diagonalDecayScratch(dk, dv, FORWARD_SEGMENT)),
      rows,
      count,
      heads,
      dk,
      dv,
      gates,
      FORWARD_SEGMENT,
      scale,
    );
  },
});

export const gradientKernel = wasmKernel<DiagonalDecayGradientInputs, ScanAttrs>({
  outputs: ({ q, k, v, logDecay, bonus, initialState }, { form }) =>
    form
      ? undefined
      : [q, k, v, logDecay ?? none, bonus ?? none, initialState ?? none].map(({ shape }) => ({ shape })),
  run: ({ exports, inputs, outputs, shapes, attrs: { rows, count, maxLength, scale }, scratch }) => {
    const { heads, dk, dv, gates } = scanWidths(shapes);
    const { q, k, v, logDecay, bonus, initialState, starts, lengths, dO, dState } = inputs;
    const [dQ = 0, dK = 0, dV = 0, dLogDecay = 0, dBonus = 0, dInitialState = 0] = outputs;
    const segment = backwardSegment(maxLength);
    exports.diagonalDecayGradient(
      q,
      k,
      v,
      logDecay,
      bonus,
      initialState,
      starts,
      lengths,
      dO,
      dState,
      dQ,
      dK,
      dV,
      dLogDecay,
      dBonus,
      dInitialState,
      scratch(exports.diagonalDecayGradientScratch(dk, dv, segment, maxLength)),
      rows,
      count,
      heads,
      dk,
      dv,
      gates,
      segment,
      scale,
    );
  },
});
