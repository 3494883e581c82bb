//! Lists `catalog/**/*.yaml` for `src/catalog.rs`.
//!
//! Invariants: sorted by path with `/` between its parts, so that a build is the same on every machine; new files are
//! seen without `cargo clean` (every directory is watched).
//! Not here: reading the scenarios: what is wrong in them is found by tests, not by the build.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut paths = Vec::new();
    let catalog = Path::new(&root).join("catalog");
    // Git keeps no empty directories, so an empty catalogue may be none at all.
    if catalog.is_dir() {
        collect(&catalog, "", &mut paths)?;
    }
    paths.sort();
    let entries: String = paths
        .iter()
        .map(|path| {
            let file = format!("/catalog/{path}");
            format!(
                "    CatalogEntry {{ path: {path:?}, text: include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?})) }},\n"
            )
        })
        .collect();
    fs::write(Path::new(&out).join("catalog.rs"), format!("const CATALOG: &[CatalogEntry] = &[\n{entries}];\n"))
}

/// Adds the YAML files below `directory`, whose path below the catalogue is `prefix`.
fn collect(directory: &Path, prefix: &str, paths: &mut Vec<String>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", directory.display());
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("the name of {} is not UTF-8", name.display())))?;
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), paths)?;
        } else if name.ends_with(".yaml") {
            paths.push(path);
        }
    }
    Ok(())
}
