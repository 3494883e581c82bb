//! Reads from a `Cargo.toml` the few things that the import law needs: the package's name and its dependencies.
//!
//! Understood are the forms that cargo itself prints and this house uses: `name = …`, `name.workspace = true`,
//! `[dependencies.name]`, the same below `[target.….dependencies]`, and renames by `package = "…"`. Dependencies are
//! named by the package that they stand for, not by the name they are given here.
//!
//! It is not a TOML parser: a table spread over several lines is read by its first line.

/// Which of a manifest's tables a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `[dependencies]`.
    Normal,
    /// `[dev-dependencies]`.
    Dev,
    /// `[build-dependencies]`.
    Build,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the package.
    pub package: String,
    /// The table that it stands in.
    pub table: Table,
    /// Line, from one.
    pub line: usize,
}

/// What the import law needs of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the package; empty for a workspace without one.
    pub name: String,
    /// All dependencies, in order.
    pub dependencies: Vec<Dependency>,
}

impl Manifest {
    /// Reads a manifest.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = Section::Other;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(header) = line.strip_prefix('[') {
                section = Section::of(header.split(']').next().unwrap_or_default());
                if let Section::One(table, package) = &section {
                    let package = package.clone();
                    manifest.dependencies.push(Dependency { package, table: *table, line: index + 1 });
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            match &section {
                Section::Package if key.trim() == "name" => manifest.name = unquoted(value),
                Section::Many(table) => {
                    let name = key.trim().split('.').next().unwrap_or_default();
                    let package = renamed(value).unwrap_or_else(|| unquoted(name));
                    manifest.dependencies.push(Dependency { package, table: *table, line: index + 1 });
                }
                Section::One(..) if key.trim() == "package" => {
                    if let Some(last) = manifest.dependencies.last_mut() {
                        last.package = unquoted(value);
                    }
                }
                _ => {}
            }
        }
        manifest
    }
}

/// The table that the lines below a header belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Section {
    Package,
    Many(Table),
    One(Table, String),
    Other,
}

impl Section {
    fn of(header: &str) -> Self {
        if header == "package" {
            return Self::Package;
        }
        // `workspace.dependencies` only offers: nothing depends on an offer.
        if header.starts_with("workspace") {
            return Self::Other;
        }
        let table = |name: &str| match name {
            "dependencies" => Some(Table::Normal),
            "dev-dependencies" => Some(Table::Dev),
            "build-dependencies" => Some(Table::Build),
            _ => None,
        };
        let (before, last) = header.rsplit_once('.').unwrap_or(("", header));
        if let Some(table) = table(last) {
            return Self::Many(table);
        }
        match table(before.rsplit('.').next().unwrap_or_default()) {
            Some(table) => Self::One(table, unquoted(last)),
            None => Self::Other,
        }
    }
}

fn unquoted(value: &str) -> String {
    value.split('#').next().unwrap_or_default().trim().trim_matches('"').to_owned()
}

/// The package that an inline table such as `{ package = "x", version = "1" }` names.
fn renamed(value: &str) -> Option<String> {
    let behind = value.split_once("package")?.1.trim_start().strip_prefix('=')?;
    Some(behind.split('"').nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(text: &str) -> Vec<(String, Table)> {
        Manifest::parse(text).dependencies.into_iter().map(|one| (one.package, one.table)).collect()
    }

    #[test]
    fn every_way_to_write_a_dependency_is_read() {
        let text = "[package]\nname = \"x\" # comment\n[dependencies]\na = \"1\"\nb.workspace = true\n\
                    c = { package = \"real-c\", version = \"1\" }\n# d = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\ne = { workspace = true }\n\
                    [dev-dependencies.f]\npackage = \"real-f\"\n[build-dependencies]\ng = \"1\"\n[features]\nh = []\n";
        let expected = [
            ("a", Table::Normal),
            ("b", Table::Normal),
            ("real-c", Table::Normal),
            ("e", Table::Normal),
            ("real-f", Table::Dev),
            ("g", Table::Build),
        ];
        assert_eq!(packages(text), expected.map(|(name, table)| (name.to_owned(), table)));
        assert_eq!(Manifest::parse(text).name, "x");
        assert_eq!(Manifest::parse(text).dependencies[1].line, 5);
    }

    #[test]
    fn what_a_workspace_offers_is_no_dependency() {
        assert_eq!(packages("[workspace.dependencies]\na = \"1\"\n"), []);
    }
}
