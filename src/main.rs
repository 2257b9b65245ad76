//! The `perezvon` command: arguments to config to `app::run`, and the administrator's commands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use perezvon::config::Config;
use perezvon::{admin, app, support, telemetry};

#[derive(Parser)]
#[command(name = "perezvon", version, about = "Contact-centre and telephony integration server")]
struct Arguments {
    /// Config file; without it defaults and PEREZVON__SECTION__KEY variables apply
    #[arg(long, short, global = true, env = "PEREZVON_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Start with the demo site and a hundred client cards
        #[arg(long)]
        demo: bool,
    },
    /// Apply a site file
    Apply {
        site: PathBuf,
        /// Remove what the file does not name
        #[arg(long)]
        prune: bool,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the whole set-up as a site file
    Export,
    /// Check a site file without a server
    Check { site: PathBuf },
    /// Add a person or change a password
    #[command(subcommand)]
    User(UserCommand),
    /// Make an API token for a person and print it once
    Token { login: String },
    /// Place a test call over real SIP and RTP, with speech-like audio
    Call(CallArguments),
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a person; the password is read from standard input
    Add {
        login: String,
        #[arg(long, default_value = "")]
        name: String,
        /// agent, supervisor, support or admin
        #[arg(long, default_value = "agent")]
        role: String,
        #[arg(long, default_value = "")]
        extension: String,
        #[arg(long, default_value = "")]
        team: String,
    },
    /// Change a password; it is read from standard input
    Passwd { login: String },
}

#[derive(Args)]
struct CallArguments {
    /// Number to call
    #[arg(long)]
    to: String,
    /// Caller's number as the carrier would send it
    #[arg(long, default_value = "+79160000001")]
    from: String,
    /// How long to talk before hanging up
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// SIP address of the server
    #[arg(long, default_value = "127.0.0.1:5060")]
    server: String,
    /// Own SIP address; the demo trunk accepts calls from 127.0.0.1:5080
    #[arg(long, default_value = "127.0.0.1:5080")]
    local: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perezvon: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Command::Check { site } = &arguments.command {
        return admin::check_file(site);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("perezvon").build()?;
    if let Command::Call(call) = arguments.command {
        return runtime.block_on(support::test_call::run_from_command_line(support::test_call::Options {
            to: call.to,
            from: call.from,
            seconds: call.seconds,
            server: call.server,
            local: call.local,
        }));
    }
    // Audio, cards, password hashes and keys: what this program writes is for its own user alone.
    // SAFETY: umask has no preconditions; no other thread makes files yet.
    unsafe { libc::umask(0o077) };
    let config = Config::load(arguments.config.as_deref())?;
    match arguments.command {
        Command::Serve { demo } => {
            let metrics = telemetry::install(&config.log)?;
            runtime.block_on(app::run(config, demo, metrics))
        }
        Command::Apply { site, prune, dry_run } => runtime.block_on(admin::apply(&config, &site, prune, dry_run)),
        Command::Export => runtime.block_on(admin::export(&config)),
        Command::User(UserCommand::Add { login, name, role, extension, team }) => {
            runtime.block_on(admin::add_user(&config, admin::NewUser { login, name, role, extension, team }))
        }
        Command::User(UserCommand::Passwd { login }) => runtime.block_on(admin::change_password(&config, &login)),
        Command::Token { login } => runtime.block_on(admin::make_token(&config, &login)),
        Command::Check { .. } | Command::Call(_) => Ok(()),
    }
}
