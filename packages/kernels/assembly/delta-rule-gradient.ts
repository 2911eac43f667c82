// The backward pass of delta-rule.ts. Given the corrected values v̂, the states are those of a plain scan
// that writes v̂: so the states of each segment are computed anew from the one that entered it, without
// correcting again.
import { packBeta } from './delta-rule';
import {
  addTo, coversRows, dotRows, enterSegments, mulAdd, packDecay, packRows, packState, packTile, paddedWidth,
  ROW, sumRows, TILE, tileCount, unpackGates, unpackRows, unpackState, unpackTile, unroll,
} from './tiles';
import { sumLanes } from './vectors';

/** Bytes of scratch memory that deltaRuleGradient needs for sequences of at most `longest` tokens. */
export function deltaRuleGradientScratch(dk: i32, dv: i32, segment: i32, longest: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const segments = (longest + segment - 1) / segment;
  return usize(segment) * (8 * rowBytes + 3 * ROW + tileBytes + 8) + tileBytes
    + tileBytes * tileCount(dv) * (segments + 1);
}

/** Writes the gradients dQ … dInitialState in the shapes of the inputs; dState is that of the final state, 0 for none. */
export function deltaRuleGradient(
  q: usize, k: usize, v: usize, beta: usize, erase: usize, logDecay: usize, initialState: usize,
  starts: usize, lengths: usize, corrected: usize, dO: usize, dState: usize,
  dQ: usize, dK: usize, dV: usize, dBeta: usize, dErase: usize, dLogDecay: usize, dInitialState: usize,
  scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, gates: i32, segment: i32, scale: f32,
  eraseBeforeDecay: bool,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const allTiles = tileBytes * tileCount(dv);
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const gateStride = usize(heads * gates) << 2, betaStride = usize(heads) << 2;
  const segmentRows = usize(segment) * rowBytes, segmentTile = usize(segment) * ROW;
  const stateBytes = usize(dk * dv) << 2;
  const queries = scratch, keys = queries + segmentRows, decays = keys + segmentRows;
  const erases = decays + segmentRows;
  const dQueries = erases + segmentRows, dKeys = dQueries + segmentRows, dDecays = dKeys + segmentRows;
  const dErases = dDecays + segmentRows;
  const writes = dErases + segmentRows, dOutputs = writes + segmentTile, dValues = dOutputs + segmentTile;
  const partial = dValues + segmentTile, states = partial + tileBytes;
  const dTiles = states + usize(segment) * tileBytes;
  const betas = dTiles + allTiles, dBetas = betas + (segment << 2), entering = dBetas + (segment << 2);

  if (!coversRows(lengths, count, rows)) {
    memory.fill(dQ, 0, usize(rows) * keyStride);
    memory.fill(dK, 0, usize(rows) * keyStride);
    memory.fill(dV, 0, usize(rows) * valueStride);
    memory.fill(dLogDecay, 0, usize(rows) * gateStride);
    if (beta) memory.fill(dBeta, 0, usize(rows) * betaStride);
    if (erase) memory.fill(dErase, 0, usize(rows) * keyStride);
  }
  for (let s = 0; s < count; s++) {
    const start = usize(load<i32>(starts + (s << 2))), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      const key0 = start * keyStride + usize(h * dk << 2), value0 = start * valueStride + usize(h * dv << 2);
      const gate0 = start * gateStride + usize(h * gates << 2), beta0 = start * betaStride + usize(h << 2);
      enterSegments(
        initialState ? initialState + at : 0, entering, length, segment, dk, dv, gates,
        k + key0, keyStride, corrected + value0, valueStride, logDecay + gate0, gateStride, keys, decays,
        writes,
      );

      packState(dState ? dState + at : 0, dTiles, dk, dv);
      for (let n = (length + segment - 1) / segment - 1; n >= 0; n--) {
        const first = usize(n * segment), tokens = min(segment, length - n * segment);
        const key = key0 + first * keyStride, value = value0 + first * valueStride;
        const gate = gate0 + first * gateStride, strength = beta0 + first * betaStride;
        packRows(q + key, keyStride, queries, tokens, dk, 1);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        packRows((erase ? erase : k) + key, keyStride, erases, tokens, dk, 1);
        packDecay(logDecay + gate, gateStride, decays, tokens, dk, gates);
        packBeta(beta ? beta + strength : 0, betaStride, betas, tokens);
        memory.fill(dQueries, 0, segmentRows * 4);
        memory.fill(dBetas, 0, segment << 2);
        for (let column = 0, tile: usize = 0; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(corrected + here, valueStride, writes, tokens, left, 1);
          packTile(dO + here, valueStride, dOutputs, tokens, left, scale);
          unroll(entering + usize(n) * allTiles + tile, states, tokens, rowBytes, decays, keys, writes);
          if (eraseBeforeDecay) {
            throughCorrection(
              true, tokens, rowBytes, queries, keys, erases, decays, betas, writes, dOutputs, states,
              dTiles + tile,
              dQueries, dKeys, dErases, dDecays, dValues, partial,
            );
          } else {
            throughCorrection(
              false, tokens, rowBytes, queries, keys, erases, decays, betas, writes, dOutputs, states,
              dTiles + tile,
              dQueries, dKeys, dErases, dDecays, dValues, partial,
            );
          }
          // y = βv: `writes` has served, and takes v.
          if (beta) {
            packTile(v + here, valueStride, writes, tokens, left, 1);
            throughStrength(tokens, betas, writes, dValues, dBetas);
          }
          unpackTile(dValues, dV + here, valueStride, tokens, left);
        }
        throughEraseKeys(tokens, rowBytes, betas, erases, dErases, dBetas);
        if (erase) unpackRows(dErases, dErase + key, keyStride, tokens, dk);
        else addRows(dKeys, dErases, usize(tokens) * rowBytes);
        unpackRows(dQueries, dQ + key, keyStride, tokens, dk);
        unpackRows(dKeys, dK + key, keyStride, tokens, dk);
        unpackGates(dDecays, dLogDecay + gate, gateStride, tokens, dk, gates);
        if (beta) {
          for (let t = 0; t < tokens; t++) {
            store<f32>(dBeta + strength + usize(t) * betaStride, load<f32>(dBetas + (t << 2)));
          }
        }
      }
      if (initialState) unpackState(dTiles, dInitialState + at, dk, dv);
    }
  }
}

/**
 * dS += q doᵀ ; dq = S_t do, dk = dS v̂, dv̂ = dSᵀk ; dX = dS − βe dv̂ᵀ with X = D S_{t−1} ; d(βe) = −X dv̂,
 * dg = rowsum(dX ⊙ X) ; dS ← D dX. If the erase key sees S_{t−1} instead: dg = rowsum(dS ⊙ X), dS ← D dS − βe
 * dv̂ᵀ. All products are with S_{t−1}, which `states` holds.
 */
@inline
function throughCorrection(
  eraseBeforeDecay: bool,
  tokens: i32, rowBytes: usize, q: usize, k: usize, e: usize, d: usize, beta: usize, write: usize, dO: usize,
  states: usize, dState: usize, dQ: usize, dK: usize, dE: usize, dG: usize, dV: usize, partial: usize,
): void {
  for (let t = tokens - 1; t >= 0; t--) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW, before = states + (row << 4);
    const o0 = v128.load(dO + column), o1 = v128.load(dO + column, 16);
    const o2 = v128.load(dO + column, 32), o3 = v128.load(dO + column, 48);
    const w0 = v128.load(write + column), w1 = v128.load(write + column, 16);
    const w2 = v128.load(write + column, 32), w3 = v128.load(write + column, 48);
    let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = before + (i << 4), g = dState + (i << 4), sums = partial + (i << 4);
      const qi = v128.load32_splat(q + row + i), ki = v128.load32_splat(k + row + i);
      const g0 = mulAdd(v128.load(g), qi, o0), g1 = mulAdd(v128.load(g, 16), qi, o1);
      const g2 = mulAdd(v128.load(g, 32), qi, o2), g3 = mulAdd(v128.load(g, 48), qi, o3);
      v128.store(g, g0);
      v128.store(g, g1, 16);
      v128.store(g, g2, 32);
      v128.store(g, g3, 48);
      y0 = mulAdd(y0, ki, g0);
      y1 = mulAdd(y1, ki, g1);
      y2 = mulAdd(y2, ki, g2);
      y3 = mulAdd(y3, ki, g3);
      v128.store(sums, dotRows(g0, g1, g2, g3, w0, w1, w2, w3));
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      v128.store(sums, dotRows(s0, s1, s2, s3, o0, o1, o2, o3), 16);
      v128.store(sums, dotRows(s0, s1, s2, s3, g0, g1, g2, g3), 32);
    }
    v128.store(dV + column, y0);
    v128.store(dV + column, y1, 16);
    v128.store(dV + column, y2, 32);
    v128.store(dV + column, y3, 48);
    const strength = load<f32>(beta + (t << 2));
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = before + (i << 4), g = dState + (i << 4), sums = partial + (i << 4);
      const ei = f32x4.splat(strength * load<f32>(e + row + i)), di = v128.load32_splat(d + row + i);
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      v128.store(sums, dotRows(s0, s1, s2, s3, y0, y1, y2, y3), 48);
      if (eraseBeforeDecay) {
        v128.store(g, f32x4.sub(f32x4.mul(di, v128.load(g)), f32x4.mul(ei, y0)));
        v128.store(g, f32x4.sub(f32x4.mul(di, v128.load(g, 16)), f32x4.mul(ei, y1)), 16);
        v128.store(g, f32x4.sub(f32x4.mul(di, v128.load(g, 32)), f32x4.mul(ei, y2)), 32);
        v128.store(g, f32x4.sub(f32x4.mul(di, v128.load(g, 48)), f32x4.mul(ei, y3)), 48);
      } else {
        v128.store(g, f32x4.mul(di, f32x4.sub(v128.load(g), f32x4.mul(ei, y0))));
        v128.store(g, f32x4.mul(di, f32x4.sub(v128.load(g, 16), f32x4.mul(ei, y1))), 16);
        v128.store(g, f32x4.mul(di, f32x4.sub(v128.load(g, 32), f32x4.mul(ei, y2))), 32);
        v128.store(g, f32x4.mul(di, f32x4.sub(v128.load(g, 48), f32x4.mul(ei, y3))), 48);
      }
    }
    const direct = f32x4.splat(sumLanes(dotRows(w0, w1, w2, w3, o0, o1, o2, o3)));
    const strengths = f32x4.splat(strength);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const at = row + i, sums = partial + (i << 4), decay = v128.load(d + at);
      const seen = sumRows(sums + 48);
      const erased = eraseBeforeDecay ? seen : f32x4.mul(decay, seen);
      addTo(dK + at, sumRows(sums));
      addTo(dQ + at, mulAdd(f32x4.mul(decay, sumRows(sums + 16)), v128.load(k + at), direct));
      addTo(dE + at, f32x4.neg(erased));
      const passed = f32x4.mul(decay, sumRows(sums + 32));
      const effective = f32x4.mul(strengths, v128.load(e + at));
      addTo(dG + at, eraseBeforeDecay ? passed : f32x4.sub(passed, f32x4.mul(effective, erased)));
    }
  }
}

/** dβ += dY·v ; dY → dv = β dY. */
function throughStrength(tokens: i32, beta: usize, v: usize, dY: usize, dBeta: usize): void {
  for (let t = 0; t < tokens; t++, beta += 4, v += ROW, dY += ROW, dBeta += 4) {
    const strength = v128.load32_splat(beta);
    let sum = f32x4.splat(0);
    for (let c: usize = 0; c < ROW; c += 16) {
      const gradient = v128.load(dY + c);
      sum = mulAdd(sum, gradient, v128.load(v + c));
      v128.store(dY + c, f32x4.mul(strength, gradient));
    }
    store<f32>(dBeta, load<f32>(dBeta) + sumLanes(sum));
  }
}

/** x += y over whole vectors. */
function addRows(x: usize, y: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) addTo(x + i, v128.load(y + i));
}

/** dβ += dE·e ; d(βe) → de = β d(βe). */
function throughEraseKeys(
  tokens: i32, rowBytes: usize, beta: usize, e: usize, dE: usize, dBeta: usize,
): void {
  for (let t = 0; t < tokens; t++, beta += 4, e += rowBytes, dE += rowBytes, dBeta += 4) {
    const strength = v128.load32_splat(beta);
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const gradient = v128.load(dE + i);
      sum = mulAdd(sum, gradient, v128.load(e + i));
      v128.store(dE + i, f32x4.mul(strength, gradient));
    }
    store<f32>(dBeta, load<f32>(dBeta) + sumLanes(sum));
  }
}
