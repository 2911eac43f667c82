// Gradient of one gate a token and head, of `flowOf` an element of a row (token-gates.wgsl). Each subgroup of 32 has a row at a time.
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let subgroup = local / 32;
  let quads = sizes.keyWidth / 4;
  let quad = min(local % 32, quads - 1);
  var products: array<f32, 8>;
  for (var n = 0u; n < 8; n++) {
    let token = min(8 * subgroup + n, chunk.tokens - 1);
    let row = (chunk.start + token) * sizes.heads + head;
    products[n] = dot(flowOf(row, row * quads + quad), vec4f(1));
  }
  for (var n = 0u; n < 8; n++) {
    let sum = subgroupAdd(select(0f, products[n], local % 32 < quads));
    if (local % 32 == 0) {
      rowSums[8 * subgroup + n] = sum;
    }
  }
  leaveGates(chunk, group.z, head, local);
}
