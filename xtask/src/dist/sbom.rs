//! The bill of materials: CycloneDX 1.6 in JSON.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Release;
use super::build::COMMAND;
use super::crates::{Key, Linked};
use crate::process;

/// The document, for what `builds` link. The command is what it is about; plugins and crates are its parts.
pub fn document(release: &Release, builds: &[Vec<String>], linked: &[Linked]) -> Result<String> {
    let about = linked.iter().find(|linked| linked.name == COMMAND).context("the command is not linked")?;
    let parts: Vec<Value> = linked
        .iter()
        .filter(|linked| linked.name != COMMAND)
        .map(|linked| component(linked, "library"))
        .collect();
    let plugins = builds.iter().skip(1).flatten();
    let plugins = plugins.filter_map(|name| linked.iter().find(|linked| linked.name == *name));
    let plugins: Vec<String> = plugins.map(|plugin| purl(&plugin.key())).collect();
    let dependencies: Vec<Value> = linked
        .iter()
        .map(|linked| {
            let mut uses: Vec<String> = linked.uses.iter().map(purl).collect();
            if linked.name == COMMAND {
                // Loaded, not linked.
                uses.extend(plugins.clone());
            }
            json!({ "ref": purl(&linked.key()), "dependsOn": uses })
        })
        .collect();
    let mut time = Command::new("date");
    let time = process::capture(time.args(["-u", &format!("-d@{}", release.epoch), "+%Y-%m-%dT%H:%M:%SZ"]))?;
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": String::from_utf8_lossy(&time.stdout).trim(),
            "component": component(about, "application"),
            "properties": [{ "name": "tickscope:target", "value": release.target }],
        },
        "components": parts,
        "dependencies": dependencies,
    });
    Ok(format!("{document:#}\n"))
}

fn component(linked: &Linked, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(&linked.key()),
        "name": linked.name,
        "version": linked.version,
        "purl": purl(&linked.key()),
        "licenses": [{ "expression": linked.licence }],
    });
    if let Some(checksum) = &linked.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &linked.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// The package's address in the form of package-url.
fn purl((name, version): &Key) -> String {
    // `+` of build metadata means a space there.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_and_what_they_use() {
        let key = |name: &str| (name.to_owned(), "1.0.0+b".to_owned());
        let linked = |name: &str, uses: &[&str], checksum: Option<&str>| Linked {
            name: name.into(),
            version: "1.0.0+b".into(),
            licence: "MIT".into(),
            authors: Vec::new(),
            repository: None,
            folder: "/r".into(),
            ours: checksum.is_none(),
            checksum: checksum.map(str::to_owned),
            uses: uses.iter().map(|name| key(name)).collect(),
        };
        let release = Release { version: "1".into(), target: "t".into(), epoch: 0, repository: "r".into() };
        let all = [linked(COMMAND, &["a"], None), linked("a", &[], Some("ff")), linked("p", &["a"], None)];
        let document = document(&release, &[vec![COMMAND.into()], vec!["p".into()]], &all).unwrap();
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(document["components"][0]["hashes"][0]["content"], "ff");
        let uses = &document["dependencies"][0]["dependsOn"];
        assert_eq!(*uses, json!(["pkg:cargo/a@1.0.0%2Bb", "pkg:cargo/p@1.0.0%2Bb"]));
    }
}
