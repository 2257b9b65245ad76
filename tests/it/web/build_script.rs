//! `build.rs` by itself: what it does with a desk, without one, and when one is demanded.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The script compiled by itself, with a `ui/dist` to read and a place to write.
struct Script {
    folder: TempDir,
}

impl Script {
    fn compile() -> Script {
        let folder = tempfile::tempdir().unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let status = Command::new(rustc).args(["--edition", "2024", "-o"]).arg(folder.path().join("script")).arg(source).status();
        assert!(status.unwrap().success());
        std::fs::create_dir_all(folder.path().join("ui/dist/assets")).unwrap();
        std::fs::write(folder.path().join("ui/dist/.gitkeep"), "").unwrap();
        Script { folder }
    }

    fn put(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join("ui/dist").join(path), text).unwrap();
    }

    fn run(&self, require: &str) -> (Output, String) {
        let output = Command::new(self.folder.path().join("script"))
            .env_clear()
            .env("CARGO_MANIFEST_DIR", self.folder.path())
            .env("OUT_DIR", self.folder.path())
            .env("PROFILE", "release")
            .env("REQUIRE_UI", require)
            .output()
            .unwrap();
        (output, std::fs::read_to_string(self.folder.path().join("desk.rs")).unwrap_or_default())
    }
}

#[test]
fn a_desk_is_embedded_with_its_compressed_copies_and_its_absence_is_told() {
    let script = Script::compile();
    let (output, table) = script.run("0");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("cargo::warning=built without the desk: run `make ui`"));
    assert!(!table.contains("File {"), "{table}");
    let (output, _) = script.run("1");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(said.contains("ui/dist holds no index.html: run `make ui`"), "{said}");

    script.put("index.html", "<!doctype html>");
    for name in ["assets/app.js", "assets/app.js.br", "assets/app.js.gz", "assets/app-x.css", "lonely.gz"] {
        script.put(name, name);
    }
    let (output, table) = script.run("1");
    assert!(output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("cargo::warning"));
    let paths: Vec<&str> = table.lines().filter_map(|line| line.split("path: \"").nth(1)?.split('"').next()).collect();
    assert_eq!(paths, ["/assets/app-x.css", "/assets/app.js", "/index.html", "/lonely.gz"], "sorted as text, copies left out");
    let app = table.lines().find(|line| line.contains("/assets/app.js\"")).unwrap();
    assert!(app.contains("app.js.br\"))") && app.contains("app.js.gz\"))"), "{app}");
    assert!(table.lines().find(|line| line.contains("/index.html")).unwrap().contains("br: None, gzip: None"));

    let etag = |table: &str| table.lines().find(|line| line.contains("/index.html")).unwrap().to_string();
    let before = etag(&table);
    script.put("index.html", "<!doctype html><title>new</title>");
    assert_ne!(etag(&script.run("1").1), before, "a changed file has another ETag");
}
