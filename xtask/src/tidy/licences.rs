//! The licences of everything we link, against the list in `deny.toml`.
//!
//! `cargo deny` reads the same file and checks more (advisories, bans); this needs nothing but cargo.

use anyhow::{Result, bail, ensure};

use crate::metadata::Package;

/// Every package whose licence the policy does not allow.
pub fn check(policy: &str, packages: &[Package]) -> Result<Vec<String>> {
    let allowed = allowed(policy)?;
    let mut broken = Vec::new();
    for package in packages.iter().filter(|package| !package.member) {
        let name = format!("{} {}", package.name, package.version);
        match &package.licence {
            None => broken.push(format!("{name} names no licence")),
            Some(expression) => match permits(expression, &allowed) {
                Ok(true) => {}
                Ok(false) => {
                    broken.push(format!("{name} is under {expression}, which deny.toml does not allow"))
                }
                Err(error) => broken.push(format!("{name}: {error:#}")),
            },
        }
    }
    Ok(broken)
}

/// The strings of `allow = [ … ]` in section `[licenses]`.
fn allowed(policy: &str) -> Result<Vec<String>> {
    let section = policy.split("\n[licenses]").nth(1).unwrap_or_default();
    let list = section.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']'));
    let Some((list, _)) = list else { bail!("deny.toml: no `allow = [` in section [licenses]") };
    let names: Vec<String> = list
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    ensure!(!names.is_empty(), "deny.toml: the list of allowed licences is empty");
    Ok(names)
}

/// Whether an SPDX expression can be satisfied with allowed licences alone. `/` is the old way to write `OR`.
fn permits(expression: &str, allowed: &[String]) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = either(&words, &mut at, allowed)?;
    ensure!(at == words.len(), "cannot read licence expression `{expression}`");
    Ok(result)
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> Result<bool> {
    let mut result = both(words, at, allowed)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= both(words, at, allowed)?;
    }
    Ok(result)
}

fn both(words: &[&str], at: &mut usize, allowed: &[String]) -> Result<bool> {
    let mut result = one(words, at, allowed)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed)?;
    }
    Ok(result)
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> Result<bool> {
    let Some(word) = words.get(*at) else { bail!("the licence expression ends too early") };
    *at += 1;
    if *word == "(" {
        let result = either(words, at, allowed)?;
        ensure!(words.get(*at) == Some(&")"), "a parenthesis of the licence expression is not closed");
        *at += 1;
        return Ok(result);
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        name = format!("{name} WITH {exception}");
        *at += 2;
    }
    Ok(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "x\n[licenses]\nallow = [\n  \"MIT\", # short\n  \"Apache-2.0\",\n  \
                          \"Apache-2.0 WITH LLVM-exception\",\n  \"Unicode-3.0\",\n]\n";

    #[track_caller]
    fn check_expression(expression: &str, expected: Option<bool>) {
        let allowed = allowed(POLICY).unwrap();
        assert_eq!(permits(expression, &allowed).ok(), expected, "{expression}");
    }

    #[test]
    fn expressions() {
        check_expression("MIT", Some(true));
        check_expression("GPL-3.0", Some(false));
        check_expression("MIT/Apache-2.0", Some(true));
        check_expression("GPL-2.0-only OR MIT", Some(true));
        check_expression("(MIT OR Apache-2.0) AND Unicode-3.0", Some(true));
        check_expression("MIT AND GPL-3.0", Some(false));
        check_expression("Apache-2.0 WITH LLVM-exception", Some(true));
        check_expression("Apache-2.0 WITH other", Some(false));
        check_expression("MIT OR (", None);
        check_expression("(MIT", None);
        check_expression("", None);
    }

    #[test]
    fn a_policy_without_a_list_is_an_error() {
        assert!(allowed("[licenses]\n").is_err());
    }
}
