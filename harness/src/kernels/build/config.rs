//! Configurations: a fragment's lines put into one, and those that it did not take.
//!
//! Not here: `make olddefconfig`, which decides what it takes (`site`).

/// A configuration in which the lines of `fragment` stand in place of what was said of the same.
pub(super) fn merged(config: &str, fragment: &str) -> String {
    let keys: Vec<&str> = options(fragment).map(|(key, _)| key).collect();
    let said = |line: &&str| {
        let key = line.strip_prefix("# ").unwrap_or(line).split(['=', ' ']).next().unwrap_or_default();
        !keys.contains(&key)
    };
    let kept = config.lines().filter(said).map(|line| format!("{line}\n"));
    let added = options(fragment).map(|(key, value)| match value {
        "n" => format!("# {key} is not set\n"),
        value => format!("{key}={value}\n"),
    });
    kept.chain(added).collect()
}

/// Lines of a fragment that a configuration does not have.
pub(super) fn lost_lines(fragment: &str, config: &str) -> Vec<String> {
    let has = |key: &str, value: &str| match value {
        "n" => !config.lines().any(|line| line.starts_with(&format!("{key}="))),
        value => config.lines().any(|line| line == format!("{key}={value}")),
    };
    options(fragment).filter(|(key, value)| !has(key, value)).map(|(key, value)| format!("{key}={value}")).collect()
}

fn options(fragment: &str) -> impl Iterator<Item = (&str, &str)> {
    fragment.lines().filter(|line| line.starts_with("CONFIG_")).filter_map(|line| line.trim_end().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragment_replaces_what_was_said_and_what_is_lost_is_told() {
        let fragment = "# words\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=8\n";
        let config = merged("CONFIG_A=m\n# CONFIG_C is not set\nCONFIG_B=y\nCONFIG_AB=y\n", fragment);
        assert_eq!(config, "CONFIG_AB=y\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=8\n");
        assert_eq!(lost_lines(fragment, &config), Vec::<String>::new());
        assert_eq!(lost_lines(fragment, "CONFIG_B=y\nCONFIG_C=16\n"), ["CONFIG_A=y", "CONFIG_B=n", "CONFIG_C=8"]);
    }
}
