// do[u] = weights[r, j]·dy[r] and d weights[r, j] = ⟨dy[r], o[u]⟩ for the copy u that lies at position[r, j], where choices behind
// those that have a weight have weight 1. Each bucket row is one
// copy's, or left over: the row of tokens whose copies have its number sees to that one.
struct Uniforms {
  rows: u32,
  chosen: u32,
  weighted: u32,
}

@group(0) @binding(0) var<storage, read> o: array<Pack>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> source: array<i32>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> dy: array<Pack>;
@group(0) @binding(5) var<storage, read_write> dO: array<Pack>;
@group(0) @binding(6) var<storage, read_write> dWeights: array<f32>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    for (var j = 0u; j < sizes.chosen; j++) {
      let copy = row * sizes.chosen + j;
      var product = 0f;
      if (isRow) {
        let place = position[copy];
        if (place >= 0) {
          let weight = select(1, weights[row * sizes.weighted + min(j, sizes.weighted - 1)], j < sizes.weighted);
          for (var c = lane; c < packs; c += lanes) {
            let slope = dy[row * packs + c];
            let at = u32(place) * packs + c;
            product += dotOf(slope, o[at]);
            dO[at] = weight * slope;
          }
        }
        if (source[copy] < 0) {
          for (var c = lane; c < packs; c += lanes) {
            dO[copy * packs + c] = Pack();
          }
        }
      }
      let sum = rowSums(vec2f(product, 0), slot, lane).x;
      if (isRow && lane == 0 && j < sizes.weighted) {
        dWeights[row * sizes.weighted + j] = sum;
      }
    }
  }
}
