// Of each row of logits its largest and ln Σ_c e^{ℓ_c − largest}, in one pass. What the rows of a workgroup add to the loss,
// to the hits and to the rows that count is left to be summed in a second stage.
struct Uniforms {
  rows: u32,
  classes: i32,
  ignore: i32,
  notANumber: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<Pack>;
@group(0) @binding(1) var<storage, read> targets: array<i32>;
@group(0) @binding(2) var<storage, read_write> largest: array<f32>;
@group(0) @binding(3) var<storage, read_write> logSum: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

/** Below every logit but −∞, from which it can be subtracted. */
const lowest = -3.4028234e38f;

/**
 * What a lane knows of its columns: the largest logit, Σ e^{ℓ − largest}, and whether one of them is NaN (2) or beats the
 * target (1).
 */
alias Seen = vec3f;
var<workgroup> seen: array<Seen, lanes * slots>;
var<workgroup> totals: array<vec4f, slots>;

fn merged(a: Seen, b: Seen) -> Seen {
  let best = max(a.x, b.x);
  return Seen(best, a.y * exp(a.x - best) + b.y * exp(b.x - best), max(a.z, b.z));
}

/** The row's logits at a pack; behind the last one what changes nothing. */
fn logitsAt(start: u32, c: u32) -> Pack {
  return select(Pack(lowest), logits[start + min(c, packs - 1)], c < packs);
}

/** Whether one of the logits comes before the target in order of size, and of place among equal ones. */
fn beats(values: Pack, c: u32, label: u32, targetLogit: f32) -> bool {
  let isEarlier = columnsOf(c) < Columns(label);
  return any(select(values > Pack(targetLogit), values >= Pack(targetLogit), isEarlier));
}

/** By its bits: devices may take it that there is none, and their exponentials may lose it. */
fn isNan(values: Pack) -> bool {
  return any((bitcast<Columns>(values) & Columns(0x7fffffff)) > Columns(0x7f800000));
}

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  let at = slot * lanes + lane;
  var total = vec4f();
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let start = row * packs;
    var label = -1;
    if (row < sizes.rows) {
      label = targets[row];
    }
    let isCounted = label >= 0 && label < sizes.classes && label != sizes.ignore;
    var own = Seen(lowest, 0, 0);
    var targetLogit = 0f;
    if (isCounted) {
      targetLogit = componentOf(logits[start + u32(label) / packWidth], u32(label) % packWidth);
      for (var c = lane; c < packs; c += 4 * lanes) {
        // Four reads in flight.
        let v0 = logitsAt(start, c);
        let v1 = logitsAt(start, c + lanes);
        let v2 = logitsAt(start, c + 2 * lanes);
        let v3 = logitsAt(start, c + 3 * lanes);
        let best = max(own.x, largestOf(max(max(v0, v1), max(v2, v3))));
        let powers = (exp(v0 - best) + exp(v1 - best)) + (exp(v2 - best) + exp(v3 - best));
        let isBeaten = beats(v0, c, u32(label), targetLogit) ||
          beats(v1, c + lanes, u32(label), targetLogit) ||
          beats(v2, c + 2 * lanes, u32(label), targetLogit) ||
          beats(v3, c + 3 * lanes, u32(label), targetLogit);
        let isLost = isNan(v0) || isNan(v1) || isNan(v2) || isNan(v3);
        let sum = own.y * exp(own.x - best) + dotOf(powers, Pack(1));
        own = Seen(best, sum, max(own.z, select(f32(isBeaten), 2, isLost)));
      }
    }
    seen[at] = own;
    workgroupBarrier();
    for (var half = lanes / 2; half > 0; half /= 2) {
      if (lane < half) {
        seen[at] = merged(seen[at], seen[at + half]);
      }
      workgroupBarrier();
    }
    if (lane == 0 && row < sizes.rows) {
      let all = seen[at];
      let sum = select(log(all.y), sizes.notANumber, all.z == 2);
      largest[row] = select(0, all.x, isCounted);
      logSum[row] = select(0, sum, isCounted);
      if (isCounted) {
        total += vec4f(sum - (targetLogit - all.x), f32(all.z == 0), 1, 0);
      }
    }
    workgroupBarrier();
  }
  if (lane == 0) {
    totals[slot] = total;
  }
  workgroupBarrier();
  if (at == 0) {
    for (var s = 1u; s < slots; s++) {
      total += totals[s];
    }
    partials[group.x] = total;
  }
}
