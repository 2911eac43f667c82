// The SIMD kernels of the delta rule: token by token, with the state in cache.
import { wasmKernel } from '../wasm/bridge.ts';
import { backwardSegment, FORWARD_SEGMENT, scanWidths } from '../wasm/scans.ts';
import type { DeltaRuleAttrs, DeltaRuleGradientInputs, DeltaRuleInputs } from './op.ts';

const none = { shape: [0] };

export const forwardKernel = wasmKernel<DeltaRuleInputs, DeltaRuleAttrs>({
  outputs: ({ q, v }, { count, form }) => {
    const { heads, dk, dv } = scanWidths({ q: q.shape, v: v.shape });
    return form ? undefined : [{ shape: v.shape }, { shape: [count, heads, dk, dv] }, { shape: v.shape }];
  },
  run: ({ exports, inputs, outputs: [o = 0, state = 0, corrected = 0], shapes, attrs, scratch }) => {
    const { heads, dk, dv, gates } = scanWidths(shapes);
    const { q, k, v, beta, erase, logDecay, initialState, starts, lengths } = inputs;
    exports.deltaRule(
      q,
      k,
      v,
      beta,
      erase,
      logDecay,
      initialState,
      starts,
      lengths,
      o,
      state,
      corrected,
      scratch(exports.deltaRuleScratch(dk, dv, FORWARD_SEGMENT)),
      attrs.rows,
      attrs.count,
      heads,
      dk,
      dv,
      gates,
      FORWARD_SEGMENT,
      attrs.scale,
      Number(attrs.eraseBeforeDecay),
    );
  },
});

export const gradientKernel = wasmKernel<DeltaRuleGradientInputs, DeltaRuleAttrs>({
  outputs: ({ q, k, v, beta, erase, logDecay, initialState }, { form }) =>
    form
      ? undefined
      : [q, k, v, beta ?? none, erase ?? none, logDecay ?? none, initialState ?? none].map(({ shape }) => ({
          shape,
        })),
  run: ({ exports, inputs, outputs, shapes, attrs, scratch }) => {
    const { heads, dk, dv, gates } = scanWidths(shapes);
    const { q, k, v, beta, erase, logDecay, initialState, starts, lengths, corrected, dO, dState } = inputs;
    const [dQ = 0, dK = 0, dV = 0, dBeta = 0, dErase = 0, dLogDecay = 0, dInitialState = 0] = outputs;
    const segment = backwardSegment(attrs.maxLength);
    exports.deltaRuleGradient(
      q,
      k,
      v,
      beta,
      erase,
      logDecay,
      initialState,
      starts,
      lengths,
      corrected,
      dO,
      dState,
      dQ,
      dK,
      dV,
      dBeta,
      dErase,
      dLogDecay,
      dInitialState,
      scratch(exports.deltaRuleGradientScratch(dk, dv, segment, attrs.maxLength)),
      attrs.rows,
      attrs.count,
      heads,
      dk,
      dv,
      gates,
      segment,
      attrs.scale,
      Number(attrs.eraseBeforeDecay),
    );
  },
});
