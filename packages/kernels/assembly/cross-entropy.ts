// Cross-entropy of rows of logits. A row counts if its target is a class and is not `ignore`.
import { log } from './logarithm';
import { expNegative } from './sigmoid';
import { loadUpTo, storeUpTo, sumLanes } from './vectors';

@inline
function counts(target: i32, classes: i32, ignore: i32): bool {
  return target >= 0 && target < classes && target != ignore;
}

function findLargest(row: usize, classes: i32): f32 {
  let best = f32x4.splat(-Infinity);
  let c = 0;
  for (; c + 4 <= classes; c += 4) best = f32x4.max(best, v128.load(row + (c << 2)));
  let result = max(
    max(f32x4.extract_lane(best, 0), f32x4.extract_lane(best, 1)),
    max(f32x4.extract_lane(best, 2), f32x4.extract_lane(best, 3)),
  );
  for (; c < classes; c++) result = max(result, load<f32>(row + (c << 2)));
  return result;
}

/** Σ_c e^{row_c − largest}. */
function sumOfPowers(row: usize, classes: i32, largest: f32): f32 {
  let sum = f32x4.splat(0);
  const shift = f32x4.splat(largest);
  let k = 0;
  for (; k + 16 <= classes; k += 16) {
    const p = row + (usize(k) << 2);
    const a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), d = v128.load(p, 48);
    const ab = f32x4.add(expNegative(f32x4.sub(a, shift)), expNegative(f32x4.sub(b, shift)));
    const cd = f32x4.add(expNegative(f32x4.sub(c, shift)), expNegative(f32x4.sub(d, shift)));
    sum = f32x4.add(sum, f32x4.add(ab, cd));
  }
  let result = sumLanes(sum);
  for (; k < classes; k++) {
    const power = expNegative(f32x4.splat(load<f32>(row + (usize(k) << 2)) - largest));
    result += f32x4.extract_lane(power, 0);
  }
  return result;
}

/** Whether the target is the first of the largest logits. */
function isFirstLargest(row: usize, target: i32, best: f32): bool {
  if (load<f32>(row + (target << 2)) != best) return false;
  for (let c = 0; c < target; c++) if (load<f32>(row + (c << 2)) == best) return false;
  return true;
}

/** One number each: loss, correct, counted. For each row that counts: largest and ln Σ_c e^{ℓ_c − largest}. */
export function crossEntropy(
  logits: usize, targets: usize, loss: usize, correct: usize, counted: usize, largest: usize, logSum: usize,
  rows: i32, classes: i32, ignore: i32,
): void {
  let total: f64 = 0;
  let hits = 0, seen = 0;
  for (let row = 0; row < rows; row++) {
    const at = logits + (usize(row) * usize(classes) << 2);
    const target = load<i32>(targets + (usize(row) << 2));
    let best: f32 = 0, sum: f64 = 0;
    if (counts(target, classes, ignore)) {
      best = findLargest(at, classes);
      sum = log(f64(sumOfPowers(at, classes, best)));
      total += sum + (f64(best) - f64(load<f32>(at + (target << 2))));
      if (isFirstLargest(at, target, best)) hits++;
      seen++;
    }
    store<f32>(largest + (usize(row) << 2), best);
    store<f32>(logSum + (usize(row) << 2), f32(sum));
  }
  store<f32>(loss, f32(total / f64(max(1, seen))));
  store<f32>(correct, f32(hits));
  store<f32>(counted, f32(seen));
}

/** dLogits = dLoss/counted·(softmax(ℓ) − onehot(target)) in rows that count, 0 in the others. */
export function crossEntropyBackward(
  logits: usize, targets: usize, largest: usize, logSum: usize, counted: usize, dLoss: usize, dLogits: usize,
  rows: i32, classes: i32, ignore: i32,
): void {
  const scale = load<f32>(dLoss) / max<f32>(1, load<f32>(counted));
  const stride = usize(classes) << 2;
  for (let row = 0; row < rows; row++, logits += stride, dLogits += stride) {
    const target = load<i32>(targets + (usize(row) << 2));
    if (!counts(target, classes, ignore)) {
      memory.fill(dLogits, 0, stride);
      continue;
    }
    const shift = f32x4.splat(load<f32>(largest + (usize(row) << 2)));
    const sum = f32x4.splat(load<f32>(logSum + (usize(row) << 2)));
    let k = 0;
    for (; k + 16 <= classes; k += 16) {
      const at = usize(k) << 2, p = logits + at;
      const a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), d = v128.load(p, 48);
      scaledPower(a, dLogits + at, 4, shift, sum, scale);
      scaledPower(b, dLogits + at + 16, 4, shift, sum, scale);
      scaledPower(c, dLogits + at + 32, 4, shift, sum, scale);
      scaledPower(d, dLogits + at + 48, 4, shift, sum, scale);
    }
    for (; k < classes; k += 4) {
      const at = usize(k) << 2;
      scaledPower(loadUpTo(logits + at, classes - k), dLogits + at, classes - k, shift, sum, scale);
    }
    const at = dLogits + (usize(target) << 2);
    store<f32>(at, load<f32>(at) - scale);
  }
}

/** y = scale·e^{ℓ − shift − sum}. */
@inline
function scaledPower(logits: v128, y: usize, left: i32, shift: v128, sum: v128, scale: f32): void {
  const power = expNegative(f32x4.sub(f32x4.sub(logits, shift), sum));
  storeUpTo(y, f32x4.mul(power, f32x4.splat(scale)), left);
}
