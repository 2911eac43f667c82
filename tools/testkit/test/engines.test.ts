import { describe, expect, it } from 'vitest';
import {
  centralDifferences,
  deltaRule,
  deltaRuleBackward,
  diagonalDecay,
  diagonalDecayBackward,
  dot,
  dplr,
  dplrBackward,
  engineFixtureNames,
  nd,
  readEngineFixture,
  reshape,
  seededRandom,
  type DeltaRuleInputs,
  type DiagonalDecayInputs,
  type DplrInputs,
  type EngineResult,
  type NdArray,
} from '../src/index.ts';

type Arrays = Record<string, NdArray>;
type Backward = (
  inputs: never,
  dOutput: NdArray,
  dFinalState?: NdArray,
) => Record<string, NdArray | undefined>;

/** The file's short names for what the engines call by their full names. */
const fullNames: Record<string, string> = { g: 'logDecay', u: 'bonus', S0: 'initialState' };
const renamed = (arrays: Arrays): Arrays =>
  Object.fromEntries(Object.entries(arrays).map(([name, a]) => [fullNames[name] ?? name, a]));

function engineOf(name: string): { forward: (inputs: never) => EngineResult; backward: Backward } {
  if (name === 'dplr') return { forward: dplr, backward: dplrBackward };
  if (['plain', 'scalar', 'vector', 'rwkv6'].includes(name)) {
    return { forward: diagonalDecay, backward: diagonalDecayBackward };
  }
  const erase = name === 'comba' ? 'undecayed' : 'decayed';
  return {
    forward: (inputs: DeltaRuleInputs) => deltaRule({ ...inputs, erase }),
    backward: (inputs: DeltaRuleInputs, dOutput, dFinalState) =>
      deltaRuleBackward({ ...inputs, erase }, dOutput, dFinalState),
  };
}

describe.each(engineFixtureNames)('the %s engine', (name) => {
  const fixture = readEngineFixture(name);
  const inputs = renamed(fixture.inputs) as never;
  const { forward, backward } = engineOf(name);

  it('gives the golden outputs and final state', () => {
    const { output, finalState } = forward(inputs);
    expect(output).toBeCloseRms(fixture.output, 1e-9, 0);
    expect(finalState).toBeCloseRms(fixture.finalState, 1e-9, 0);
  });

  it('gives every golden gradient, the initial state included', () => {
    const gradients = backward(inputs, fixture.dOutput, fixture.dFinalState);
    for (const [key, expected] of Object.entries(renamed(fixture.gradients))) {
      expect(gradients[key], key).toBeCloseRms(expected, 1e-9, 0);
    }
    expect(Object.keys(gradients).filter((key) => gradients[key])).toHaveLength(Object.keys(inputs).length);
  });
});

describe('the gradients agree with central differences', () => {
  const random = seededRandom(7);
  const [tokens, dk, dv] = [6, 3, 2];
  const vectors = (names: string, width: number): Arrays =>
    Object.fromEntries([...names].map((name) => [name, random.normals([tokens, width], 0.7)]));
  const dOutput = random.normals([tokens, dv]);
  const dFinalState = random.normals([dk, dv]);
  const initialState = random.normals([dk, dv]);
  const decays = {
    no: undefined,
    scalar: random.uniforms([tokens], -2, 0),
    vector: random.uniforms([tokens, dk], -2, 0),
  };

  const check = (forward: (inputs: never) => EngineResult, backward: Backward, inputs: Arrays): void => {
    const loss = (current: Arrays): number => {
      const { output, finalState } = forward(current as never);
      return dot(output, dOutput) + dot(finalState, dFinalState);
    };
    const expected = centralDifferences(loss, inputs);
    const gradients = backward(inputs as never, dOutput, dFinalState);
    for (const name of Object.keys(inputs))
      expect(gradients[name], name).toBeCloseRms(expected[name]!, 1e-8, 0);
  };

  describe.each(Object.entries(decays))('with %s decay', (_, logDecay) => {
    const gate: Arrays = logDecay ? { logDecay } : {};

    it('for diagonal decay', () => {
      const inputs = { ...vectors('qk', dk), ...vectors('v', dv), ...gate, initialState };
      check(diagonalDecay, diagonalDecayBackward, inputs);
    });

    it('for diagonal decay that reads before the update', () => {
      const inputs = {
        ...vectors('qk', dk),
        ...vectors('v', dv),
        ...gate,
        bonus: random.normals([dk]),
        initialState,
      };
      check(diagonalDecay, diagonalDecayBackward, inputs);
    });

    it.each(['decayed', 'undecayed'] as const)(
      'for the delta rule that erases from the %s state',
      (erase) => {
        const inputs = { ...vectors('qke', dk), ...vectors('y', dv), ...gate, initialState };
        check(
          (current: DeltaRuleInputs) => deltaRule({ ...current, erase }),
          (current: DeltaRuleInputs, dO, dS) => deltaRuleBackward({ ...current, erase }, dO, dS),
          inputs,
        );
      },
    );

    it('for diagonal plus low rank', () => {
      const inputs = { ...vectors('qkab', dk), ...vectors('v', dv), ...gate, initialState };
      check(dplr, dplrBackward, inputs);
    });
  });
});

describe('engines', () => {
  const random = seededRandom(11);
  const inputs = {
    q: random.normals([9, 4]),
    k: random.normals([9, 4], 0.5),
    v: random.normals([9, 3]),
    logDecay: random.uniforms([9], -1, 0),
  } satisfies DiagonalDecayInputs;

  it('treat a scalar gate as a vector gate with equal entries', () => {
    const perChannel = nd(
      [9, 4],
      Array.from({ length: 36 }, (_, i) => inputs.logDecay.data[Math.floor(i / 4)]!),
    );
    const { output } = diagonalDecay({ ...inputs, logDecay: perChannel });
    expect(diagonalDecay(inputs).output).toBeCloseRms(output, 1e-15, 0);
  });

  it('agree where one contains another: the delta rule as diagonal plus low rank', () => {
    const e = random.normals([9, 4], 0.5);
    const delta = deltaRule({ q: inputs.q, k: inputs.k, y: inputs.v, e, logDecay: inputs.logDecay });
    const a = nd(
      [9, 4],
      e.data.map((value, i) => -value * Math.exp(inputs.logDecay.data[Math.floor(i / 4)]!)),
    );
    const lowRank: DplrInputs = { ...inputs, a, b: inputs.k };
    expect(dplr(lowRank).finalState).toBeCloseRms(delta.finalState, 1e-13, 0);
    expect(dplr(lowRank).output).toBeCloseRms(delta.output, 1e-13, 0);
  });

  it('leave the inputs as they were', () => {
    const initialState = random.normals([4, 3]);
    const before = initialState.data.slice();
    diagonalDecay({ ...inputs, initialState });
    expect(initialState.data).toEqual(before);
  });

  it('name the input whose shape does not fit', () => {
    expect(() => diagonalDecay({ ...inputs, logDecay: reshape(inputs.logDecay, [9, 1]) })).toThrow(
      'logDecay has shape [9,1], expected [9] or [9,4]',
    );
  });
});
