// Rows whose width is a multiple of 4 move in vectors of 4.
alias Pack = vec4f;
alias Columns = vec4u;
alias Packs = mat4x4f; // four of them
const packWidth = 4u;

/** Of the row's numbers, those that the pack c holds. */
fn columnsOf(c: u32) -> Columns {
  return 4 * c + vec4u(0, 1, 2, 3);
}

fn componentOf(values: Pack, i: u32) -> f32 {
  return values[i];
}

fn dotOf(a: Pack, b: Pack) -> f32 {
  return dot(a, b);
}

fn largestOf(values: Pack) -> f32 {
  return max(max(values.x, values.y), max(values.z, values.w));
}

/** The pack c, of the vector of 4 that holds it. */
fn packAt(values: vec4f, c: u32) -> Pack {
  return values;
}
