//! The software bill of materials: CycloneDX 1.5, from cargo's own metadata and lock file.

use super::build::{PROGRAMS, target_directory};
use super::run::{TaskError, io, output, root, say};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

/// One file for each program, its dependencies for every target in it, development ones left out.
pub(crate) fn write() -> Result<Vec<PathBuf>, TaskError> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--locked"]);
    let wrong = |error: serde_json::Error| TaskError::Wrong(format!("cargo metadata: {error}"));
    let metadata: Value = serde_json::from_str(&output(cargo)?).map_err(wrong)?;
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).map_err(io("Cargo.lock"))?;
    let checksums = checksums(&lock);
    let directory = target_directory().join("packages");
    std::fs::create_dir_all(&directory).map_err(io(&directory.display().to_string()))?;
    let mut written = Vec::new();
    for program in PROGRAMS {
        let bill = bill(&metadata, &checksums, program)?;
        let name = format!("{program}_{}.cdx.json", env!("CARGO_PKG_VERSION"));
        let path = directory.join(name);
        let text = serde_json::to_vec_pretty(&bill).map_err(wrong)?;
        std::fs::write(&path, text).map_err(io(&path.display().to_string()))?;
        let count = bill
            .get("components")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        say(&format!("{count} components  {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

fn bill(
    metadata: &Value,
    checksums: &BTreeMap<(String, String), String>,
    program: &str,
) -> Result<Value, TaskError> {
    let packages = list(metadata, "packages");
    let find = |id: &str| packages.iter().find(|package| text(package, "id") == id);
    let own = packages
        .iter()
        .find(|package| text(package, "name") == program);
    let own = own.ok_or_else(|| TaskError::Wrong(format!("no package {program}")))?;
    let edges = edges(metadata);
    let mut reached = BTreeSet::new();
    let mut waiting = vec![text(own, "id")];
    while let Some(id) = waiting.pop() {
        if reached.insert(id) {
            waiting.extend(edges.get(id).into_iter().flatten().copied());
        }
    }
    reached.remove(text(own, "id"));
    let components: Vec<Value> = reached
        .iter()
        .filter_map(|id| find(id))
        .map(|package| component(package, checksums))
        .collect();
    let dependencies: Vec<Value> = edges
        .iter()
        .filter(|(id, _)| reached.contains(*id) || **id == text(own, "id"))
        .filter_map(|(id, on)| {
            let on: Vec<String> = on.iter().filter_map(|id| find(id)).map(purl).collect();
            Some(json!({ "ref": purl(find(id)?), "dependsOn": on }))
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application", "bom-ref": purl(own), "name": program,
            "version": text(own, "version"), "purl": purl(own),
            "licenses": [{ "expression": text(own, "license") }],
        }},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// Who depends on whom, tests and build scripts' own tests left out.
fn edges(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let nodes = metadata
        .get("resolve")
        .map_or(&[][..], |resolve| list(resolve, "nodes"));
    let edges = nodes.iter().map(|node| {
        let on = list(node, "deps").iter().filter(|dep| {
            let kinds = list(dep, "dep_kinds");
            kinds.iter().any(|kind| text(kind, "kind") != "dev")
        });
        (text(node, "id"), on.map(|dep| text(dep, "pkg")).collect())
    });
    edges.collect()
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let mut component = json!({
        "type": "library", "bom-ref": purl(package), "name": name, "version": version,
        "purl": purl(package), "licenses": [{ "expression": text(package, "license") }],
    });
    let checksum = checksums.get(&(name.to_owned(), version.to_owned()));
    if let (Some(checksum), Some(members)) = (checksum, component.as_object_mut()) {
        let hashes = json!([{ "alg": "SHA-256", "content": checksum }]);
        members.insert("hashes".to_owned(), hashes);
    }
    component
}

fn purl(package: &Value) -> String {
    format!(
        "pkg:cargo/{}@{}",
        text(package, "name"),
        text(package, "version")
    )
}

/// Checksums of `Cargo.lock` by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            Some(
                line.trim_start_matches([' ', '='])
                    .trim_matches('"')
                    .to_owned(),
            )
        };
        if let (Some(name), Some(version), Some(sum)) =
            (value("name"), value("version"), value("checksum"))
        {
            found.insert((name, version), sum);
        }
    }
    found
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
