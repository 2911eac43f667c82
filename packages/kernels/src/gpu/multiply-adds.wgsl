// y = what `rounds` times v → v / 2 + 1 / 2 makes of x: next to no bytes, and as many multiply-adds as the device does. Eight
// vectors for each invocation, so that none waits for the one before.

struct Uniforms {
  rounds: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Uniforms;

const half = vec4f(0.5);

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var a = vec4f(x[0] + f32(id.x) * 1e-30);
  var b = a;
  var c = a;
  var d = a;
  var e = a;
  var f = a;
  var g = a;
  var h = a;
  // Different values, which the compiler cannot take for one another.
  b.x += 1e-30;
  c.y += 1e-30;
  d.z += 1e-30;
  e.w += 1e-30;
  f.x -= 1e-30;
  g.y -= 1e-30;
  h.z -= 1e-30;
  for (var i = 0u; i < sizes.rounds; i++) {
    a = fma(a, half, half);
    b = fma(b, half, half);
    c = fma(c, half, half);
    d = fma(d, half, half);
    e = fma(e, half, half);
    f = fma(f, half, half);
    g = fma(g, half, half);
    h = fma(h, half, half);
  }
  let all = a + b + c + d + e + f + g + h;
  y[id.x] = (all.x + all.y + all.z + all.w) / 32;
}
