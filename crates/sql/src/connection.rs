//! Connection strings: `mysql://user:password@host:port/database?option=value` and `key=value;key=value`.

use crate::SqlError;

/// Where a MySQL or MariaDB server is, and as whom to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) socket: Option<String>,
}

fn wrong(problem: &str) -> SqlError {
    // the string itself holds a password
    SqlError(format!(
        "mysql_connection_string: {problem}; expected mysql://user:password@host:port/database, or user=…;password=…;server=…;database=…"
    ))
}

/// `%40` and its like.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                plain.push(code);
                at += 3;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn port(text: &str) -> Result<u16, SqlError> {
    text.trim().parse().map_err(|_| wrong(&format!("{text:?} is no port")))
}

/// Reads a connection string.
///
/// # Errors
/// When a port is none, or no part of it is understood. The error does not show the string.
pub(crate) fn parse(text: &str) -> Result<Address, SqlError> {
    let mut address = Address {
        host: "localhost".into(),
        port: 3306,
        user: None,
        password: None,
        database: None,
        socket: None,
    };
    let text = text.trim();
    let Some(rest) = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")) else {
        return pairs(text, address);
    };
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    // a password may hold an @ that nobody encoded
    let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        address.user = Some(decoded(user));
        address.password = (!password.is_empty()).then(|| decoded(password));
    }
    let (host, database) = place.split_once('/').unwrap_or((place, ""));
    address.database = (!database.is_empty()).then(|| decoded(database));
    let (host, given) = match host.rsplit_once(':') {
        Some((host, given)) if !host.ends_with(':') => (host, Some(given)),
        _ => (host, None),
    };
    if let Some(given) = given {
        address.port = port(given)?;
    }
    if !host.is_empty() {
        address.host = host.trim_matches(['[', ']']).to_owned();
    }
    for option in options.split('&') {
        if let Some(("socketPath", value)) = option.split_once('=') {
            address.socket = Some(decoded(value));
        }
    }
    Ok(address)
}

fn pairs(text: &str, mut address: Address) -> Result<Address, SqlError> {
    let mut understood = false;
    for pair in text.split(';') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let key: String = key.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
        let value = value.trim().to_owned();
        match key.as_str() {
            "host" | "hostname" | "ip" | "server" | "datasource" | "addr" | "address" => address.host = value,
            "port" => address.port = port(&value)?,
            "user" | "userid" | "username" | "uid" => address.user = Some(value),
            "password" | "pwd" | "pass" => address.password = (!value.is_empty()).then_some(value),
            "database" | "db" => address.database = Some(value),
            "socketpath" => address.socket = Some(value),
            _ => continue,
        }
        understood = true;
    }
    if understood { Ok(address) } else { Err(wrong("it is not understood")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: u16, login: (&str, &str), database: &str) {
        let address = parse(text).unwrap();
        let told = |part: &Option<String>| part.clone().unwrap_or_default();
        assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
        assert_eq!(
            (told(&address.user), told(&address.password)),
            (login.0.into(), login.1.into()),
            "{text}"
        );
        assert_eq!(told(&address.database), database, "{text}");
    }

    #[test]
    fn both_forms_are_read() {
        check(
            "mysql://root:p%40ss@db.local:3307/esx?charset=utf8mb4",
            "db.local",
            3307,
            ("root", "p@ss"),
            "esx",
        );
        check("mysql://root@localhost/qb", "localhost", 3306, ("root", ""), "qb");
        check("mysql://u:a@b@h/x", "h", 3306, ("u", "a@b"), "x");
        check(
            "user=root;password=12345;host=localhost;port=3306;database=es",
            "localhost",
            3306,
            ("root", "12345"),
            "es",
        );
        check("Server=10.0.0.1; UID=me; pwd=; db=d", "10.0.0.1", 3306, ("me", ""), "d");
        assert_eq!(
            parse("mysql://r@h/d?socketPath=%2Frun%2Fx.sock").unwrap().socket.as_deref(),
            Some("/run/x.sock")
        );
    }

    #[test]
    fn errors_do_not_show_the_password() {
        for text in ["hunter2", "mysql://root:hunter2@h:port/x"] {
            let error = parse(text).unwrap_err().0;
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(text in "(mysql://)?[ -~é]{0,40}") {
            let _ = parse(&text);
        }
    }
}
