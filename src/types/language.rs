//! The languages that the house speaks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Of prompts, reasons and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Ru,
    En,
}
