// The gradients of the rows of x and, behind them, of as many of z. There is no weight.
@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> z: array<Pack>;
@group(0) @binding(2) var<storage, read> dy: array<Pack>;
@group(0) @binding(3) var<storage, read> dyOfZ: array<Pack>;
@group(0) @binding(4) var<storage, read_write> dx: array<Pack>;
@group(0) @binding(5) var<storage, read_write> dz: array<Pack>;
@group(0) @binding(6) var<uniform> sizes: Uniforms;

fn valueAt(at: u32) -> Pack {
  let half = sizes.rows / 2 * packs;
  if (at < half) {
    return x[at];
  }
  return z[at - half];
}

fn slopeAt(at: u32) -> Pack {
  let half = sizes.rows / 2 * packs;
  if (at < half) {
    return dy[at];
  }
  return dyOfZ[at - half];
}

fn scaleAt(c: u32) -> Pack {
  return Pack(1);
}

fn put(at: u32, value: Pack) {
  let half = sizes.rows / 2 * packs;
  if (at < half) {
    dx[at] = value;
  } else {
    dz[at - half] = value;
  }
}

fn leaveDWeight(at: u32, value: Pack) {}
