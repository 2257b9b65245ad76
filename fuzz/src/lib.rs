//! A small coverage-guided fuzzer: tries mutations of inputs, keeps those that reach something new, and stops at the first
//! that panics or takes too long. The targets beside it say what is tried; `scripts/fuzz` builds and runs them.

mod corpus; //   inputs in memory and in folders
mod coverage; // what the compiler's counters saw
mod mutate; //   one input made into another

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use corpus::Corpus;
use mutate::Random;

/// The largest datagram that is read, and more than any SDP that is.
const MOST_BYTES: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(5);

/// What is tried now, and since when, for whoever must tell of it.
static TRIED: Mutex<(Vec<u8>, Option<Instant>)> = Mutex::new((Vec::new(), None));

/// Does what the command line says with a target:
/// `run SECONDS KEPT FOUND BROKEN`, `keep KEPT FOUND` or `minimise KEPT`. All but the first word are folders.
pub fn main(target: fn(&[u8])) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["run", seconds, kept, found, broken] => {
            watch(PathBuf::from(broken));
            seconds.parse().map_err(|_| "no number of seconds".to_owned()).and_then(|seconds| {
                run(target, Duration::from_secs(seconds), Path::new(kept), Path::new(found)).map_err(|error| error.to_string())
            })
        }
        ["keep", kept, found] => keep(target, Path::new(kept), Path::new(found)).map_err(|error| error.to_string()),
        ["minimise", kept] => minimise(target, Path::new(kept)).map_err(|error| error.to_string()),
        _ => Err("run SECONDS KEPT FOUND BROKEN | keep KEPT FOUND | minimise KEPT".to_owned()),
    };
    match outcome {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(words) => {
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    }
}

fn run(target: fn(&[u8]), time: Duration, kept: &Path, found: &Path) -> std::io::Result<String> {
    let began = Instant::now();
    let mut corpus = Corpus::default();
    for input in corpus::read(kept)?.into_iter().chain(corpus::read(found)?) {
        attempt(target, &input);
        if coverage::is_news() {
            corpus.add(input);
        }
    }
    let of_old = corpus.len();
    let mut random = Random::new();
    let mut input = Vec::new();
    let mut tries = 0_u64;
    while !tries.is_multiple_of(64) || began.elapsed() < time {
        corpus.pick(&mut random, &mut input);
        mutate::change(&mut input, &corpus, &mut random, MOST_BYTES);
        attempt(target, &input);
        tries += 1;
        if coverage::is_news() {
            corpus::write(found, &input)?;
            corpus.add(input.clone());
        }
    }
    let new = corpus.len() - of_old;
    Ok(format!("{tries} tries, {} places reached, {of_old} inputs of use before, {new} new", coverage::places()))
}

/// Takes over what reaches more than the kept ones do.
fn keep(target: fn(&[u8]), kept: &Path, found: &Path) -> std::io::Result<String> {
    let mut count = 0;
    for input in corpus::read(kept)? {
        attempt(target, &input);
        _ = coverage::is_news();
    }
    for input in corpus::read(found)? {
        attempt(target, &input);
        if coverage::is_new_place() {
            corpus::write(kept, &input)?;
            count += 1;
        }
    }
    Ok(format!("{count} taken over"))
}

/// Throws out what reaches nothing that a shorter one does not. What people gave a name stays: it is there for a reason.
fn minimise(target: fn(&[u8]), kept: &Path) -> std::io::Result<String> {
    let mut removed = 0;
    let mut inputs = corpus::read_named(kept)?;
    inputs.sort_by_key(|(_, input)| input.len());
    for (path, input) in inputs {
        attempt(target, &input);
        if !coverage::is_new_place() && corpus::is_found(&path) {
            std::fs::remove_file(path)?;
            removed += 1;
        }
    }
    Ok(format!("{removed} thrown out"))
}

fn attempt(target: fn(&[u8]), input: &[u8]) {
    {
        let mut tried = lock();
        tried.0.clear();
        tried.0.extend_from_slice(input);
        tried.1 = Some(Instant::now());
    }
    coverage::begin();
    target(input);
    coverage::end();
    lock().1 = None;
}

fn lock() -> std::sync::MutexGuard<'static, (Vec<u8>, Option<Instant>)> {
    TRIED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// From now on the input that panics, or is not done in time, is written down, and ends the process.
fn watch(broken: PathBuf) {
    let place = broken.clone();
    std::panic::set_hook(Box::new(move |panic| give_up(&place, &panic.to_string())));
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(PATIENCE / 5);
            let since = lock().1;
            if since.is_some_and(|since| since.elapsed() > PATIENCE) {
                give_up(&broken, "an input is not done in time");
            }
        }
    });
}

fn give_up(broken: &Path, words: &str) {
    let input = lock().0.clone();
    let place = corpus::write(broken, &input);
    eprintln!("{words}\n{}", String::from_utf8_lossy(&input).escape_debug());
    match place {
        Ok(path) => eprintln!("the input is in {}", path.display()),
        Err(error) => eprintln!("the input could not be written down: {error}"),
    }
    std::process::exit(1);
}
