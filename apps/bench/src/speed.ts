// What every mixer costs beside softmax attention: training, reading a prompt, and one more token after contexts of growing length.
import { cpus } from 'node:os';
import { cells } from '@mnemix/cells';
import { buildMixer, type MixerConfig } from '@mnemix/lm';
import { openBackend } from '@mnemix/tensor';
import { inTurns, timedMixer, type Timing } from './mixer-timing.ts';
import { spreadText, type Spread } from './statistics.ts';
import { modelOf, parseMixer } from './sweep/mixer-line.ts';
import { mergedSizes } from './sweep/schema.ts';

const SIZES = { width: 128, heads: 2, window: 64, slots: 16 };
const BATCH = 4;
const TOKENS = 512;
const REFERENCE = 'attention';
const LINES = [
  REFERENCE,
  'window',
  ...Object.keys(cells),
  'mom gated_delta_net',
  'mom gla',
  'bmojo-f gated_delta_net',
  'bmojo gated_delta_net',
];

export interface SpeedOptions {
  readonly rounds: number;
  /** Tokens before the one that is decoded. */
  readonly contexts: readonly number[];
  /** These mixers alone (default: all); attention is always there to compare with. */
  readonly only?: readonly string[] | undefined;
  readonly onMixer?: (row: SpeedRow) => void;
}

export interface SpeedRow {
  readonly mixer: string;
  readonly training: Speed;
  readonly prefill: Speed;
  readonly decode: readonly DecodeSpeed[];
}

interface Speed {
  readonly tokensPerSecond: Spread;
  /** Attention's time over this one's in the same round: above 1 is faster than attention. */
  readonly overAttention: Spread;
}

interface DecodeSpeed {
  readonly context: number;
  readonly milliseconds: Spread;
  readonly overAttention: Spread;
  /** Of one sequence after these tokens. */
  readonly stateBytes: number;
}

export interface SpeedResult {
  readonly node: string;
  readonly cpu: string;
  readonly sizes: typeof SIZES & { readonly batch: number; readonly tokens: number };
  readonly rounds: number;
  readonly rows: readonly SpeedRow[];
}

/** The names that `only` may hold. */
export const speedMixers = (): readonly string[] => LINES;

/** Times one layer of each mixer on WASM with one thread, attention beside it in turns. */
export async function benchSpeed({ rounds, contexts, only, onMixer }: SpeedOptions): Promise<SpeedResult> {
  await openBackend('wasm', { threads: 1 });
  const names = LINES.filter((name) => !only || name === REFERENCE || only.includes(name));
  const rows = names.map((name) => {
    const row = speedOf(name, { rounds, contexts });
    onMixer?.(row);
    return row;
  });
  const machine = { node: process.version, cpu: cpus()[0]?.model.trim() ?? 'unknown' };
  return { ...machine, sizes: { ...SIZES, batch: BATCH, tokens: TOKENS }, rounds, rows };
}

function speedOf(name: string, { rounds, contexts }: Pick<SpeedOptions, 'rounds' | 'contexts'>): SpeedRow {
  const build = (line: string) => {
    const { mixer } = modelOf(parseMixer(line), mergedSizes(SIZES), 2);
    return buildMixer(mixer as MixerConfig, SIZES.width);
  };
  const compared = <T>(
    size: { batch: number; tokens: number },
    measure: (own: ReturnType<typeof timedMixer>, reference: ReturnType<typeof timedMixer>) => T,
  ): T => {
    const [own, reference] = [timedMixer(build(name), size), timedMixer(build(REFERENCE), size)];
    const result = measure(own, reference);
    own.dispose();
    reference.dispose();
    return result;
  };
  const { training, prefill } = compared({ batch: BATCH, tokens: TOKENS }, (own, reference) => ({
    training: speedFrom(inTurns(own.train, reference.train, rounds)),
    prefill: speedFrom(inTurns(own.prefill, reference.prefill, rounds)),
  }));
  const decode = contexts.map((context) =>
    compared({ batch: 1, tokens: context }, (own, reference) => {
      const { milliseconds, ratio } = inTurns(own.step, reference.step, 2 * rounds);
      const stateBytes = build(name).stateBytes(1, context);
      return { context, milliseconds, overAttention: inverse(ratio), stateBytes };
    }),
  );
  return { mixer: name, training, prefill, decode };
}

function speedFrom({ milliseconds, ratio }: Timing): Speed {
  const tokens = 1000 * BATCH * TOKENS;
  const { median, min, max } = inverse(milliseconds);
  return {
    tokensPerSecond: { median: tokens * median, min: tokens * min, max: tokens * max },
    overAttention: inverse(ratio),
  };
}

const inverse = ({ median, min, max }: Spread): Spread => ({
  median: 1 / median,
  min: 1 / max,
  max: 1 / min,
});

/** The result as Markdown. */
export function formatSpeed({ node, cpu, sizes, rounds, rows }: SpeedResult): string {
  const contexts = (rows[0]?.decode ?? []).map(({ context }) => context);
  const thousands = ({ median }: Spread): string => (median / 1000).toFixed(1);
  return [
    `One layer of each mixer: width ${sizes.width}, ${sizes.heads} heads of ${sizes.width / sizes.heads}, windows of ${sizes.window} tokens, ${sizes.slots} slots; ` +
      `Node ${node}, ${cpu}, WASM on one thread, float32. Training (forward and backward) and prompt (forward) over ${sizes.batch} sequences of ` +
      `${sizes.tokens} tokens; decoding of one token for one sequence. Medians of ${rounds} rounds (decoding: ${2 * rounds}); × is ` +
      "attention's time over the mixer's in the same round, with the smallest and the largest: above 1 is faster than attention.",
    '',
    `| mixer | training, k tokens/s | × attention | prompt, k tokens/s | × attention | ${contexts
      .map((context) => `ms a token after ${context}`)
      .join(' | ')} | × attention after ${contexts.at(-1)} | state after ${contexts.at(-1)}, bytes |`,
    `|${'---|'.repeat(7 + contexts.length)}`,
    ...rows.map(({ mixer, training, prefill, decode }) => {
      const last = decode.at(-1) as DecodeSpeed;
      const cells = [
        `\`${mixer}\``,
        thousands(training.tokensPerSecond),
        spreadText(training.overAttention, 2),
        thousands(prefill.tokensPerSecond),
        spreadText(prefill.overAttention, 2),
        ...decode.map(({ milliseconds }) => milliseconds.median.toFixed(2)),
        spreadText(last.overAttention, 2),
        last.stateBytes,
      ];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
  ].join('\n');
}
