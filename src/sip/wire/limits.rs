//! How much of a stranger's message we are willing to hold.

/// Head and body together.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// One line of the head, folded lines counted one by one.
pub const MAX_LINE_BYTES: usize = 8 * 1024;
/// Header lines before comma lists are split, and headers after.
pub const MAX_HEADERS: usize = 256;
/// Parameters (or URI headers) of one value. Comparing two values looks at every pair.
pub const MAX_PARAMS: usize = 64;
