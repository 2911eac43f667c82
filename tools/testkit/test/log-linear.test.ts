import { describe, expect, it } from 'vitest';
import {
  deltaRule,
  diagonalDecay,
  logLinear,
  logLinearRecurrence,
  map,
  nd,
  rows,
  seededRandom,
  type LogLinearInputs,
} from '../src/index.ts';

const [dk, dv] = [4, 3];

function draw(tokens: number, levels: number, delta: boolean): LogLinearInputs {
  const random = seededRandom(tokens * 31 + levels);
  return {
    q: random.normals([tokens, dk]),
    k: random.normals([tokens, dk], 0.5),
    v: random.normals([tokens, dv]),
    logDecay: random.uniforms([tokens], -0.3, 0),
    levelScales: random.uniforms([tokens, levels], 0.1, 2),
    beta: delta ? random.uniforms([tokens], 0, 1) : undefined,
  };
}

/** Tokens from … to−1 of a problem. */
const part = (inputs: LogLinearInputs, from: number, to: number): LogLinearInputs => ({
  q: rows(inputs.q, from, to),
  k: rows(inputs.k, from, to),
  v: rows(inputs.v, from, to),
  logDecay: rows(inputs.logDecay, from, to),
  levelScales: rows(inputs.levelScales, from, to),
  beta: inputs.beta && rows(inputs.beta, from, to),
});

describe.each([false, true])('log-linear attention, delta rule %s', (delta) => {
  it.each([1, 2, 3, 5, 9])('is its decode rule, with %s levels', (levels) => {
    const random = seededRandom(levels);
    const inputs = draw(37, levels, delta);
    for (const position of [0, 1, 5, 8, 63, 64, 100]) {
      const carried = { ...inputs, memory: random.normals([levels, dk, dv]), position };
      const [defined, decoded] = [logLinear(carried), logLinearRecurrence(carried)];
      expect(decoded.output).toBeCloseRms(defined.output, 1e-12, 0);
      expect(decoded.memory).toBeCloseRms(defined.memory, 1e-12, 0);
    }
  });

  it('continues from a carried memory as if it had not been interrupted', () => {
    const inputs = draw(21, 4, delta);
    const whole = logLinear(inputs);
    for (let cut = 0; cut <= 21; cut++) {
      const first = logLinear(part(inputs, 0, cut));
      const { memory, position } = first;
      const second = logLinear({ ...part(inputs, cut, 21), memory, position });
      expect([...first.output.data, ...second.output.data]).toBeCloseRms([...whole.output.data], 1e-12, 0);
      expect(second.memory).toBeCloseRms(whole.memory, 1e-12, 0);
    }
  });

  it('is the plain memory where all levels have the same scale, and holds it as the sum of its levels', () => {
    const inputs = draw(29, 6, delta);
    const { q, k, v, logDecay, beta, levelScales } = inputs;
    const strong = (x: typeof k) =>
      map(x, (value, i) => value * (beta?.data[Math.floor(i / x.shape[1]!)] ?? 1));
    const plain = beta
      ? deltaRule({ q, k, y: strong(v), e: strong(k), logDecay })
      : diagonalDecay({ q, k, v, logDecay });
    const found = logLinear({ ...inputs, levelScales: map(levelScales, () => 1) });
    expect(found.output).toBeCloseRms(plain.output, 1e-12, 0);
    const sum = nd([dk, dv]);
    found.memory.data.forEach((value, i) => (sum.data[i % (dk * dv)]! += value));
    expect(sum).toBeCloseRms(plain.finalState, 1e-12, 0);
  });
});
