//! Checking a password: slow on purpose, so it runs on a blocking thread, two at a time, with a bounded line, and costs
//! the same whether the login exists or not. Nothing else of the house hashes on the way of a request.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::throttle::Throttle;
use crate::clock;
use crate::site::Site;
use crate::types::AgentId;
use crate::web::error::{ApiError, words};

/// Hashes at once: each takes 19 MiB and some 20 ms of one core.
const AT_ONCE: usize = 2;
/// Attempts that hash or wait for it; more are told to come back.
const IN_LINE: usize = 64;
/// Longer passwords are refused before any work.
const PASSWORD_MAX_BYTES: usize = 1024;

/// The door: limits, line, hash.
pub struct SignIn {
    throttle: Mutex<Throttle>,
    line: Semaphore,
    hashing: Semaphore,
    /// A hash of nothing anyone types, verified when the login does not exist.
    decoy: Arc<str>,
}

impl SignIn {
    pub fn new() -> Self {
        let decoy = Argon2::default().hash_password(b"no such login").expect("Argon2's defaults are valid and salts are random");
        SignIn {
            throttle: Mutex::default(),
            line: Semaphore::new(IN_LINE),
            hashing: Semaphore::new(AT_ONCE),
            decoy: Arc::from(decoy.to_string()),
        }
    }

    /// The login as the site writes it, when the password is right.
    pub async fn check(&self, site: &Site, source: IpAddr, login: &str, password: String) -> Result<AgentId, ApiError> {
        self.allowed(source, login)?;
        let _place = self.line.try_acquire().map_err(|_| busy())?;
        let _turn = self.hashing.acquire().await.map_err(|_| busy())?;
        // Again: others may have guessed while we stood in line.
        self.allowed(source, login)?;
        let user = site.users.get(login);
        let hash: Arc<str> = match user.and_then(|user| user.password_hash.as_deref()) {
            Some(hash) => Arc::from(hash),
            None => Arc::clone(&self.decoy),
        };
        let right = verify(hash, password).await?;
        match user.filter(|user| right && user.password_hash.is_some()) {
            Some(user) => Ok(user.login.clone()),
            None => {
                self.throttle().failed(source, login, clock::now());
                Err(wrong())
            }
        }
    }

    fn allowed(&self, source: IpAddr, login: &str) -> Result<(), ApiError> {
        self.throttle().check(source, login, clock::now()).map_err(|wait| too_many(wait.as_secs() + 1))
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn verify(hash: Arc<str>, password: String) -> Result<bool, ApiError> {
    if password.len() > PASSWORD_MAX_BYTES {
        return Ok(false);
    }
    let check = move || {
        let parsed = PasswordHash::new(&hash).ok()?;
        Argon2::default().verify_password(password.as_bytes(), &parsed).ok()
    };
    tokio::task::spawn_blocking(check).await.map(|verified| verified.is_some()).map_err(|_| ApiError::internal())
}

fn wrong() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "wrong_password",
        words("Логин или пароль не подходят", "The login or the password is wrong"),
    )
}

fn busy() -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "busy",
        words(
            "Сейчас входит слишком много людей, повторите через секунду",
            "Too many people are signing in, try again in a second",
        ),
    )
    .with_retry(1)
}

fn too_many(wait_secs: u64) -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_attempts",
        words(
            format!("Слишком много неудачных попыток. Повторите через {} мин", wait_secs.div_ceil(60)),
            format!("Too many failed attempts. Try again in {} min", wait_secs.div_ceil(60)),
        ),
    )
    .with_retry(wait_secs)
}
