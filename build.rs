//! Puts the built desk (`ui/dist`) into the binary: writes a table of its files with `include_bytes!` for `web::desk`.
//! It never runs npm and compresses nothing: the UI build leaves `.br` and `.gz` files beside the originals.
//!
//! Without a desk the build succeeds and the server shows a page that tells how to build it; `REQUIRE_UI=1`
//! (packaging, CI) makes that an error. `UI_DIST` names another folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

const REMEDY: &str = "run `make ui` first (it needs Node 20.19 or newer)";

fn main() {
    println!("cargo::rerun-if-env-changed=REQUIRE_UI");
    println!("cargo::rerun-if-env-changed=UI_DIST");
    println!("cargo::rerun-if-changed=migrations");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let dist = env::var_os("UI_DIST").map_or_else(|| root.join("ui/dist"), PathBuf::from);
    // A folder that does not exist would make cargo run this script at every build.
    if dist.exists() {
        println!("cargo::rerun-if-changed={}", dist.display());
    }

    let mut files = Vec::new();
    collect(&dist, &mut files);
    // By text, as the server compares: paths sort part by part, which differs at `-` and `.`.
    files.sort_by_key(|file| file.to_string_lossy().replace('\\', "/"));
    if !files.contains(&dist.join("index.html")) {
        if env::var("REQUIRE_UI").is_ok_and(|value| !matches!(value.as_str(), "" | "0")) {
            eprintln!("REQUIRE_UI is set, but {} holds no index.html: {REMEDY}", dist.display());
            process::exit(1);
        }
        if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
            println!("cargo::warning=built without the desk: {REMEDY}");
        }
        files.clear();
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("desk.rs");
    fs::write(&out, table(&dist, &files)).expect("OUT_DIR is writable");
}

/// Every file below `folder`, except the marker that keeps the empty folder in git.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.file_name().is_some_and(|name| name != ".gitkeep") {
            files.push(path);
        }
    }
}

/// `static FILES: &[File]`, sorted by path, one entry an original file.
fn table(dist: &Path, files: &[PathBuf]) -> String {
    let mut text = String::from("static FILES: &[File] = &[\n");
    for file in files.iter().filter(|file| !is_sibling(file, files)) {
        let name = file.strip_prefix(dist).expect("collected below dist").to_string_lossy().replace('\\', "/");
        let bytes = fs::read(file).expect("the file was listed a moment ago");
        let include = |path: PathBuf| match files.contains(&path) {
            true => format!("Some(include_bytes!({:?}))", path.display().to_string()),
            false => "None".into(),
        };
        let _ = writeln!(
            text,
            "    File {{ path: \"/{name}\", etag: \"{:016x}\", body: include_bytes!({:?}), br: {}, gzip: {} }},",
            fnv1a(&bytes),
            file.display().to_string(),
            include(with_suffix(file, ".br")),
            include(with_suffix(file, ".gz")),
        );
    }
    text.push_str("];\n");
    text
}

/// A compressed copy of another file of the list.
fn is_sibling(file: &Path, files: &[PathBuf]) -> bool {
    let compressed = file.extension().is_some_and(|extension| extension == "br" || extension == "gz");
    compressed && files.contains(&file.with_extension(""))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// FNV-1a, 64 bits: tells one build's file from another's; it protects nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
