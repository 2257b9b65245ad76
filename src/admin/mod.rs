//! The administrator's door: `check`, `apply`, `export`, `user`, `token`. When the server runs, requests go through
//! `data_dir/control.sock` and take effect at once; else this process locks the data folder and works on the database.
//! Either way the same `desk` does the work, so both answer alike.

mod desk;
mod socket;

pub use desk::{Desk, DeskError};
pub use socket::{ControlSocket, FolderLock};

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::site::{self, Problem};
use crate::store::Store;

/// What an administrator may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// `text` has its `env:` values filled in the environment of whoever asks.
    Apply {
        file: String,
        text: String,
        environment: Vec<(String, String)>,
        prune: bool,
        dry_run: bool,
    },
    Export,
    AddUser {
        user: NewUser,
        password: String,
    },
    ChangePassword {
        login: String,
        password: String,
    },
    MakeToken {
        login: String,
    },
}

/// Text for standard output, or what is wrong for standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done(String),
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewUser {
    pub login: String,
    pub name: String,
    pub role: String,
    pub extension: String,
    pub team: String,
}

/// `perezvon check SITE.toml`: no server, no database.
pub fn check_file(path: &Path) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let text = read(path)?;
    let file = site::parse(&text, &|name| std::env::var(name).ok()).map_err(|found| problems(&name, &found))?;
    let plan = site::plan(&site::Items::default(), file, false, &desk::NoPasswords).map_err(|found| problems(&name, &found))?;
    println!(
        "{name}: good. {} users, {} trunks, {} queues, {} numbers, {} routes",
        plan.site.users.len(),
        plan.site.trunks.len(),
        plan.site.queues.len(),
        plan.site.numbers.len(),
        plan.site.routes.len()
    );
    Ok(())
}

/// `perezvon apply SITE.toml`
pub async fn apply(config: &Config, path: &Path, prune: bool, dry_run: bool) -> anyhow::Result<()> {
    let text = read(path)?;
    let environment = environment_of(&text);
    print(ask(config, Request::Apply { file: path.display().to_string(), text, environment, prune, dry_run }).await?)
}

/// `perezvon export`
pub async fn export(config: &Config) -> anyhow::Result<()> {
    print(ask(config, Request::Export).await?)
}

/// `perezvon user add LOGIN`, password on standard input.
pub async fn add_user(config: &Config, user: NewUser) -> anyhow::Result<()> {
    let password = read_password(&user.login)?;
    print(ask(config, Request::AddUser { user, password }).await?)
}

/// `perezvon user passwd LOGIN`, password on standard input.
pub async fn change_password(config: &Config, login: &str) -> anyhow::Result<()> {
    let password = read_password(login)?;
    print(ask(config, Request::ChangePassword { login: login.into(), password }).await?)
}

/// `perezvon token LOGIN`
pub async fn make_token(config: &Config, login: &str) -> anyhow::Result<()> {
    print(ask(config, Request::MakeToken { login: login.into() }).await?)
}

async fn ask(config: &Config, request: Request) -> anyhow::Result<Answer> {
    if let Some(answer) = socket::ask(&config.data_dir, &request).await? {
        return Ok(answer);
    }
    std::fs::create_dir_all(&config.data_dir).with_context(|| format!("{}: cannot be made", config.data_dir.display()))?;
    let _lock = FolderLock::take(&config.data_dir)?;
    let store = Store::open(&config.database.url, &config.data_dir).await?;
    let answer = Desk::new(store.clone(), None).answer(request).await;
    store.close().await;
    Ok(answer)
}

fn print(answer: Answer) -> anyhow::Result<()> {
    match answer {
        Answer::Done(text) => {
            print!("{text}");
            Ok(())
        }
        Answer::Refused(text) => bail!("{text}"),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read; give the path of a site file", path.display()))
}

fn read_password(login: &str) -> anyhow::Result<String> {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() {
        eprintln!("Password for {login}, then Enter and Ctrl D:");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let password = text.trim_end_matches(['\r', '\n']).to_string();
    if password.chars().count() < 4 {
        bail!("the password on standard input is shorter than 4 characters");
    }
    Ok(password)
}

/// The `env:` values of a site file live in the environment of the person who applies it, not in the server's.
fn environment_of(text: &str) -> Vec<(String, String)> {
    let names = text.split("\"env:").skip(1).filter_map(|rest| rest.split('"').next());
    names.filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?))).collect()
}

fn problems(file: &str, found: &[Problem]) -> anyhow::Error {
    anyhow::anyhow!("{}", describe(file, found))
}

/// One line a problem: `site.toml:12: queue.sales.members: there is no user "ana"; did you mean "anna"?`
pub(crate) fn describe(file: &str, found: &[Problem]) -> String {
    let line = |problem: &Problem| match problem.line {
        0 => format!("{file}: {}: {}", problem.key, problem.message),
        line => format!("{file}:{line}: {}: {}", problem.key, problem.message),
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}
