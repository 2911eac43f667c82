// What is refused: with a code, the option at fault and the way out, before any work, and with nothing left on the device.
import { cells } from '@mnemix/cells';
import { asMixer, type Mixer } from '@mnemix/layers';
import { mom } from '@mnemix/mom';
import {
  disposeTree,
  fill,
  memory,
  MnemixError,
  ones,
  openBackend,
  Rng,
  tidy,
  zeros,
  type ParamTree,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ageing,
  bmojo,
  innovation,
  memoryPolicy,
  selfRecall,
  skippingFirst,
  type BmojoConfig,
  type MemoryPolicy,
} from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const width = 8;
const gla = cells.gla.create({ width, heads: 2 });
const fading = asMixer(gla) as unknown as Mixer;
const base = { width, heads: 2, window: 4 };
const layer = (options: object): Mixer => bmojo({ ...base, ...options } as BmojoConfig) as unknown as Mixer;

/** The error, and the proof that it left nothing behind. */
function failure(f: () => unknown): MnemixError {
  const before = memory().numTensors;
  let found: unknown;
  try {
    f();
  } catch (error) {
    found = error;
  }
  expect(memory().numTensors).toBe(before);
  expect(found).toBeInstanceOf(MnemixError);
  const error = found as MnemixError;
  expect(error.fix.length).toBeGreaterThan(5);
  return error;
}

const policyOf = (name: string, given: Partial<MemoryPolicy>): MemoryPolicy => ({
  name,
  config: {},
  score: ({ rowPosition }) => rowPosition,
  ...given,
});

describe('a configuration', () => {
  it.each<[what: string, options: object, where: string, message?: RegExp]>([
    ['no width', { width: 0 }, 'bmojo(width)'],
    ['half a head', { heads: 1.5 }, 'bmojo(heads)'],
    ['heads that do not divide the width', { heads: 3 }, 'bmojo(headWidth)', /it is 2\.66.*set headWidth/],
    ['key heads that do not divide the heads', { heads: 4, kvHeads: 3 }, 'bmojo(kvHeads)', /3 .* 4/],
    ['no window', { window: 0 }, 'bmojo(window)', /it is 0/],
    ['a window as text', { window: '4' }, 'bmojo(window)'],
    ['rotation of odd heads', { heads: 8, ropeBase: 100 }, 'bmojo(ropeBase)', /heads 1 wide/],
    ['a negative base', { ropeBase: -1 }, 'bmojo(ropeBase)'],
    ['a base without end', { ropeBase: Infinity }, 'bmojo(ropeBase)'],
    ['a negative ε', { normEps: -1e-5 }, 'bmojo(normEps)'],
    ['ε as text', { normEps: '1e-5' }, 'bmojo(normEps)'],
    ['a flag as text', { qkNorm: 'false' }, 'bmojo(qkNorm)', /true or false, found false/],
    ['a flag as number', { inContext: 0 }, 'bmojo(inContext)'],
    ['an unknown key', { windows: 4 }, 'bmojo: windows', /Use one of .*window/],
    ['nothing to see', { inContext: false }, 'bmojo(inContext)'],
    [
      'a fading memory that nobody sees, alone',
      { inContext: false, fading, fadingTokens: { source: 'none' } },
      'bmojo(inContext)',
    ],
    ['a cell for a mixer', { fading: gla }, 'bmojo(fading)', /asMixer/],
    [
      'a fading memory of another width',
      { fading: asMixer(cells.retnet.create({ width: 6, heads: 1 })) },
      'bmojo(fading)',
      /6 wide, the layer 8/,
    ],
    ['fading tokens without a fading memory', { fadingTokens: {} }, 'bmojo(fading)'],
    ['untied projections without a fading memory', { tied: false }, 'bmojo(fading)'],
    ['a skip without a fading memory', { skip: true }, 'bmojo(fading)'],
    ['an unknown source', { fading, fadingTokens: { source: 'head' } }, 'bmojo(fadingTokens.source)', /tail/],
    ['no fading token', { fading, fadingTokens: { count: 0 } }, 'bmojo(fadingTokens.count)'],
    ['a tail longer than the window', { fading, fadingTokens: { count: 5 } }, 'bmojo(fadingTokens.count)'],
    ['a norm as text', { fading, fadingTokens: { norm: 'rms' } }, 'bmojo(fadingTokens.norm)'],
    [
      'an unknown key of fading tokens',
      { fading, fadingTokens: { tokens: 1 } },
      'bmojo: fadingTokens.tokens',
    ],
    ['no slots', { fading, eidetic: { slots: 0 } }, 'bmojo(eidetic.slots)', /B'MOJO-F/],
    ['slots left out', { fading, eidetic: {} }, 'bmojo(eidetic.slots)'],
    ['an unknown refresh', { fading, eidetic: { slots: 2, refresh: 'never' } }, 'bmojo(eidetic.refresh)'],
    ['an unknown payload', { fading, eidetic: { slots: 2, payload: 'both' } }, 'bmojo(eidetic.payload)'],
    [
      'outputs of no fading memory as payload',
      { eidetic: { slots: 2, payload: 'output', policy: { type: 'recency' } } },
      'bmojo(eidetic.payload)',
    ],
    ['a span as long as the window', { fading, eidetic: { slots: 2, span: 4 } }, 'bmojo(eidetic.span)'],
    ['a negative span', { fading, eidetic: { slots: 2, span: -1 } }, 'bmojo(eidetic.span)'],
    ['half a recalled slot', { fading, eidetic: { slots: 2, recalled: 0.5 } }, 'bmojo(eidetic.recalled)'],
    ['dedupe as text', { fading, eidetic: { slots: 2, dedupe: 'yes' } }, 'bmojo(eidetic.dedupe)'],
    ['an unknown key of slots', { fading, eidetic: { slots: 2, size: 1 } }, 'bmojo: eidetic.size'],
    [
      'an unknown policy',
      { fading, eidetic: { slots: 2, policy: { type: 'oldest' } } },
      'memoryPolicy(type)',
    ],
    ['a policy by its mere name', { fading, eidetic: { slots: 2, policy: 'recency' } }, 'memoryPolicy(type)'],
    [
      'an unknown key of a policy',
      { fading, eidetic: { slots: 2, policy: { type: 'random', sead: 1 } } },
      'memory policy random: sead',
    ],
    ['innovation without outputs', { eidetic: { slots: 2 } }, 'bmojo(eidetic.policy)', /recency, random/],
    [
      'self-recall without a memory',
      { eidetic: { slots: 2, policy: selfRecall() } },
      'bmojo(eidetic.policy)',
    ],
    [
      'self-recall of a memory that cannot say',
      { fading: mom({ cell: gla }), eidetic: { slots: 2, policy: { type: 'self_recall' } } },
      'bmojo(eidetic.policy)',
      /mom cannot say/,
    ],
  ])('is refused: %s', (_, options, where, message = /./) => {
    const error = failure(() => layer(options));
    expect(error).toMatchObject({ code: 'config', where });
    expect(error.message).toMatch(message);
  });
});

describe('a policy', () => {
  it.each<[what: string, make: () => MemoryPolicy, where: string]>([
    ['no taps', () => innovation({ taps: [] }), 'innovation(taps)'],
    ['a tap of 0', () => innovation({ taps: [1, 0] }), 'innovation(taps)'],
    ['an unknown error', () => innovation({ error: 'l3' as never }), 'innovation(error)'],
    ['a negative rate', () => ageing(innovation(), -1), 'ageing(rate)'],
    ['a rate that is none', () => memoryPolicy({ type: 'recency', ageing: NaN }), 'ageing(rate)'],
    ['half a token to skip', () => skippingFirst(innovation(), 0.5), 'skippingFirst(tokens)'],
    ['an unknown name', () => memoryPolicy({ type: 'toString' as never }), 'memoryPolicy(type)'],
    [
      'an option of another',
      () => memoryPolicy({ type: 'recency', taps: [1] } as never),
      'memory policy recency: taps',
    ],
  ])('is refused: %s', (_, make, where) => {
    expect(failure(make)).toMatchObject({ code: 'config', where });
  });
});

describe('a pass', () => {
  const wrongSize = (rows: number): Tensor1D => ones([rows + 1]) as Tensor1D;
  const withPolicy = (given: Partial<MemoryPolicy>): Mixer =>
    layer({ fading, eidetic: { slots: 2, policy: policyOf('own', given) } });

  const [full, bare] = [layer({ fading, eidetic: { slots: 2 } }), layer({})];
  const bySteps = layer({ fading, eidetic: { slots: 2, span: 1, refresh: 'token' } });
  const withRecalled = layer({ fading, eidetic: { slots: 2, recalled: 1 } });
  const other = layer({ fading: asMixer(cells.retnet.create({ width, heads: 1 })), eidetic: { slots: 2 } });
  const oracles = layer({ eidetic: { slots: 2, policy: { type: 'oracle' } } });

  type Run = (mixer: Mixer, params: ParamTree, x: Tensor3D) => unknown;
  const fromState =
    (state: (own: Mixer) => unknown): Run =>
    (mixer, params, x) =>
      mixer.forward(params, x, { state: state(mixer) as never });

  it.each<[what: string, mixer: Mixer, run: Run, code: string, where: string, message?: RegExp]>([
    [
      'another width',
      full,
      (mixer, params) => mixer.forward(params, zeros([2, 5, 3]) as Tensor3D),
      'shape',
      'bmojo.forward(x)',
      /\[2, 5, 3\]/,
    ],
    [
      'a state of another batch',
      full,
      fromState((own) => own.initialState(3)),
      'state',
      'bmojo.forward(state)',
      /position is \[3\] instead of \[2\]/,
    ],
    [
      'a state without its fading memory',
      full,
      fromState((own) => ({ ...(own.initialState(2) as object), fading: undefined })),
      'state',
      'bmojo.forward(state)',
      /fading is missing/,
    ],
    [
      'a state of a layer with a fading memory',
      bare,
      fromState(() => ({ ...(bare.initialState(2) as object), fading: fading.initialState(2) })),
      'state',
      'bmojo.forward(state)',
      /fading is unknown/,
    ],
    [
      'a state of a layer without memories',
      full,
      fromState(() => bare.initialState(2)),
      'state',
      'bmojo.forward(state)',
      /eidetic\.keys is missing/,
    ],
    [
      'a state of a layer with memories',
      bare,
      fromState(() => full.initialState(2)),
      'state',
      'bmojo.forward(state)',
      /eidetic\.keys is unknown/,
    ],
    [
      'a state of another refresh and span',
      full,
      fromState(() => bySteps.initialState(2)),
      'state',
      'bmojo.forward(state)',
      /eidetic\.keys is \[2, 4, 8\] instead of \[2, 2, 8\].*ranks is missing/,
    ],
    [
      'a state without recalled slots',
      withRecalled,
      fromState(() => full.initialState(2)),
      'state',
      'bmojo.forward(state)',
      /recalled\.keys is missing/,
    ],
    [
      'a state over another fading memory',
      full,
      fromState(() => other.initialState(2)),
      'state',
      'gla.forward(state)',
    ],
    [
      'a state of the fading memory alone',
      full,
      fromState(() => fading.initialState(2)),
      'state',
      'bmojo.forward(state)',
    ],
    [
      'a state in a step',
      full,
      (mixer, params) => mixer.step(params, zeros([1, width]) as Tensor2D, mixer.initialState(2)),
      'state',
      'bmojo.forward(state)',
    ],
    [
      'segments that overlap',
      full,
      (mixer, params, x) =>
        mixer.forward(params, x, {
          segments: [
            { row: 0, start: 0, length: 3 },
            { row: 0, start: 2, length: 2 },
          ],
        }),
      'config',
      'segments[1]',
    ],
    [
      'no marks for the oracle',
      oracles,
      (mixer, params, x) => mixer.forward(params, x),
      'config',
      'memory policy oracle',
      /crossLayer: \{ tokens: \{ keep/,
    ],
    [
      'marks for fewer tokens',
      oracles,
      (mixer, params, x) =>
        mixer.forward(params, x, { crossLayer: { tokens: { keep: zeros([9, 1]) as Tensor2D } } }),
      'shape',
      'memory policy oracle(keep)',
      /\[10, 1\], found \[9, 1\]/,
    ],
    [
      'a score too many',
      withPolicy({ score: ({ inputs }) => wrongSize(inputs.shape[0]) }),
      (mixer, params, x) => mixer.forward(params, x),
      'shape',
      'memory policy own: score(scores)',
      /\[10\], found \[11\]/,
    ],
    [
      'a place in the order too many',
      withPolicy({ evict: (scores) => wrongSize(scores.size) }),
      (mixer, params, x) => mixer.forward(params, x),
      'shape',
      'memory policy own: evict(order)',
    ],
    [
      'an admission too many',
      withPolicy({ admit: (scores) => wrongSize(scores.size) }),
      (mixer, params, x) => mixer.forward(params, x),
      'shape',
      'memory policy own: admit(admitted)',
    ],
    [
      'scores that are NaN',
      withPolicy({ score: ({ inputs }) => fill([inputs.shape[0]], NaN) as Tensor1D }),
      (mixer, params, x) => mixer.forward(params, x),
      'value',
      'selectSlots(scores)',
      /is NaN/,
    ],
    [
      'an input that is NaN, whose innovation has no rank',
      full,
      (mixer, params) => mixer.forward(params, fill([2, 5, width], NaN) as Tensor3D),
      'value',
      'selectSlots(scores)',
    ],
  ])('is refused: %s', (_, mixer, run, code, where, message = /./) => {
    const { params, x } = tidy(
      () => ({ params: mixer.init(Rng.of(1)), x: Rng.of(2).normal([2, 5, width]) }) as never,
    ) as { params: ParamTree; x: Tensor3D };
    const error = failure(() => tidy(() => run(mixer, params, x) as Tensor));
    expect(error).toMatchObject({ code, where });
    expect(error.message).toMatch(message);
    disposeTree({ params, x });
  });
});
