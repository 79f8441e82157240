//! What a manifest demands of the server: `dependency '/server:7290'` and the like.

use crate::convars::Convars;

/// The build of FXServer that this host answers for.
pub const SERVER_BUILD: u32 = 25_770;

/// A demand that is not met, in words; `Ok` when it is, or when nothing here could tell.
///
/// - `/server:N`: this host stands for build [`SERVER_BUILD`].
/// - `/onesync`: met unless the convar `onesync` is set to `off`.
/// - `/gameBuild:N`: judged when the convar `sv_enforceGameBuild` is a number; met otherwise, and so are builds by name.
/// - `/native:0x…` and `/policy:…`: met. A native that is missing is told when it is called; policies belong to keys.
pub(crate) fn judge(constraint: &str, convars: &Convars) -> Result<(), String> {
    let body = constraint.strip_prefix('/').unwrap_or(constraint);
    let (name, value) = match body.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
    };
    if !plain(name) || value.is_some_and(|value| !plain(value)) {
        return Err(format!("{constraint:?}: expected a constraint such as '/server:7290'"));
    }
    match name {
        "server" => {
            let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
            // one that does not fit is larger than any build
            let wanted = value.filter(digits).map_or(0, |text| text.parse().unwrap_or(u64::MAX));
            if wanted > u64::from(SERVER_BUILD) {
                return Err(format!("{constraint}: this host stands for build {SERVER_BUILD}"));
            }
            Ok(())
        }
        "onesync" => match convars.get("onesync").as_deref() {
            Some("off" | "0" | "false") => Err(format!("{constraint}: OneSync is off; set onesync on")),
            _ => Ok(()),
        },
        "gameBuild" => {
            let number = |text: &str| text.parse::<u64>().ok();
            let enforced = convars.get("sv_enforceGameBuild").as_deref().and_then(number);
            match (enforced, value.and_then(number)) {
                (Some(enforced), Some(wanted)) if enforced < wanted => {
                    Err(format!("{constraint}: sv_enforceGameBuild is {enforced}"))
                }
                _ => Ok(()),
            }
        }
        "native" | "policy" => Ok(()),
        other => Err(format!("{constraint}: FXServer knows no constraint {other:?}")),
    }
}

/// Whether `installed` is at least `required`: numbers between dots, compared from the left.
pub(crate) fn is_new_enough(installed: &str, required: &str) -> bool {
    let parts = |version: &str| -> Vec<u64> {
        let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
        version.split('.').map(|part| part[..digits(part)].parse().unwrap_or(0)).collect()
    };
    let (mut installed, mut required) = (parts(installed), parts(required));
    let len = installed.len().max(required.len());
    installed.resize(len, 0);
    required.resize(len, 0);
    installed >= required
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(constraint: &str, convars: &[(&str, &str)], expected: Result<(), &str>) {
        let set = Convars::default();
        for (name, value) in convars {
            set.set(name, value);
        }
        match (judge(constraint, &set), expected) {
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{told}"),
            (told, expected) => assert_eq!(told, expected.map_err(str::to_owned)),
        }
    }

    #[test]
    fn constraints_are_judged() {
        check("/server:4500", &[], Ok(()));
        check("/server:99999", &[], Err("build 25770"));
        check("/server:99999999999999999999", &[], Err("build 25770"));
        check("/server:latest", &[], Ok(()));
        check("/onesync", &[], Ok(()));
        check("/onesync", &[("onesync", "off")], Err("set onesync on"));
        check("/gameBuild:2699", &[], Ok(()));
        check("/gameBuild:2699", &[("sv_enforcegamebuild", "2189")], Err("is 2189"));
        check("/gameBuild:h4", &[("sv_enforceGameBuild", "2189")], Ok(()));
        check("/policy:subdir_file_mapping", &[], Ok(()));
        check("/native:0xDEADBEEF", &[], Ok(()));
        check("/moon", &[], Err("no constraint \"moon\""));
        check("/server:..", &[], Err("expected a constraint"));
        check("/", &[], Err("expected a constraint"));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (installed, required, enough) in [
            ("1.10", "1.9", true),
            ("1", "1.0.0", true),
            ("1.2.3-beta", "1.2.3", true),
            ("2.0", "10", false),
            ("", "1", false),
        ] {
            assert_eq!(is_new_enough(installed, required), enough, "{installed} {required}");
        }
    }
}
