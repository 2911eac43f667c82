// What B'MOJO costs on the CPU beside sliding-window attention over as many tokens, and that its memory does not grow with the stream.
import { bmojo, type BmojoConfig } from '@mnemix/bmojo';
import { gatedDeltaNet } from '@mnemix/cells';
import { asMixer, type Mixer } from '@mnemix/layers';
import {
  disposeTree,
  memory,
  openBackend,
  Rng,
  tidy,
  type BackendReport,
  type Tensor2D,
} from '@mnemix/tensor';
import { inTurns, timedMixer, type Timing } from './mixer-timing.ts';
import { spread, spreadText, type Spread } from './statistics.ts';

const BATCH = 8;
const TOKENS = 512;
const WIDTH = 128;
const HEADS = 4;
const WINDOW = 64;
const SLOTS = 32;
/** What the full layer sees: window, one fading token, slots. */
const SPAN = WINDOW + 1 + SLOTS;
/** Tokens of the stream over which times are taken. */
const SAMPLE = 1000;

export interface BmojoCost {
  readonly name: string;
  readonly stateBytes: number;
  readonly training: Timing;
  readonly step: Timing;
}

/** One stream, decoded token by token. */
export interface StreamCost {
  readonly tokens: number;
  /** Tensors, and bytes of them, before the first token and after the last. */
  readonly tensors: readonly [before: number, after: number];
  readonly bytes: readonly [before: number, after: number];
  /** Milliseconds of a token, of the first thousand and of the last. */
  readonly first: Spread;
  readonly last: Spread;
}

export interface BmojoCostResult {
  readonly machine: { readonly node: string; readonly backend: BackendReport };
  readonly costs: readonly BmojoCost[];
  readonly stream: StreamCost;
}

const base = { width: WIDTH, heads: HEADS, window: WINDOW };
const fading = (): Mixer =>
  asMixer(gatedDeltaNet({ width: WIDTH, heads: HEADS, headWidth: 16, expandV: 1 })) as Mixer;
const full = (): BmojoConfig => ({ ...base, fading: fading(), eidetic: { slots: SLOTS } });

const subjects: Readonly<Record<string, () => Mixer>> = {
  [`window of ${SPAN}`]: () => bmojo({ ...base, window: SPAN }) as Mixer,
  [`window of ${WINDOW}`]: () => bmojo(base) as Mixer,
  'fading memory alone (Gated DeltaNet)': fading,
  "B'MOJO-F": () => bmojo({ ...base, fading: fading() }) as Mixer,
  "B'MOJO": () => bmojo(full()) as Mixer,
  "B'MOJO, eidetic only": () =>
    bmojo({ ...base, eidetic: { slots: SLOTS, policy: { type: 'random' } } }) as Mixer,
};

/**
 * Measures each kind of layer against the window of the same span, in turns, and one long stream.
 *
 * @param rounds of each measurement, after one to warm up
 * @param tokens of the stream
 */
export async function benchBmojo({
  rounds,
  tokens,
  onProgress = () => undefined,
}: {
  readonly rounds: number;
  readonly tokens: number;
  readonly onProgress?: (line: string) => void;
}): Promise<BmojoCostResult> {
  const backend = await openBackend('wasm', { threads: 1 });
  const size = { batch: BATCH, tokens: TOKENS };
  const [reference] = Object.values(subjects) as [() => Mixer];
  const plain = timedMixer(reference(), size);
  const costs = Object.entries(subjects).map(([name, make]): BmojoCost => {
    const mixer = make();
    const subject = timedMixer(mixer, size);
    const cost = {
      name,
      stateBytes: mixer.stateBytes(1),
      training: inTurns(subject.train, plain.train, rounds),
      step: inTurns(subject.step, plain.step, 10 * rounds),
    };
    subject.dispose();
    onProgress(`${name.padEnd(40)}${cost.training.ratio.median.toFixed(2)} × training`);
    return cost;
  });
  plain.dispose();
  const stream = decodeStream(bmojo(full()) as Mixer, tokens, onProgress);
  return { machine: { node: process.version, backend }, costs, stream };
}

function decodeStream(mixer: Mixer, tokens: number, onProgress: (line: string) => void): StreamCost {
  const params = mixer.init(Rng.of(1));
  const rng = Rng.of(2);
  let state = mixer.initialState(1);
  const step = (t: number): void => {
    const before = state;
    state = tidy(() => {
      const x = rng.fold(t).normal([1, WIDTH]) as Tensor2D;
      return mixer.step(params, x, before).state as never;
    });
    disposeTree(before);
  };
  const timed = (from: number, to: number): Spread => {
    const times: number[] = [];
    for (let t = from; t < to; t++) {
      const begin = performance.now();
      step(t);
      times.push(performance.now() - begin);
      if ((t + 1) % 10_000 === 0)
        onProgress(`${t + 1} tokens decoded, ${memory().numBytes} bytes of tensors`);
    }
    return spread(times);
  };
  // The first token brings the constants that layers keep.
  step(0);
  const start = memory();
  const [before, bytesBefore] = [start.numTensors, start.numBytes];
  const sample = Math.min(SAMPLE, Math.ceil(tokens / 3));
  const first = timed(1, 1 + sample);
  timed(1 + sample, tokens - sample);
  const last = timed(tokens - sample, tokens);
  const end = memory();
  disposeTree({ params, state });
  return {
    tokens,
    tensors: [before, end.numTensors],
    bytes: [bytesBefore, end.numBytes],
    first,
    last,
  };
}

/** The result as Markdown. */
export function formatBmojoCost({ machine, costs, stream }: BmojoCostResult): string {
  const rows = costs.map(
    ({ name, stateBytes, training, step }) =>
      `| ${name} | ${(stateBytes / 1024).toFixed(1)} | ${training.milliseconds.median.toFixed(1)} | ` +
      `${spreadText(training.ratio, 2)} | ${step.milliseconds.median.toFixed(2)} | ${spreadText(step.ratio, 2)} |`,
  );
  const [before, after] = stream.tensors;
  const [bytesBefore, bytesAfter] = stream.bytes;
  return [
    `One layer, width ${WIDTH}, ${HEADS} heads; ${BATCH} sequences of ${TOKENS} tokens. B'MOJO sees a window of ${WINDOW}, one fading ` +
      `token and ${SLOTS} eidetic slots, ${SPAN} tokens in all; the reference is a window of ${SPAN}. Node ${machine.node}, backend ` +
      `${machine.backend.name}, ${machine.backend.threads ?? 1} thread.`,
    '',
    '× is the time over that of the reference in the same round: median (smallest – largest of the rounds).',
    '',
    '| layer | state, KiB a sequence | forward + backward, ms | × | one token, ms | × |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    `One stream of ${stream.tokens.toLocaleString('en')} tokens through B'MOJO, token by token: ${before} tensors of ${bytesBefore} bytes ` +
      `before, ${after} of ${bytesAfter} after. A token takes ${stream.first.median.toFixed(2)} ms among the first thousand, ` +
      `${stream.last.median.toFixed(2)} ms among the last.`,
    '',
  ].join('\n');
}
