//! Dockerfile and docker-compose.yml, read as data: no engine runs here, but a missing file, a stage that does not exist
//! or a broken document is found.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn compose() -> Value {
    serde_yaml_ng::from_str(&read("docker-compose.yml")).expect("docker-compose.yml is YAML")
}

#[test]
fn compose_runs_the_server_on_the_host_network_beside_its_stores() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let names: Vec<&String> = services.keys().collect();
    assert_eq!(names, ["nats", "perezvon", "postgres", "s3"]);
    assert_eq!(compose["services"]["perezvon"]["network_mode"], "host");
    for (name, service) in services {
        assert!(service["image"].is_string() || service["build"].is_string(), "{name} has neither image nor build");
        assert!(service["image"].as_str().is_none_or(|image| image.contains(':')), "{name}: the image is not pinned");
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(compose["volumes"].get(volume).is_some(), "{name}: the volume {volume} is not declared");
        }
        for wanted in service["depends_on"].as_object().into_iter().flat_map(|wanted| wanted.keys()) {
            assert!(services.contains_key(wanted), "{name} depends on {wanted}");
        }
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port} is open to the world");
        }
    }
    let environment = services["perezvon"]["environment"].as_object().unwrap();
    assert!(environment.keys().all(|key| key.starts_with("PEREZVON__")), "{environment:?}");
}

#[test]
fn the_dockerfile_copies_only_what_exists_and_names_only_its_own_stages() {
    let text = read("Dockerfile").replace("\\\n", " ");
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "STOPSIGNAL", "ENTRYPOINT", "CMD"];
    let mut stages = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap();
        assert!(known.contains(&instruction), "{line}");
        let words: Vec<&str> = words.collect();
        match instruction {
            "FROM" => {
                assert!(words[0].contains(':'), "the base image is not pinned: {line}");
                if let [_, "AS", stage] = words[..] {
                    stages.insert(stage.to_string());
                }
            }
            "COPY" if words[0].starts_with("--from=") => {
                let stage = words[0].trim_start_matches("--from=");
                assert!(stages.contains(stage), "no stage {stage}: {line}");
            }
            "COPY" => {
                for source in &words[..words.len() - 1] {
                    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{source} does not exist: {line}");
                }
            }
            "ENTRYPOINT" | "CMD" => {
                let line: Value = serde_json::from_str(&words.join(" ")).expect("the exec form, so that signals arrive");
                assert!(line.is_array());
            }
            _ => {}
        }
    }
    assert_eq!(stages, ["server", "ui"].map(String::from).into());
}
