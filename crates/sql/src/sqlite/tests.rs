//! Statements and what comes of them: the dialect as data.

use super::*;

/// 2026-01-01 12:00:00 UTC.
const NOW: Duration = Duration::from_secs(1_767_268_800);

fn open() -> Sqlite {
    Sqlite::open(&Storage::Memory, 7).unwrap()
}

fn text_of(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "null".into(),
        SqlValue::Bool(value) => value.to_string(),
        SqlValue::Int(value) => value.to_string(),
        SqlValue::Float(value) => format!("{value:?}"),
        SqlValue::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
        SqlValue::Bytes(bytes) => format!("{bytes:?}"),
    }
}

/// What a statement comes to: rows with `;` between, `affected/id`, or an error.
fn told(database: &mut Sqlite, statement: &str) -> String {
    match database.run(statement, &[], NOW) {
        Ok(Answer::Rows(rows)) => {
            let row = |row: &Vec<SqlValue>| row.iter().map(text_of).collect::<Vec<_>>().join(", ");
            rows.rows.iter().map(row).collect::<Vec<_>>().join("; ")
        }
        Ok(Answer::Done { affected, insert_id }) => format!("{affected}/{insert_id}"),
        Err(error) => format!("error: {error}"),
    }
}

/// Runs statements in turn; the last one's outcome is `expected`.
#[track_caller]
fn check(statements: &[&str], expected: &str) {
    let mut database = open();
    let mut last = String::new();
    for statement in statements {
        assert!(!last.starts_with("error"), "{last} before {statement:?}");
        last = told(&mut database, statement);
    }
    assert_eq!(last, expected, "{statements:?}");
}

const USERS: &str = "CREATE TABLE IF NOT EXISTS `users` (
    `id` int(11) NOT NULL AUTO_INCREMENT, -- numbers
    `identifier` varchar(60) NOT NULL COMMENT 'it''s who',
    `accounts` longtext NULL DEFAULT NULL,
    `group` varchar(50) NULL DEFAULT 'user',
    `dead` tinyint(1) DEFAULT 0,
    `kind` ENUM('a','b') NOT NULL,
    `price` DECIMAL(10,2) UNSIGNED DEFAULT '0.00',
    `born` DATE, `seen` TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP() ON UPDATE CURRENT_TIMESTAMP(),
    `inventory` JSON DEFAULT '{}' CHECK (json_valid(`inventory`)),
    PRIMARY KEY (`id`) USING BTREE, UNIQUE KEY `who` (`identifier`(50)), KEY `group` (`group`, `dead`),
    INDEX (`kind`)
) ENGINE=InnoDB AUTO_INCREMENT=10 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='all';";

const ONE: &str = "INSERT INTO users (identifier, accounts, price, born) VALUES ('char1:abc', '{\"bank\":50,\"n\":\"x\"}', 12.5, '2000-02-29')";

/// On the table of users with one in it.
#[track_caller]
fn check_user(statements: &[&str], expected: &str) {
    let mut all = vec![USERS, ONE];
    all.extend(statements);
    check(&all, expected);
}

#[test]
fn tables_are_made_and_rows_are_given_with_mysqls_types() {
    check(&[USERS, ONE], "1/10");
    check_user(
        &["SELECT * FROM `users` WHERE `IDENTIFIER` = 'CHAR1:ABC' LIMIT 0, 1"],
        "10, 'char1:abc', '{\"bank\":50,\"n\":\"x\"}', 'user', 0, 'a', '12.50', 951782400000, 1767268800000, '{}'",
    );
    check_user(&["INSERT INTO users SET identifier = \"it's\", `kind` = 'b'"], "1/11");
    check_user(
        &[r"INSERT INTO users (identifier) VALUES ('a\'b\\c')", "SELECT identifier FROM users WHERE id = 11"],
        r"'a'b\c'",
    );
    check_user(&["INSERT INTO users (id, identifier) VALUES (DEFAULT, 'x'), (DEFAULT, 'y')"], "2/11");
    check_user(
        &["INSERT INTO users (identifier) VALUES (NULL)"],
        "error: Column 'identifier' cannot be null",
    );
}

#[test]
fn conflicts_go_as_in_mysql() {
    check_user(
        &["INSERT INTO users (identifier) VALUES ('CHAR1:abc')"],
        "error: Duplicate entry for key 'users.identifier'",
    );
    check_user(&["INSERT IGNORE INTO users (identifier) VALUES ('char1:abc')"], "0/0");
    let upsert = "INSERT INTO users (identifier, `group`) VALUES ('char1:abc', 'admin') ON DUPLICATE KEY UPDATE `group` = VALUES(`group`), accounts = CONCAT(`group`, '+', VALUES(`group`))";
    check_user(&[upsert, "SELECT `group`, accounts FROM users"], "'admin', 'user+admin'");
    check_user(&[upsert], "2/10");
    check_user(
        &[
            "INSERT INTO users (identifier) VALUES ('b') AS new ON DUPLICATE KEY UPDATE `group` = new.identifier",
        ],
        "1/11",
    );
    check_user(
        &["INSERT INTO users (identifier) SELECT 'c' FROM users ON DUPLICATE KEY UPDATE `dead` = 1"],
        "1/11",
    );
    check_user(
        &["REPLACE INTO users (id, identifier) VALUES (10, 'new')", "SELECT identifier, accounts FROM users"],
        "'new', null",
    );
}

#[test]
fn updates_and_deletes_have_limits_and_joins() {
    let more = "INSERT INTO users (identifier) VALUES ('b'), ('c'), ('d')";
    check_user(&[more, "UPDATE users SET dead = 1 WHERE id > 10 ORDER BY id DESC LIMIT 2"], "2/0");
    check_user(&[more, "DELETE FROM users ORDER BY id LIMIT 3", "SELECT identifier FROM users"], "'d'");
    check_user(
        &[
            more,
            "UPDATE users u JOIN users v ON v.id = u.id + 1 SET u.accounts = v.identifier WHERE u.id = 11",
            "SELECT accounts FROM users WHERE id = 11",
        ],
        "'c'",
    );
    check_user(
        &[
            more,
            "DELETE u FROM users u INNER JOIN users v ON v.id = u.id - 1 WHERE v.id = 11",
            "SELECT count(*) AS n FROM users",
        ],
        "3",
    );
    check_user(&["UPDATE IGNORE users SET identifier = 'q'"], "1/0");
    check_user(&["UPDATE users SET dead = 0 WHERE id = 10"], "1/0");
    check_user(&["TRUNCATE TABLE users", ONE], "1/1");
}

#[test]
fn a_time_of_change_follows_the_servers_clock() {
    let mut database = open();
    told(&mut database, USERS);
    told(&mut database, ONE);
    database.run("UPDATE users SET dead = 1", &[], NOW + Duration::from_secs(60)).unwrap();
    assert_eq!(told(&mut database, "SELECT seen FROM users"), "1767268860000");
}

#[test]
fn tables_are_altered() {
    let columns = "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'users' AND table_schema = DATABASE()";
    check_user(
        &[
            "ALTER TABLE `users` ADD COLUMN IF NOT EXISTS `job` VARCHAR(20) NOT NULL DEFAULT 'none' AFTER `identifier`, DROP COLUMN kind, CHANGE `group` `rank` varchar(20), ADD INDEX `j` (`job`)",
            columns,
        ],
        "'id,identifier,job,accounts,rank,dead,price,born,seen,inventory'",
    );
    check_user(
        &["ALTER TABLE users ADD job VARCHAR(20) NOT NULL", "SELECT job, identifier, `group` FROM users"],
        "'', 'char1:abc', 'user'",
    );
    check_user(&["ALTER TABLE users ADD COLUMN id INT"], "error: Duplicate column name 'id'");
    check_user(
        &[
            "ALTER TABLE users MODIFY COLUMN accounts INT NOT NULL DEFAULT 3",
            "ALTER TABLE users RENAME TO people",
            "INSERT INTO people (identifier) VALUES ('n')",
            "SELECT accounts, seen FROM people WHERE id = 11",
        ],
        "3, 1767268800000",
    );
    check_user(&["SHOW COLUMNS FROM users LIKE 'dead'"], "'dead', 'tinyint(1)', 'YES', '', '0', ''");
    check_user(&["DESCRIBE users"], "'id', 'int(11)', 'NO', 'PRI', null, 'auto_increment'; 'identifier', 'varchar(60)', 'NO', 'MUL', null, ''; 'accounts', 'longtext', 'YES', '', null, ''; 'group', 'varchar(50)', 'YES', 'MUL', 'user', ''; 'dead', 'tinyint(1)', 'YES', '', '0', ''; 'kind', 'enum('a', 'b')', 'NO', 'MUL', null, ''; 'price', 'decimal(10,2) unsigned', 'YES', '', '0.00', ''; 'born', 'date', 'YES', '', null, ''; 'seen', 'timestamp', 'YES', '', 'current_timestamp()', 'on update current_timestamp()'; 'inventory', 'json', 'YES', '', '{}', ''".replace("'identifier', 'varchar(60)', 'NO', 'MUL'", "'identifier', 'varchar(60)', 'NO', 'UNI'").as_str());
    check_user(&["SHOW TABLES LIKE 'use%'"], "'users'");
    check_user(
        &[
            "CREATE INDEX IF NOT EXISTS g ON users (`group`)",
            "DROP TABLE IF EXISTS nothing",
            "DROP TABLE users",
            "SHOW TABLES",
        ],
        "",
    );
    check_user(&["DROP TABLE nothing"], "error: Table 'tickscope.nothing' doesn't exist");
}

#[test]
fn foreign_keys_hold() {
    let child = "CREATE TABLE vehicles (plate VARCHAR(8) PRIMARY KEY, owner INT, CONSTRAINT fk FOREIGN KEY (owner) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE)";
    check_user(
        &[
            child,
            "INSERT INTO vehicles VALUES ('A', 10)",
            "DELETE FROM users",
            "SELECT count(*) FROM vehicles",
        ],
        "0",
    );
    check_user(
        &[child, "INSERT INTO vehicles VALUES ('A', 99)"],
        "error: Cannot add, update or delete a row: a foreign key constraint fails",
    );
    check_user(&[child, "SET FOREIGN_KEY_CHECKS=0;", "INSERT INTO vehicles VALUES ('A', 99)"], "1/0");
}

#[test]
fn functions_are_mysqls() {
    for (expression, expected) in [
        ("NOW()", "'2026-01-01 12:00:00'"),
        ("CURRENT_TIMESTAMP", "'2026-01-01 12:00:00'"),
        ("UNIX_TIMESTAMP(), UNIX_TIMESTAMP('2026-01-01')", "1767268800, 1767225600"),
        ("FROM_UNIXTIME(1767268800), FROM_UNIXTIME(0, '%Y')", "'2026-01-01 12:00:00', '1970'"),
        (
            "DATE_SUB(NOW(), INTERVAL 7 DAY), NOW() + INTERVAL 1 MONTH, CURDATE() - INTERVAL 1 YEAR",
            "'2025-12-25 12:00:00', '2026-02-01 12:00:00', '2025-01-01'",
        ),
        (
            "DATE_ADD('2026-01-31', INTERVAL 90 MINUTE), DATE('2026-01-31 10:00:00')",
            "'2026-01-31 01:30:00', '2026-01-31'",
        ),
        ("DATEDIFF('2026-03-01', '2026-02-01'), TIMESTAMPDIFF(HOUR, '2026-01-01', NOW())", "28, 12"),
        (
            "DATE_FORMAT(NOW(), '%d.%m.%Y %H:%i'), YEAR(NOW()), HOUR(NOW()), DAYNAME(NOW())",
            "'01.01.2026 12:00', 2026, 12, 'Thursday'",
        ),
        ("CONCAT('a', 1, 'b'), CONCAT('a', NULL), CONCAT_WS('-', 'a', NULL, 'b')", "'a1b', null, 'a-b'"),
        ("IF(1 > 2, 'x', 'y'), IFNULL(NULL, 3), COALESCE(NULL, NULL, 4), NULLIF(1, 1)", "'y', 3, 4, null"),
        (
            "LPAD('7', 3, '0'), RPAD('ab', 1, 'x'), SUBSTRING_INDEX('a:b:c', ':', -2), LEFT('abc', 2), RIGHT('abc', 2), SUBSTRING('abc', 2), MID('abc', 1, 2)",
            "'007', 'a', 'b:c', 'ab', 'bc', 'bc', 'ab'",
        ),
        (
            "UPPER('é'), LENGTH('é'), CHAR_LENGTH('é'), LOCATE('B', 'abc'), REPLACE('aXa', 'X', 'y'), TRIM(BOTH ' ' FROM ' a ')",
            "'É', 2, 1, 2, 'aya', 'a'",
        ),
        (
            "JSON_EXTRACT('{\"a\":{\"b\":2}}', '$.a.b'), JSON_VALUE('{\"a\":\"x\"}', '$.a'), JSON_UNQUOTE('\"q\"'), JSON_LENGTH('[1,2,3]'), JSON_CONTAINS('[1,2]', '2')",
            "2, 'x', 'q', 3, 1",
        ),
        ("'{\"a\":\"x\"}' ->> '$.a'", "'x'"),
        ("FIND_IN_SET('B', 'a,b,c'), FIELD('c', 'a', 'b', 'c'), ELT(2, 'a', 'b')", "2, 3, 'b'"),
        (
            "CAST('12abc' AS UNSIGNED), CAST(3.7 AS SIGNED), CAST(5 AS CHAR), CONVERT('7', UNSIGNED), CAST('2026-01-02 03:04:05' AS DATE)",
            "12, 4, '5', 7, '2026-01-02'",
        ),
        (
            "7 DIV 2, 7 / 2, 7 % 4, MOD(9, 4), TRUE, NOT TRUE, !0, 1 <=> NULL, 1 || 0, 1 && 0, 1 XOR 1",
            "3, 3.5, 3, 1, 1, 0, 1, 0, 1, 0, 0",
        ),
        (
            "GREATEST(1, 5, 3), LEAST(2, 1), FLOOR(1.7), CEIL(1.2), TRUNCATE(1.29, 1), ABS(-1)",
            "5, 1, 1, 2, 1.2, 1",
        ),
        ("'abc' LIKE 'A_c', 'a_c' LIKE 'a\\_c', 'abc' LIKE 'a\\_c', b'101', X'41'", "1, 1, 0, 5, 'A'"),
        ("1 FROM DUAL", "1"),
        ("DATABASE(), ISNULL(NULL)", "'tickscope', 1"),
    ] {
        check(&[&format!("SELECT {expression}")], expected);
    }
    check(&["SELECT RAND() BETWEEN 0 AND 1"], "1");
}

#[test]
fn sums_are_text_and_columns_have_mysqls_names() {
    check_user(&["SELECT SUM(id), AVG(dead), COUNT(*), MAX(id) FROM users"], "'10', 0.0, 1, 10");
    let mut database = open();
    told(&mut database, USERS);
    let Ok(Answer::Rows(rows)) =
        database.run("SELECT COUNT(*), u.id, IF(1, 2, 3), 'x', id AS n FROM users u", &[], NOW)
    else {
        panic!("no rows")
    };
    let names: Vec<_> = rows.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["COUNT(*)", "id", "IF(1, 2, 3)", "x", "n"]);
}

#[test]
fn statements_are_rewritten() {
    for (mysql, sqlite) in [
        ("SELECT a FROM t WHERE b = \"x\" LIMIT 2, 3", "SELECT a FROM t WHERE b = 'x' LIMIT 2, 3"),
        ("INSERT IGNORE INTO d.t (a) VALUES (?)", "INSERT OR IGNORE INTO t (a) VALUES (?1)"),
        ("INSERT INTO t SET a = 1", "INSERT INTO t (a) VALUES (1)"),
        (
            "DELETE FROM t LIMIT 1",
            "DELETE FROM `t` AS `t` WHERE `t`.rowid IN (SELECT `t`.rowid FROM `t` AS `t` LIMIT 1)",
        ),
        (
            "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(5) NOT NULL, KEY k (b(3)))",
            "CREATE TABLE `t` (`a` BIGINT NOT NULL, `b` TEXT COLLATE NOCASE NOT NULL, PRIMARY KEY (`a`))\nCREATE INDEX IF NOT EXISTS `t.k` ON `t` (`b`)",
        ),
        ("SELECT returning FROM t", "SELECT `returning` FROM t"),
        ("SET NAMES utf8", ""),
    ] {
        assert_eq!(crate::rewrite(mysql).unwrap(), sqlite, "{mysql}");
    }
}

#[test]
fn values_stay_with_their_placeholders() {
    let mut database = open();
    told(&mut database, USERS);
    told(&mut database, ONE);
    let values = [SqlValue::Int(10), SqlValue::text("set"), SqlValue::Int(10)];
    let sql = "UPDATE users u JOIN users v ON v.id = ? SET u.accounts = ? WHERE u.id = ?";
    assert_eq!(database.run(sql, &values, NOW).unwrap(), Answer::Done { affected: 1, insert_id: 0 });
    assert_eq!(told(&mut database, "SELECT accounts FROM users"), "'set'");
}

#[test]
fn what_is_not_understood_is_named() {
    for (statement, part) in [
        ("SELEC 1", "SELEC"),
        ("SELECT * FROM", "found: EOF"),
        ("SELECT a REGEXP 'x' FROM t", "REGEXP"),
        ("SELECT nofunction(1)", "FUNCTION nofunction does not exist"),
        ("SELECT @x", "user variables"),
        ("SELECT 1; SELECT 2", "end of statement"),
        ("SELECT x FROM missing", "Table 'tickscope.missing' doesn't exist"),
        ("UPDATE a LEFT JOIN b ON a.x = b.x SET a.x = 1", "outer join"),
        ("CALL something()", "CALL"),
        ("", "found: EOF"),
    ] {
        let told = told(&mut open(), statement);
        assert!(told.starts_with("error: ") && told.contains(part), "{statement}: {told}");
    }
}

#[test]
fn settings_without_meaning_are_taken() {
    for statement in [
        "SET NAMES utf8mb4",
        "SET SQL_MODE = 'NO_AUTO_VALUE_ON_ZERO'",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "USE `es_extended`",
        "CREATE DATABASE IF NOT EXISTS `x`",
        "SET time_zone = '+00:00'",
        "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */",
        "LOCK TABLES `a` WRITE",
        "UNLOCK TABLES",
    ] {
        check(&[statement], "0/0");
    }
}

#[test]
fn a_file_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::File(folder.path().join("database.sqlite"));
    let mut database = Sqlite::open(&storage, 1).unwrap();
    told(&mut database, USERS);
    told(&mut database, ONE);
    drop(database);
    let mut database = Sqlite::open(&storage, 1).unwrap();
    assert_eq!(told(&mut database, "SELECT identifier, seen FROM users"), "'char1:abc', 1767268800000");
    assert_eq!(told(&mut database, "ALTER TABLE users ADD x INT DEFAULT 4"), "0/0");
    assert_eq!(told(&mut database, "SELECT x FROM users"), "4");
    std::fs::write(folder.path().join("no"), "this is not a database, not at all, and long enough").unwrap();
    let error = Sqlite::open(&Storage::File(folder.path().join("no")), 1).err().unwrap();
    assert!(error.0.contains("expected a file that tickscope made"), "{error}");
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(text in "(SELECT|INSERT INTO|UPDATE|CREATE TABLE|ALTER TABLE|DELETE FROM)?[ -~é]{0,60}") {
        let mut database = open();
        let _ = told(&mut database, USERS);
        let _ = told(&mut database, &text);
    }
}
