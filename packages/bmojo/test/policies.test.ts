// What each policy keeps, held against its definition: through configurations and directly, in chunks and in steps.
import { diagonalDecay } from '@mnemix/kernels';
import { asMixer, type MemoryCell, type Mixer, type State } from '@mnemix/layers';
import {
  concat,
  greater,
  openBackend,
  reshape,
  Rng,
  slice,
  tensor2d,
  tensor3d,
  tidy,
  zeros,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
} from '@mnemix/tensor';
import { bmojoInnovation, nd } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ageing,
  bmojo,
  innovation,
  memoryPolicy,
  oracle,
  random,
  recency,
  selfRecall,
  skippingFirst,
  type EideticReport,
  type MemoryPolicy,
  type MemoryPolicyConfig,
} from '../src/index.ts';
import { givenOutputs } from './given-outputs.ts';
import { at, drawn, near, normal, part, row } from './parts.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const [width, window, tokens, batch] = [4, 3, 29, 3];
const slots = 4;

/** Inputs of any kind; the outputs of the fading memory are its parameters. */
const setUp = (
  policy: MemoryPolicy | MemoryPolicyConfig,
  fading = givenOutputs(width, tokens, batch) as never,
) => {
  const mixer = bmojo({ width, heads: 2, window, fading, eidetic: { slots, policy } }) as unknown as Mixer;
  return { mixer, params: drawn(mixer), x: normal(2, [batch, tokens, width]) };
};
const reportOf = (aux: object): EideticReport => (aux as { eidetic: EideticReport }).eidetic;

type Held = number[][][];
/** Positions of each sequence and chunk, the best first, without the places that are empty. */
const heldOf = (aux: object): Held =>
  reportOf(aux)
    .positions.arraySync()
    .map((chunks) => chunks.map((own) => own.filter((position) => position >= 0)));

/** By definition: of the tokens before each chunk those of the highest scores, the older of equals; −∞ never. */
const best = (scores: readonly number[][]): Held =>
  scores.map((own) =>
    Array.from({ length: Math.ceil(own.length / window) }, (_, chunk) =>
      Array.from({ length: chunk * window }, (__, t) => t)
        .filter((t) => own[t]! > -Infinity)
        .sort((a, b) => own[b]! - own[a]! || a - b)
        .slice(0, slots),
    ),
  );

/** A number for each token of each sequence. */
const numbers = (of: (t: number, b: number) => number): number[][] =>
  Array.from({ length: batch }, (_, b) => Array.from({ length: tokens }, (__, t) => of(t, b)));

/** Scores that are in the first channel of the input, as well as in `crossLayer.tokens.keep`. */
const inInput: MemoryPolicy = {
  name: 'in_input',
  config: {},
  score: ({ inputs }) => reshape(slice(inputs, [0, 0], [inputs.shape[0], 1]), [inputs.shape[0]]) as Tensor1D,
};

/** A layer of the policy, its input, and what it holds when it reads that at once. */
function readAtOnce(policy: MemoryPolicy | MemoryPolicyConfig, given = numbers(() => 0)) {
  const { mixer, params, x: others } = setUp(policy);
  const marks = tensor3d(given.map((own) => own.map((value) => [value])));
  const x = concat([marks, slice(others, [0, 0, 1], [batch, tokens, width - 1])], 2) as Tensor3D;
  const optionsOf = (from: number, to: number) => {
    const own = part(marks, from, to);
    return { crossLayer: { tokens: { keep: reshape(own, [own.size, 1]) as Tensor2D } } };
  };
  const whole = mixer.forward(params, x, optionsOf(0, tokens));
  return { mixer, params, x, optionsOf, whole, found: heldOf(whole.aux) };
}

/** What it holds: the same whether read at once, in pieces or token by token. */
function held(policy: MemoryPolicy | MemoryPolicyConfig, given?: number[][]): Held {
  const { mixer, params, x, optionsOf, whole, found } = readAtOnce(policy, given);
  let state: State | undefined;
  for (const [from, to] of [
    [0, 4],
    [4, 5],
    [5, 18],
    [18, tokens],
  ] as const) {
    const result = mixer.forward(params, part(x, from, to), { state, ...optionsOf(from, to) });
    ({ state } = result);
    const blocks = heldOf(result.aux);
    // A pass of one token has a block of its own; any other those of the chunks that it touches.
    for (let chunk = Math.floor(from / window); chunk * window < to; chunk++)
      for (const b of found.keys())
        expect(blocks[b]![chunk - Math.floor(from / window)]).toEqual(found[b]![chunk]);
  }
  near(state, whole.state);
  state = mixer.initialState(batch);
  for (let t = 0; t < tokens; t++) {
    const { crossLayer } = optionsOf(t, t + 1);
    ({ state } = mixer.step(params, at(x, t), state, crossLayer));
  }
  near(state, whole.state);
  return found;
}

/** The same by name and made directly, and again from what it says of itself. */
function heldBoth(config: MemoryPolicyConfig, policy: MemoryPolicy, given?: number[][]): Held {
  const named = memoryPolicy(config);
  expect({ name: named.name, config: named.config }).toEqual({ name: policy.name, config: policy.config });
  const { mixer } = setUp(policy);
  const { policy: described } = (mixer.config as { eidetic: { policy: MemoryPolicyConfig } }).eidetic;
  const found = held(config, given);
  for (const same of [policy, described]) expect(readAtOnce(same, given).found).toEqual(found);
  return found;
}

describe('innovation', () => {
  it.each([
    [{}, [0.5, 0.25, 0.125, 0.0625], 'l2'],
    [{ taps: [1] }, [1], 'l2'],
    [{ taps: [1, 1, 2], error: 'l1' }, [1, 1, 2], 'l1'],
    [{ error: 'relL2' }, [0.5, 0.25, 0.125, 0.0625], 'relL2'],
  ] as const)('keeps what the outputs before predict worst: %o', (options, taps, error) => {
    tidy(() => {
      const found = heldBoth({ type: 'innovation', ...options }, innovation(options));
      const { y } = (setUp(innovation(options)).params as { fading: { y: Tensor3D } }).fading;
      const scores = Array.from({ length: batch }, (_, b) =>
        Array.from(bmojoInnovation(nd([tokens, width], row(y, b).dataSync()), taps, error)),
      );
      expect(found).toEqual(best(scores));
    });
  });
});

describe('recency', () => {
  it('keeps the newest', () => {
    tidy(() => {
      expect(heldBoth({ type: 'recency' }, recency())).toEqual(best(numbers((t) => t)));
    });
  });
});

describe('random', () => {
  const ranks = (policy: MemoryPolicy, count: number): number[] => {
    const mixer = bmojo({ width, heads: 1, window: 64, eidetic: { slots: 1, policy } });
    const { aux } = mixer.forward(mixer.init(Rng.of(1)), zeros([1, count, width]) as Tensor3D);
    return Array.from(reportOf(aux).ranks.dataSync());
  };

  it('keeps the same in every sequence, however it is read, and something else with another seed', () => {
    tidy(() => {
      const [first, ...others] = heldBoth({ type: 'random', seed: 3 }, random({ seed: 3 }));
      for (const other of others) expect(other).toEqual(first);
      expect(held(random({ seed: 4 }))[0]).not.toEqual(first);
      expect(held({ type: 'random' })).toEqual(held({ type: 'random', seed: 0 }));
    });
  });

  it('ranks positions evenly, near and far ones apart from each other', () => {
    tidy(() => {
      const drawnRanks = ranks(random({ seed: 1 }), 8192);
      const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
      expect(Math.min(...drawnRanks)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...drawnRanks)).toBeLessThan(1);
      expect(mean(drawnRanks)).toBeCloseTo(1 / 2, 1);
      const tenths = Array.from(
        { length: 10 },
        (_, i) => drawnRanks.filter((rank) => Math.floor(10 * rank) === i).length,
      );
      for (const count of tenths) expect(Math.abs(count - 819.2)).toBeLessThan(120);
      // The tables of 1,024 begin anew; the ranks do not.
      for (const lag of [1, 2, 1023, 1024, 1025]) {
        const pairs = drawnRanks.slice(lag).map((rank, i) => (rank - 1 / 2) * (drawnRanks[i]! - 1 / 2) * 12);
        expect(Math.abs(mean(pairs)), `lag ${lag}`).toBeLessThan(0.4);
        expect(drawnRanks.slice(lag)).not.toEqual(drawnRanks.slice(0, -lag));
      }
      // The best 64 of 4,096 come from all quarters.
      const top = Array.from(drawnRanks.slice(0, 4096).keys())
        .sort((a, b) => drawnRanks[b]! - drawnRanks[a]!)
        .slice(0, 64);
      for (const quarter of [0, 1, 2, 3]) {
        const count = top.filter((t) => Math.floor(t / 1024) === quarter).length;
        expect(count).toBeGreaterThan(5);
        expect(count).toBeLessThan(30);
      }
    });
  });
});

describe('oracle', () => {
  const drawnMarks = Rng.of(6).integers(batch * tokens, -1, 4);
  const marks = numbers((t, b) => drawnMarks[b * tokens + t]!);
  const scores = marks.map((own) => own.map((mark) => (mark > 0 ? mark : -Infinity)));

  it('keeps what is marked, the dearest first, and nothing else', () => {
    tidy(() => {
      expect(heldBoth({ type: 'oracle' }, oracle(), marks)).toEqual(best(scores));
    });
  });

  it('reads the marks of another name', () => {
    tidy(() => {
      const { mixer, params, x } = setUp({ type: 'oracle', mark: 'answer' });
      const answer = tensor2d(marks.flat(), [batch * tokens, 1]);
      const { aux } = mixer.forward(params, x, { crossLayer: { tokens: { answer } } });
      expect(heldOf(aux)).toEqual(best(scores));
    });
  });
});

describe('self-recall', () => {
  interface Inputs {
    readonly q: Tensor3D;
    readonly k: Tensor3D;
    readonly v: Tensor3D;
  }
  interface Memory {
    readonly memory: Tensor4D;
    readonly [name: string]: Tensor;
  }
  /** S ← S + k vᵀ, where the input is [k | v]. */
  const associations: MemoryCell<Record<string, never>, Memory, Inputs> = {
    name: 'associations',
    rule: 'linear',
    config: {},
    width: 2 * width,
    perMemory: [],
    init: () => ({}),
    stateShape: (sequences) => ({ memory: [sequences, 1, width, width] }),
    project: (_, { rows }) => {
      const half = (i: number): Tensor3D =>
        reshape(slice(rows, [0, i * width], [rows.shape[0], width]), [rows.shape[0], 1, width]) as Tensor3D;
      return { q: half(0), k: half(0), v: half(1) };
    },
    scan: (inputs, state, sequences, algorithm) => {
      const { o, state: after } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences },
      );
      return { o: o as Tensor3D, state: { memory: after as Tensor4D } };
    },
    selfRecall: ({ k, v }) => ({ asked: { q: k }, expected: v }),
    readout: (_, o) => {
      const read = reshape(o, [o.shape[0], width]) as Tensor2D;
      return concat([read, read], 1) as Tensor2D;
    },
  };

  it('keeps the token whose value the memory confuses most with those before it', () => {
    tidy(() => {
      const unit = (i: number): number[] => Array.from({ length: width }, (_, c) => Number(c === i));
      const values = [unit(0), unit(1), unit(2), [-1, 1, 0, 0], unit(1), unit(3), unit(0)];
      // Keys of their own for all but two, which come under the keys of tokens 0 and 1: with another value, and the same.
      const keys = [0, 1, 2, 0, 1, 3, 3].map(unit);
      const x = tensor3d([keys.map((key, t) => [...key, ...values[t]!])]);
      const mixers = [selfRecall(), { type: 'self_recall' } as const].map((policy) =>
        bmojo({
          width: 2 * width,
          heads: 1,
          window: 7,
          fading: asMixer(associations) as unknown as Mixer,
          eidetic: { slots: 2, policy },
        }),
      );
      for (const mixer of mixers) {
        const params = mixer.init(Rng.of(1));
        const whole = mixer.forward(params, x);
        // 1 − cos of what is read under the key and the token's own value.
        const expected = [0, 0, 0, 1 - 1 / Math.SQRT2, 0, 0, 1 - 1 / Math.SQRT2];
        expect(reportOf(whole.aux).ranks).toBeCloseRms(expected, 1e-5);
        expect(whole.aux.selfRecall).toBeUndefined();
        const next = mixer.forward(params, part(x, 0, 1), { state: whole.state });
        expect(heldOf(next.aux)).toEqual([[[3, 6]]]);
        let state = mixer.initialState(1);
        for (let t = 0; t < 7; t++) ({ state } = mixer.step(params, at(x, t), state));
        const stepped = mixer.forward(params, part(x, 0, 1), { state });
        expect(heldOf(stepped.aux)).toEqual([[[3, 6]]]);
      }
    });
  });
});

describe('ageing', () => {
  /** What a policy of given scores ≥ 0 would hold if all were compared as s·e^{−rate·age} at the end of every chunk. */
  function compared(scores: readonly number[], rate: number): number[][] {
    const chunks: number[][] = [];
    let own: number[] = [];
    for (let first = 0; first < scores.length; first += window) {
      chunks.push(own);
      const now = first + window;
      const worth = (t: number): number => scores[t]! * Math.exp(-rate * (now - t));
      own = [...own, ...Array.from({ length: window }, (_, i) => first + i).filter((t) => t < scores.length)]
        .sort((a, b) => worth(b) - worth(a) || a - b)
        .slice(0, slots);
    }
    return chunks;
  }

  it.each([0, 0.02, 0.3, 5])('at rate %d: as comparing what scores are worth at every chunk', (rate) => {
    tidy(() => {
      const found = heldBoth({ type: 'innovation', ageing: rate }, ageing(innovation(), rate));
      const { y } = (setUp(innovation()).params as { fading: { y: Tensor3D } }).fading;
      const wanted = Array.from({ length: batch }, (_, b) =>
        compared(
          Array.from(
            bmojoInnovation(nd([tokens, width], row(y, b).dataSync()), [0.5, 0.25, 0.125, 0.0625], 'l2'),
          ),
          rate,
        ),
      );
      expect(found).toEqual(wanted);
    });
  });

  it('lets a score of 0 into an empty slot, and out before all others', () => {
    tidy(() => {
      const scores = [0, 3, 0, 2, 0, 1, 0, 4, 0, 0];
      const [found] = held(
        ageing(inInput, 0.1),
        numbers((t) => scores[t] ?? 0),
      );
      expect(found!.slice(0, 4)).toEqual([[], [1, 2, 0], [1, 3, 5, 4], [7, 1, 3, 5]]);
    });
  });

  it('leaves alone who may enter', () => {
    tidy(() => {
      const found = held(
        ageing(oracle(), 0.1),
        numbers((t) => Number(t % 5 === 0)),
      );
      expect(found.map((chunks) => chunks.at(-1))).toEqual(Array.from(found, () => [25, 20, 15, 10]));
    });
  });
});

describe('skipping the first', () => {
  it.each([0, 1, 5, 100])('%i tokens of each sequence: the best of the others', (skipFirst) => {
    tidy(() => {
      const found = heldBoth({ type: 'recency', skipFirst }, skippingFirst(recency(), skipFirst));
      expect(found).toEqual(best(numbers((t) => (t < skipFirst ? -Infinity : t))));
      const random7 = drawnScores(7);
      expect(held(skippingFirst(inInput, skipFirst), random7)).toEqual(
        best(random7.map((own) => own.map((score, t) => (t < skipFirst ? -Infinity : score)))),
      );
    });
  });

  it('goes with ageing, in one configuration', () => {
    tidy(() => {
      const config = { type: 'innovation', error: 'l1', ageing: 0.1, skipFirst: 4 } as const;
      const policy = skippingFirst(ageing(innovation({ error: 'l1' }), 0.1), 4);
      const found = heldBoth(config, policy);
      expect(found.flat(2).every((position) => position >= 4)).toBe(true);
      expect(found).not.toEqual(held({ type: 'innovation', error: 'l1', skipFirst: 4 }));
    });
  });
});

describe('a policy of one’s own', () => {
  it('keeps the last that were above a threshold: who enters and who leaves are two questions', () => {
    tidy(() => {
      const threshold = 0.5;
      const firstInFirstOut: MemoryPolicy = {
        ...inInput,
        name: 'first_in_first_out',
        admit: (scores) => greater(scores, threshold),
        evict: (_, { rowPosition }) => rowPosition,
      };
      const scores = drawnScores(9);
      const wanted = scores.map((own) => {
        const queue: number[] = [];
        return own.flatMap((score, t) => {
          const seen = t % window === 0 ? [queue.toReversed()] : [];
          if (Math.fround(score) > threshold) queue.push(t);
          if (queue.length > slots) queue.shift();
          return seen;
        });
      });
      expect(held(firstInFirstOut, scores)).toEqual(wanted);
    });
  });

  it('sees the layer’s input and where its rows lie, and outputs before them where it asks', () => {
    tidy(() => {
      const seen: { rows: number; history: number; position: number[] }[] = [];
      const nosy: MemoryPolicy = {
        name: 'nosy',
        config: {},
        outputsBefore: 2,
        score: ({ inputs, outputs, before, position, rowPosition, sequences }) => {
          expect(outputs!.shape).toEqual(inputs.shape);
          expect(sequences.count).toBe(batch);
          seen.push({
            rows: inputs.shape[0],
            history: before?.shape[1] ?? 0,
            position: Array.from(position.dataSync()),
          });
          return rowPosition;
        },
      };
      const { mixer, params, x } = setUp(nosy);
      const { state } = mixer.forward(params, part(x, 0, 5));
      mixer.forward(params, part(x, 5, 6), { state });
      expect(seen).toEqual([
        { rows: 5 * batch, history: 0, position: [0, 0, 0] },
        { rows: batch, history: 2, position: [5, 5, 5] },
      ]);
    });
  });
});

/** Uniform in [0, 1). */
function drawnScores(seed: number): number[][] {
  const values = Rng.of(seed).uniformArray(batch * tokens);
  return numbers((t, b) => values[b * tokens + t]!);
}
