// Rows of any width move number by number.
alias Pack = f32;
alias Columns = u32;
alias Packs = vec4f; // four of them
const packWidth = 1u;

fn columnsOf(c: u32) -> Columns {
  return c;
}

fn componentOf(values: Pack, i: u32) -> f32 {
  return values;
}

fn dotOf(a: Pack, b: Pack) -> f32 {
  return a * b;
}

fn largestOf(values: Pack) -> f32 {
  return values;
}

/** Of a vector of 4 packs, the one for pack c. */
fn packAt(values: vec4f, c: u32) -> Pack {
  return values[c % 4];
}
