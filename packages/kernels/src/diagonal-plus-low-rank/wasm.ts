// The SIMD kernels of the scan with a diagonal plus low-rank transition: token by token, state in cache.
import type { ScanAttrs } from '../portable/scan-options.ts';
import { wasmKernel } from '../wasm/bridge.ts';
import { backwardSegment, FORWARD_SEGMENT, scanWidths } from '../wasm/scans.ts';
import type { DiagonalPlusLowRankGradientInputs, DiagonalPlusLowRankInputs } from './op.ts';

const none = { shape: [0] };

export const forwardKernel = wasmKernel<DiagonalPlusLowRankInputs, ScanAttrs>({
  outputs: ({ q, v }, { count, form }) => {
    const { heads, dk, dv } = scanWidths({ q: q.shape, v: v.shape });
    return form ? undefined : [{ shape: v.shape }, { shape: [count, heads, dk, dv] }, { shape: v.shape }];
  },
  run: ({ exports, inputs, outputs: [o = 0, state = 0, recalled = 0], shapes, attrs, scratch }) => {
    const { heads, dk, dv, gates } = scanWidths(shapes);
    const { q, k, v, a, b, logDecay, initialState, starts, lengths } = inputs;
    exports.diagonalPlusLowRank(
      q,
      k,
      v,
      a,
      b,
      logDecay,
      initialState,
      starts,
      lengths,
      o,
      state,
      recalled,
      scratch(exports.diagonalPlusLowRankScratch(dk, dv, FORWARD_SEGMENT)),
      attrs.rows,
      attrs.count,
      heads,
      dk,
      dv,
      gates,
      FORWARD_SEGMENT,
      attrs.scale,
    );
  },
});

export const gradientKernel = wasmKernel<DiagonalPlusLowRankGradientInputs, ScanAttrs>({
  outputs: ({ q, k, v, a, b, logDecay, initialState }, { form }) =>
    form
      ? undefined
      : [q, k, v, a, b, logDecay ?? none, initialState ?? none].map(({ shape }) => ({ shape })),
  run: ({ exports, inputs, outputs, shapes, attrs, scratch }) => {
    const { heads, dk, dv, gates } = scanWidths(shapes);
    const { q, k, v, a, b, logDecay, initialState, starts, lengths, recalled, dO, dState } = inputs;
    const [dQ = 0, dK = 0, dV = 0, dA = 0, dB = 0, dLogDecay = 0, dInitialState = 0] = outputs;
    const segment = backwardSegment(attrs.maxLength);
    exports.diagonalPlusLowRankGradient(
      q,
      k,
      v,
      a,
      b,
      logDecay,
      initialState,
      starts,
      lengths,
      recalled,
      dO,
      dState,
      dQ,
      dK,
      dV,
      dA,
      dB,
      dLogDecay,
      dInitialState,
      scratch(exports.diagonalPlusLowRankGradientScratch(dk, dv, segment, attrs.maxLength)),
      attrs.rows,
      attrs.count,
      heads,
      dk,
      dv,
      gates,
      segment,
      attrs.scale,
    );
  },
});
