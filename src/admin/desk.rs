//! Does what an administrator asks, on the store. With a running engine the change takes effect at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use serde_json::Value;
use thiserror::Error;

use super::{Answer, NewUser, Request, describe};
use crate::clock;
use crate::engine;
use crate::site::items::{Items, UserItem};
use crate::site::{self, Change, ChangeKind, Passwords, Plan};
use crate::store::{SessionKind, Store, StoreError};
use crate::types::AgentId;

/// Why a request failed.
#[derive(Debug, Error)]
pub enum DeskError {
    /// The request itself is wrong; the text says what to change.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The administrator's desk of one server.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    engine: Option<engine::Handle>,
}

impl Desk {
    pub fn new(store: Store, engine: Option<engine::Handle>) -> Self {
        Desk { store, engine }
    }

    /// Never fails: what went wrong is part of the answer.
    pub async fn answer(&self, request: Request) -> Answer {
        let outcome = match request {
            Request::Apply { file, text, environment, prune, dry_run } => {
                self.apply(&file, &text, &environment, prune, dry_run).await
            }
            Request::Export => self.export().await,
            Request::AddUser { user, password } => self.add_user(user, password).await,
            Request::ChangePassword { login, password } => self.change_password(login, password).await,
            Request::MakeToken { login } => self.make_token(&login).await,
        };
        match outcome {
            Ok(text) => Answer::Done(text),
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// Applies a site file's text; answers with one line a change.
    pub async fn apply(
        &self,
        file: &str,
        text: &str,
        environment: &[(String, String)],
        prune: bool,
        dry_run: bool,
    ) -> Result<String, DeskError> {
        let env = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let parsed = site::parse(text, &env).map_err(|found| DeskError::Refused(describe(file, &found)))?;
        let stored = self.store.set_up().await?;
        let (plan, stored) = off_thread(move || (site::plan(&stored, parsed, prune, &Argon), stored)).await?;
        let plan = plan.map_err(|found| DeskError::Refused(describe(file, &found)))?;
        if !dry_run {
            self.save(&stored, &plan).await?;
        }
        Ok(report(&plan.changes, dry_run))
    }

    async fn export(&self) -> Result<String, DeskError> {
        let items = self.store.set_up().await?;
        site::apply::export(&items).map_err(|error| DeskError::Refused(format!("the set-up cannot be written: {error}")))
    }

    async fn add_user(&self, user: NewUser, password: String) -> Result<String, DeskError> {
        let stored = self.store.set_up().await?;
        if stored.users.iter().any(|known| known.login == user.login) {
            return Err(DeskError::Refused(format!("{}: this login exists; use `perezvon user passwd`", user.login)));
        }
        let role = serde_json::from_value(Value::String(user.role.clone()))
            .map_err(|_| DeskError::Refused(format!("role \"{}\": write agent, supervisor, support or admin", user.role)))?;
        let item = UserItem {
            login: user.login.clone(),
            name: user.name,
            password: Some(password),
            password_hash: None,
            role,
            team: user.team,
            extension: user.extension,
            sip_password: None,
            sip_ha1: None,
            skills: std::collections::BTreeMap::new(),
            record: true,
            beep_seconds: 0,
            codecs: Vec::new(),
            srtp: site::Srtp::Off,
        };
        self.put_user(stored, item).await?;
        Ok(format!("{} added\n", user.login))
    }

    async fn change_password(&self, login: String, password: String) -> Result<String, DeskError> {
        let stored = self.store.set_up().await?;
        let mut item = known_user(&stored, &login)?.clone();
        item.password = Some(password);
        self.put_user(stored, item).await?;
        self.store.revoke_sessions_of(&AgentId::new(&login)).await?;
        Ok(format!("{login}: password changed, signed out everywhere\n"))
    }

    async fn make_token(&self, login: &str) -> Result<String, DeskError> {
        let stored = self.store.set_up().await?;
        known_user(&stored, login)?;
        let (token, _) = self.store.create_session(&AgentId::new(login), SessionKind::Api, None, clock::wall()).await?;
        Ok(format!("{}\n", token.as_str()))
    }

    async fn put_user(&self, stored: Items, item: UserItem) -> Result<(), DeskError> {
        let file = site::SiteFile { items: Items { users: vec![item], ..Items::default() }, ..site::SiteFile::default() };
        let (plan, stored) = off_thread(move || (site::plan(&stored, file, false, &Argon), stored)).await?;
        let plan = plan.map_err(|found| DeskError::Refused(describe("user", &found)))?;
        self.save(&stored, &plan).await
    }

    async fn save(&self, stored: &Items, plan: &Plan) -> Result<(), DeskError> {
        if plan.changes.is_empty() {
            return Ok(());
        }
        self.store.save_set_up(stored, &plan.items, clock::wall()).await?;
        for change in &plan.changes {
            if change.kind == "user" && change.what == ChangeKind::Removed {
                self.store.revoke_sessions_of(&AgentId::new(&change.name)).await?;
            }
        }
        if let Some(engine) = &self.engine {
            engine.site_changed().await.map_err(|error| DeskError::Refused(format!("saved, but not in use yet: {error}")))?;
        }
        Ok(())
    }
}

/// Argon2id with the library's defaults (19 MiB, two passes).
struct Argon;

impl Passwords for Argon {
    fn matches(&self, password: &str, hash: &str) -> bool {
        PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }

    fn hash(&self, password: &str) -> String {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).unwrap_or_default()
    }
}

/// For `check`, which stores nothing.
pub(super) struct NoPasswords;

impl Passwords for NoPasswords {
    fn matches(&self, _: &str, _: &str) -> bool {
        true
    }

    fn hash(&self, _: &str) -> String {
        String::new()
    }
}

/// Hashing takes tens of milliseconds of CPU: never on a thread that serves calls.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DeskError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| DeskError::Refused(format!("hashing failed: {error}")))
}

fn known_user<'a>(items: &'a Items, login: &str) -> Result<&'a UserItem, DeskError> {
    items
        .users
        .iter()
        .find(|user| user.login == login)
        .ok_or_else(|| DeskError::Refused(format!("{login}: there is no such login; `perezvon export` lists them")))
}

fn report(changes: &[Change], dry_run: bool) -> String {
    let mut text = String::new();
    for change in changes {
        let sign = match change.what {
            ChangeKind::Added => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Removed => '-',
        };
        text.push_str(&format!("{sign} {} {}\n", change.kind, change.name));
    }
    text.push_str(match (changes.is_empty(), dry_run) {
        (true, _) => "nothing to change\n",
        (false, true) => "dry run: nothing was changed\n",
        (false, false) => "applied\n",
    });
    text
}
