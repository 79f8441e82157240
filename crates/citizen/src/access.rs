//! Who may do what: access control entries (`add_ace`), and groups that pass theirs on (`add_principal`).
//!
//! A principal is a name such as `group.admin`, `identifier.license:…`, `player.1` or `resource.shop`; an object is a
//! path such as `command.kick`, and whoever is allowed `command` is allowed all below it. A refusal trumps everything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// Every principal inherits from this one.
pub(crate) const EVERYONE: &str = "builtin.everyone";
/// The server's own console.
pub(crate) const CONSOLE: &str = "system.console";

/// The entries of a server.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// For each object and principal: whether it is allowed.
    entries: RefCell<BTreeMap<String, BTreeMap<String, bool>>>,
    /// The groups a principal belongs to.
    parents: RefCell<BTreeMap<String, BTreeSet<String>>>,
    /// Nobody set anything up: resources may do everything.
    is_open: Cell<bool>,
    /// On whose behalf commands run, one inside another.
    acting: RefCell<Vec<String>>,
}

impl Access {
    /// Resources may do everything until the first file of commands is read.
    pub(crate) fn set_open(&self, open: bool) {
        self.is_open.set(open);
    }

    pub(crate) fn add_ace(&self, principal: &str, object: &str, allowed: bool) {
        let mut entries = self.entries.borrow_mut();
        entries.entry(object.to_ascii_lowercase()).or_default().insert(principal.to_owned(), allowed);
    }

    /// `false` when there is no such entry.
    pub(crate) fn remove_ace(&self, principal: &str, object: &str, allowed: bool) -> bool {
        let mut entries = self.entries.borrow_mut();
        let Some(of_object) = entries.get_mut(&object.to_ascii_lowercase()) else { return false };
        let found = of_object.get(principal) == Some(&allowed);
        if found {
            of_object.remove(principal);
        }
        found
    }

    pub(crate) fn add_principal(&self, child: &str, parent: &str) {
        self.parents.borrow_mut().entry(child.to_owned()).or_default().insert(parent.to_owned());
    }

    /// `false` when there is no such membership.
    pub(crate) fn remove_principal(&self, child: &str, parent: &str) -> bool {
        self.parents.borrow_mut().get_mut(child).is_some_and(|parents| parents.remove(parent))
    }

    /// Every entry, a line each.
    pub(crate) fn aces(&self) -> Vec<String> {
        let entries = self.entries.borrow();
        let lines = entries.iter().flat_map(|(object, principals)| {
            principals.iter().map(move |(principal, allowed)| {
                format!("{principal} -> {object} = {}", if *allowed { "ALLOW" } else { "DENY" })
            })
        });
        lines.collect()
    }

    /// Who belongs to which group, a line for each group of each.
    pub(crate) fn memberships(&self) -> Vec<String> {
        let parents = self.parents.borrow();
        let lines = parents
            .iter()
            .flat_map(|(child, groups)| groups.iter().map(move |group| format!("{child} <- {group}")));
        lines.collect()
    }

    /// From here on these act too, until [`Access::leave`].
    pub(crate) fn enter(&self, principals: Vec<String>) -> usize {
        let mut acting = self.acting.borrow_mut();
        let before = acting.len();
        acting.extend(principals);
        before
    }

    pub(crate) fn leave(&self, before: usize) {
        self.acting.borrow_mut().truncate(before);
    }

    /// Whether one of those who act may do `object`.
    pub(crate) fn is_allowed_now(&self, object: &str) -> bool {
        self.acting.borrow().iter().any(|principal| self.is_allowed(principal, object))
    }

    /// Whether `principal` may do `object`.
    pub(crate) fn is_allowed(&self, principal: &str, object: &str) -> bool {
        if principal == CONSOLE || (self.is_open.get() && principal.starts_with("resource.")) {
            return true;
        }
        let principals = self.with_groups(principal);
        let entries = self.entries.borrow();
        let mut allowed = false;
        let object = object.to_ascii_lowercase();
        let paths =
            std::iter::successors(Some(&*object), |path| path.rsplit_once('.').map(|(above, _)| above));
        for of_object in paths.filter_map(|path| entries.get(path)) {
            for (_, allows) in of_object.iter().filter(|(name, _)| principals.contains(*name)) {
                if !allows {
                    return false;
                }
                allowed = true;
            }
        }
        allowed
    }

    /// The principal and every group it belongs to, directly or through others.
    fn with_groups(&self, principal: &str) -> BTreeSet<String> {
        let parents = self.parents.borrow();
        let mut found = BTreeSet::new();
        let mut open = vec![principal, EVERYONE];
        while let Some(name) = open.pop() {
            if found.insert(name.to_owned()) {
                open.extend(parents.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as lines of a `server.cfg`, then questions and what is expected.
    fn check(lines: &[&str], questions: &[(&str, &str, bool)]) {
        let access = Access::default();
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            match *words {
                ["add_ace", principal, object, allowed] => {
                    access.add_ace(principal, object, allowed == "allow")
                }
                ["add_principal", child, parent] => access.add_principal(child, parent),
                ["remove_ace", principal, object, allowed] => {
                    assert!(access.remove_ace(principal, object, allowed == "allow"), "{line}");
                }
                ["remove_principal", child, parent] => {
                    assert!(access.remove_principal(child, parent), "{line}")
                }
                _ => panic!("{line}"),
            }
        }
        for (principal, object, expected) in questions {
            assert_eq!(access.is_allowed(principal, object), *expected, "{principal} {object}");
        }
    }

    #[test]
    fn groups_and_paths_pass_on_what_is_allowed() {
        check(
            &[
                "add_ace group.admin command allow",
                "add_ace group.admin command.quit deny",
                "add_principal group.owner group.admin",
                "add_principal identifier.steam:1 group.owner",
                "add_ace builtin.everyone command.me allow",
            ],
            &[
                ("identifier.steam:1", "command.kick", true),
                ("identifier.steam:1", "command.kick.hard", true),
                ("identifier.steam:1", "commander", false),
                ("identifier.steam:1", "command.quit", false),
                ("identifier.steam:2", "command.kick", false),
                ("identifier.steam:2", "command.me", true),
                ("system.console", "anything", true),
                ("", "", false),
            ],
        );
    }

    #[test]
    fn a_refusal_trumps_what_others_allow() {
        check(
            &["add_ace a command.x allow", "add_ace b command deny", "add_principal a b"],
            &[("a", "command.x", false), ("b", "command", false)],
        );
    }

    #[test]
    fn what_is_taken_back_is_gone_and_circles_end() {
        check(
            &[
                "add_principal a b",
                "add_principal b c",
                "add_principal c a",
                "add_ace c command allow",
                "add_ace c web allow",
                "remove_ace c web allow",
                "add_principal d c",
                "remove_principal d c",
            ],
            &[("a", "command", true), ("a", "web", false), ("d", "command", false)],
        );
    }

    #[test]
    fn resources_are_free_where_nobody_set_anything_up() {
        let access = Access::default();
        access.set_open(true);
        assert!(access.is_allowed("resource.shop", "command.stop"));
        assert!(!access.is_allowed("player.1", "command.stop"));
        access.set_open(false);
        assert!(!access.is_allowed("resource.shop", "command.stop"));
        assert!(!access.remove_ace("a", "b", true) && !access.remove_principal("a", "b"));
    }
}
