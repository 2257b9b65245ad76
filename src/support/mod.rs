//! temporary
pub mod demo_phone;
pub mod test_call;
