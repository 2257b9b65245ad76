//! Addresses that INTERFACES names and this version does not serve yet: a clear 501 for whoever is signed in.

use crate::web::auth::Signed;
use crate::web::error::ApiError;

pub async fn not_available(_: Signed) -> ApiError {
    ApiError::not_available()
}
