// The SIMD kernels of the value-decay scan: token by token, with the state in cache.
import type { ScanAttrs } from '../portable/scan-options.ts';
import { wasmKernel } from '../wasm/bridge.ts';
import { backwardSegment, FORWARD_SEGMENT, scanWidths } from '../wasm/scans.ts';
import type { ValueDecayGradientInputs, ValueDecayInputs } from './op.ts';

export const forwardKernel = wasmKernel<ValueDecayInputs, ScanAttrs>({
  outputs: ({ q, v }, { count, form }) => {
    const { heads, dk, dv } = scanWidths({ q: q.shape, v: v.shape });
    return form ? undefined : [{ shape: v.shape }, { shape: [count, heads, dk, dv] }];
  },
  run: ({ exports, inputs, outputs: [o = 0, state = 0], shapes, attrs: { rows, count, scale }, scratch }) => {
    const { heads, dk, dv } = scanWidths(shapes);
    const { q, k, v, logDecay, initialState, starts, lengths } = inputs;
    exports.valueDecay(
      q,
      k,
      v,
      logDecay,
      initialState,
      starts,
      lengths,
      o,
      state,
      scratch(exports.valueDecayScratch(dk, dv, FORWARD_SEGMENT)),
      rows,
      count,
      heads,
      dk,
      dv,
      FORWARD_SEGMENT,
      scale,
    );
  },
});

export const gradientKernel = wasmKernel<ValueDecayGradientInputs, ScanAttrs>({
  outputs: ({ q, k, v, logDecay, dState }, { form }) =>
    form ? undefined : [q, k, v, logDecay, dState].map(({ shape }) => ({ shape })),
  run: ({ exports, inputs, outputs, shapes, attrs: { rows, count, maxLength, scale }, scratch }) => {
    const { heads, dk, dv } = scanWidths(shapes);
    const { q, k, v, logDecay, initialState, starts, lengths, dO, dState } = inputs;
    const [dQ = 0, dK = 0, dV = 0, dLogDecay = 0, dInitialState = 0] = outputs;
    const segment = backwardSegment(maxLength);
    exports.valueDecayGradient(
      q,
      k,
      v,
      logDecay,
      initialState,
      starts,
      lengths,
      dO,
      dState,
      dQ,
      dK,
      dV,
      dLogDecay,
      dInitialState,
      scratch(exports.valueDecayGradientScratch(dk, dv, segment, maxLength)),
      rows,
      count,
      heads,
      dk,
      dv,
      segment,
      scale,
    );
  },
});
