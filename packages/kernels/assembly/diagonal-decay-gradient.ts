// The backward pass of diagonal-decay.ts: from the last segment to the first, with the states of each segment
// computed anew from the one that entered it. dS is the gradient of the state behind the token at hand.
import { sumLanes } from './vectors';
import {
  addTo, coversRows, dotRows, enterSegments, mulAdd, packDecay, packRows, packState, packTile, paddedWidth,
  ROW, sumRows, TILE, tileCount, unpackGates, unpackRows, unpackState, unpackTile, unroll,
} from './tiles';

/** Bytes of scratch memory that diagonalDecayGradient needs for sequences of at most `longest` tokens. */
export function diagonalDecayGradientScratch(dk: i32, dv: i32, segment: i32, longest: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const segments = (longest + segment - 1) / segment;
  return usize(segment) * (6 * rowBytes + 3 * ROW + tileBytes) + 2 * rowBytes + tileBytes
    + tileBytes * tileCount(dv) * (segments + 1);
}

/** Writes the gradients dQ … dInitialState in the shapes of the inputs; dState is that of the final state, 0 for none. */
export function diagonalDecayGradient(
  q: usize, k: usize, v: usize, logDecay: usize, bonus: usize, initialState: usize, starts: usize,
  lengths: usize,
  dO: usize, dState: usize,
  dQ: usize, dK: usize, dV: usize, dLogDecay: usize, dBonus: usize, dInitialState: usize, scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, gates: i32, segment: i32, scale: f32,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const allTiles = tileBytes * tileCount(dv);
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const gateStride = usize(heads * gates) << 2;
  const segmentRows = usize(segment) * rowBytes, stateBytes = usize(dk * dv) << 2;
  const queries = scratch, keys = queries + segmentRows, decays = keys + segmentRows;
  const dQueries = decays + segmentRows, dKeys = dQueries + segmentRows, dDecays = dKeys + segmentRows;
  const values = dDecays + segmentRows, dOutputs = values + usize(segment) * ROW;
  const dValues = dOutputs + usize(segment) * ROW;
  const bonuses = dValues + usize(segment) * ROW, dBonuses = bonuses + rowBytes;
  const partial = dBonuses + rowBytes;
  const states = partial + tileBytes, dTiles = states + usize(segment) * tileBytes;
  const entering = dTiles + allTiles;

  if (!coversRows(lengths, count, rows)) {
    memory.fill(dQ, 0, usize(rows) * keyStride);
    memory.fill(dK, 0, usize(rows) * keyStride);
    memory.fill(dV, 0, usize(rows) * valueStride);
    memory.fill(dLogDecay, 0, usize(rows) * gateStride);
  }
  if (bonus) memory.fill(dBonus, 0, keyStride);
  for (let s = 0; s < count; s++) {
    const start = usize(load<i32>(starts + (s << 2))), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      const key0 = start * keyStride + usize(h * dk << 2), value0 = start * valueStride + usize(h * dv << 2);
      const gate0 = start * gateStride + usize(h * gates << 2);
      enterSegments(
        initialState ? initialState + at : 0, entering, length, segment, dk, dv, gates,
        k + key0, keyStride, v + value0, valueStride, logDecay + gate0, gateStride, keys, decays, values,
      );

      packState(dState ? dState + at : 0, dTiles, dk, dv);
      if (bonus) {
        packRows(bonus + usize(h * dk << 2), 0, bonuses, 1, dk, 1);
        memory.fill(dBonuses, 0, rowBytes);
      }
      for (let n = (length + segment - 1) / segment - 1; n >= 0; n--) {
        const first = usize(n * segment), tokens = min(segment, length - n * segment);
        const key = key0 + first * keyStride, value = value0 + first * valueStride;
        const gate = gate0 + first * gateStride;
        packRows(q + key, keyStride, queries, tokens, dk, 1);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        packDecay(logDecay + gate, gateStride, decays, tokens, dk, gates);
        memory.fill(dQueries, 0, segmentRows * 3);
        for (let column = 0, tile: usize = 0; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(v + here, valueStride, values, tokens, left, 1);
          packTile(dO + here, valueStride, dOutputs, tokens, left, scale);
          unroll(entering + usize(n) * allTiles + tile, states, tokens, rowBytes, decays, keys, values);
          if (bonus) {
            throughReadsBefore(
              tokens, rowBytes, queries, keys, decays, bonuses, values, dOutputs, states, dTiles + tile,
              dQueries, dKeys, dDecays, dBonuses, dValues, partial,
            );
          } else {
            throughReadsAfter(
              tokens, rowBytes, queries, keys, decays, values, dOutputs, states, dTiles + tile,
              dQueries, dKeys, dDecays, dValues, partial,
            );
          }
          unpackTile(dValues, dV + here, valueStride, tokens, left);
        }
        unpackRows(dQueries, dQ + key, keyStride, tokens, dk);
        unpackRows(dKeys, dK + key, keyStride, tokens, dk);
        unpackGates(dDecays, dLogDecay + gate, gateStride, tokens, dk, gates);
      }
      if (initialState) unpackState(dTiles, dInitialState + at, dk, dv);
      if (bonus) {
        const head = dBonus + usize(h * dk << 2);
        for (let c = 0; c < dk << 2; c += 4) {
          store<f32>(head + c, load<f32>(head + c) + load<f32>(dBonuses + c));
        }
      }
    }
  }
}

/**
 * dS += q doᵀ ; dq = S_t do, dk = dS v, dv = dSᵀk, dg = rowsum(dS ⊙ D S_{t−1}) ; dS ← D dS.
 * With S_t = D S_{t−1} + k vᵀ, all products are with S_{t−1}, which `states` holds.
 */
function throughReadsAfter(
  tokens: i32, rowBytes: usize, q: usize, k: usize, d: usize, v: usize, dO: usize, states: usize,
  dState: usize,
  dQ: usize, dK: usize, dG: usize, dV: usize, partial: usize,
): void {
  for (let t = tokens - 1; t >= 0; t--) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW, before = states + (row << 4);
    const o0 = v128.load(dO + column), o1 = v128.load(dO + column, 16);
    const o2 = v128.load(dO + column, 32), o3 = v128.load(dO + column, 48);
    const v0 = v128.load(v + column), v1 = v128.load(v + column, 16);
    const v2 = v128.load(v + column, 32), v3 = v128.load(v + column, 48);
    let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = before + (i << 4), g = dState + (i << 4), sums = partial + (i << 4);
      const qi = v128.load32_splat(q + row + i), ki = v128.load32_splat(k + row + i);
      const di = v128.load32_splat(d + row + i);
      const g0 = mulAdd(v128.load(g), qi, o0), g1 = mulAdd(v128.load(g, 16), qi, o1);
      const g2 = mulAdd(v128.load(g, 32), qi, o2), g3 = mulAdd(v128.load(g, 48), qi, o3);
      v128.store(g, f32x4.mul(di, g0));
      v128.store(g, f32x4.mul(di, g1), 16);
      v128.store(g, f32x4.mul(di, g2), 32);
      v128.store(g, f32x4.mul(di, g3), 48);
      y0 = mulAdd(y0, ki, g0);
      y1 = mulAdd(y1, ki, g1);
      y2 = mulAdd(y2, ki, g2);
      y3 = mulAdd(y3, ki, g3);
      v128.store(sums, dotRows(g0, g1, g2, g3, v0, v1, v2, v3));
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      v128.store(sums, dotRows(s0, s1, s2, s3, o0, o1, o2, o3), 16);
      v128.store(sums, dotRows(s0, s1, s2, s3, g0, g1, g2, g3), 32);
    }
    v128.store(dV + column, y0);
    v128.store(dV + column, y1, 16);
    v128.store(dV + column, y2, 32);
    v128.store(dV + column, y3, 48);
    const direct = f32x4.splat(sumLanes(dotRows(v0, v1, v2, v3, o0, o1, o2, o3)));
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const at = row + i, sums = partial + (i << 4), decay = v128.load(d + at);
      addTo(dK + at, sumRows(sums));
      addTo(dQ + at, mulAdd(f32x4.mul(decay, sumRows(sums + 16)), v128.load(k + at), direct));
      addTo(dG + at, f32x4.mul(decay, sumRows(sums + 32)));
    }
  }
}

/** The same for o = S_{t−1}ᵀq + (q·(u⊙k)) v, whose query sees S_{t−1}. */
function throughReadsBefore(
  tokens: i32, rowBytes: usize, q: usize, k: usize, d: usize, u: usize, v: usize, dO: usize, states: usize,
  dState: usize,
  dQ: usize, dK: usize, dG: usize, dU: usize, dV: usize, partial: usize,
): void {
  for (let t = tokens - 1; t >= 0; t--) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW, before = states + (row << 4);
    const o0 = v128.load(dO + column), o1 = v128.load(dO + column, 16);
    const o2 = v128.load(dO + column, 32), o3 = v128.load(dO + column, 48);
    const v0 = v128.load(v + column), v1 = v128.load(v + column, 16);
    const v2 = v128.load(v + column, 32), v3 = v128.load(v + column, 48);
    let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = before + (i << 4), g = dState + (i << 4), sums = partial + (i << 4);
      const qi = v128.load32_splat(q + row + i), ki = v128.load32_splat(k + row + i);
      const di = v128.load32_splat(d + row + i);
      const g0 = v128.load(g), g1 = v128.load(g, 16), g2 = v128.load(g, 32), g3 = v128.load(g, 48);
      v128.store(g, mulAdd(f32x4.mul(di, g0), qi, o0));
      v128.store(g, mulAdd(f32x4.mul(di, g1), qi, o1), 16);
      v128.store(g, mulAdd(f32x4.mul(di, g2), qi, o2), 32);
      v128.store(g, mulAdd(f32x4.mul(di, g3), qi, o3), 48);
      y0 = mulAdd(y0, ki, g0);
      y1 = mulAdd(y1, ki, g1);
      y2 = mulAdd(y2, ki, g2);
      y3 = mulAdd(y3, ki, g3);
      v128.store(sums, dotRows(g0, g1, g2, g3, v0, v1, v2, v3));
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      v128.store(sums, dotRows(s0, s1, s2, s3, o0, o1, o2, o3), 16);
      v128.store(sums, dotRows(s0, s1, s2, s3, g0, g1, g2, g3), 32);
    }
    // do·v is the gradient of the weight q·(u⊙k).
    const dWeight = f32x4.splat(sumLanes(dotRows(v0, v1, v2, v3, o0, o1, o2, o3)));
    let weights = f32x4.splat(0);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const at = row + i, sums = partial + (i << 4);
      const query = v128.load(q + at), key = v128.load(k + at), bonus = f32x4.mul(dWeight, v128.load(u + i));
      weights = mulAdd(weights, f32x4.mul(query, key), v128.load(u + i));
      addTo(dK + at, mulAdd(sumRows(sums), bonus, query));
      addTo(dQ + at, mulAdd(sumRows(sums + 16), bonus, key));
      addTo(dG + at, f32x4.mul(v128.load(d + at), sumRows(sums + 32)));
      addTo(dU + i, f32x4.mul(dWeight, f32x4.mul(query, key)));
    }
    const weight = f32x4.splat(sumLanes(weights));
    v128.store(dV + column, mulAdd(y0, weight, o0));
    v128.store(dV + column, mulAdd(y1, weight, o1), 16);
    v128.store(dV + column, mulAdd(y2, weight, o2), 32);
    v128.store(dV + column, mulAdd(y3, weight, o3), 48);
  }
}
