//! SQL through the exports of oxmysql, mysql-async and ghmattimysql.

use std::time::Duration;

use tickscope_core::{CategoryId, Event, LinkKind};

use crate::mariadb::MariaDb;
use crate::world::World;

const SCHEMA: &str = "
-- the users of the tests
CREATE TABLE IF NOT EXISTS `users` (
  `id` INT(11) NOT NULL AUTO_INCREMENT,
  `identifier` VARCHAR(60) NOT NULL,
  `money` INT(11) NOT NULL DEFAULT 0,
  `dead` TINYINT(1) NOT NULL DEFAULT 0,
  `price` DECIMAL(10,2) DEFAULT NULL,
  `born` DATE DEFAULT NULL,
  `accounts` LONGTEXT DEFAULT NULL,
  `picture` BLOB DEFAULT NULL,
  PRIMARY KEY (`id`), UNIQUE KEY `identifier` (`identifier`), KEY `money` (`money`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

/*!40000 ALTER TABLE `users` DISABLE KEYS */;
INSERT INTO `users` (`identifier`, `money`, `price`, `born`, `picture`) VALUES ('one;', 5, 1.5, '2000-02-29', X'00FF'), ('two', 7, NULL, NULL, NULL);
";

const MANIFEST: &str = "fx_version 'cerulean' game 'gta5' dependency 'oxmysql' server_scripts { '@oxmysql/lib/MySQL.lua', 'main.lua' }";

fn world(script: &str) -> World {
    World::new(&[("a/fxmanifest.lua", MANIFEST), ("a/sql/users.sql", SCHEMA), ("a/main.lua", script)])
}

/// What the resource `a` prints within twenty ticks.
#[track_caller]
fn check(script: &str, expected: &[&str]) {
    let ran = world(script).run(20);
    let mut lines: Vec<_> = ran.lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line)).collect();
    lines.retain(|line| !line.contains("statements set the database up"));
    assert_eq!(lines, expected, "{script}");
}

#[test]
fn the_library_answers_in_mysqls_types() {
    check(
        "local row = MySQL.single.await('SELECT * FROM users WHERE identifier = ?', { 'one;' })
         print(row.id, row.money, row.dead, row.price, row.born, row.accounts, row.picture[2], math.type(row.money))
         print(MySQL.scalar.await('SELECT money FROM users WHERE id = 2'), MySQL.scalar.await('SELECT 1 FROM users WHERE id = 9'))
         print(#MySQL.query.await('SELECT * FROM users'), json.encode(MySQL.single.await('SELECT id FROM users WHERE id = 9')))
         print(MySQL.insert.await('INSERT INTO users (identifier, dead) VALUES (?, ?)', { 'three', true }))
         print(MySQL.update.await('UPDATE users SET money = money + 1 WHERE id > ?', { 1 }))
         print(MySQL.scalar.await('SELECT dead FROM users WHERE id = 3'), MySQL.scalar.await('SELECT SUM(money) FROM users'))
         local done = MySQL.query.await('DELETE FROM users WHERE id = 3')
         print(done.affectedRows, done.insertId)",
        &["1\t5\tfalse\t1.50\t951782400000\tnil\t255\tinteger", "7\tnil", "2\tnull", "3", "2", "true\t14", "1\t0"],
    );
}

#[test]
fn parameters_come_in_every_form() {
    check(
        "local function ids(query, parameters)
             local list = {}
             for _, row in ipairs(MySQL.query.await(query, parameters)) do list[#list + 1] = row.id end
             print(table.concat(list, ','))
         end
         ids('SELECT id FROM users WHERE money = @money', { ['@money'] = 5 })
         ids('SELECT id FROM users WHERE money = :money', { money = 7 })
         ids('SELECT id FROM users WHERE id IN (?) ORDER BY id', { { 1, 2 } })
         ids('SELECT id FROM users WHERE ?? = ?', { 'money', 5.0 })
         ids('SELECT id FROM users WHERE born <=> ? AND money = ?', { nil, 7 })",
        &["1", "2", "1,2", "1", "2"],
    );
}

#[test]
fn prepared_statements_unpack() {
    check(
        "print(MySQL.prepare.await('SELECT money FROM users WHERE id = ?', { 1 }))
         print(MySQL.prepare.await('SELECT id, dead FROM users WHERE id = ?', { 1 }).dead)
         print(MySQL.prepare.await('SELECT id FROM users WHERE id = ?', { 9 }), #MySQL.prepare.await('SELECT id, money FROM users'))
         print(json.encode(MySQL.prepare.await('INSERT INTO users (identifier) VALUES (?)', { { 'x' }, { 'y' } })))
         print(json.encode(MySQL.prepare.await('UPDATE users SET money = ? WHERE identifier = ?', { { 1, 'x' }, { 2, 'nobody' } })))
         print(#MySQL.rawExecute.await('SELECT id FROM users WHERE id = ?', { 1 }))
         print(pcall(MySQL.prepare.await, 'DROP TABLE users'))",
        &[
            "5", "0", "nil\t2", "[3,4]", "[1,0]", "1",
            "false\ta was unable to execute a query!\nPrepared statements only accept SELECT, INSERT, UPDATE, and DELETE methods.",
        ],
    );
}

#[test]
fn transactions_happen_whole_or_not() {
    let ran = world(
        "print(MySQL.transaction.await({ { query = 'UPDATE users SET money = 0 WHERE id = ?', values = { 1 } }, { 'UPDATE users SET money = ? WHERE id = 2', { 1 } } }))
         print(MySQL.transaction.await({ 'UPDATE users SET money = 99', 'UPDATE nothing SET x = 1' }))
         print(MySQL.scalar.await('SELECT MAX(money) FROM users'))
         print(MySQL.startTransaction(function(query)
             query('UPDATE users SET money = ? WHERE id = ?', { 50, 1 })
             CreateThreadNow(function() print('beside', MySQL.scalar.await('SELECT money FROM users WHERE id = 1')) end)
             Wait(100)
             return query('SELECT money FROM users WHERE id = 1')[1].money ~= 50
         end))",
    )
    .run(40);
    let printed: Vec<_> = ran.lines.iter().filter_map(|line| line.strip_prefix("a: ")).collect();
    assert_eq!(printed, ["true", "false", "1", "false", "beside\t0"]);
    let error = &ran.outcome.errors[0];
    assert!(
        error.message.starts_with("a was unable to execute a transaction!\nQuery: UPDATE nothing"),
        "{error}"
    );
    assert_eq!((error.file.as_str(), error.line), ("main.lua", 2));
}

#[test]
fn the_older_families_have_their_exports() {
    check(
        "MySQL.ready(function()
             MySQL.Async.fetchAll('SELECT id FROM users WHERE identifier = @id', { ['@id'] = 'two' }, function(rows) print(rows[1].id) end)
             print(MySQL.Sync.fetchScalar('SELECT COUNT(*) FROM users'), MySQL.Sync.execute('UPDATE users SET money = 1', {}))
             exports['mysql-async']:mysql_fetch_all('SELECT id FROM users', {}, function(rows) print('async', #rows) end)
             exports['mysql-async']:mysql_insert('INSERT INTO users (identifier) VALUES (@i)', { ['@i'] = 'n' }, function(id) print('id', id) end)
             print(exports.ghmattimysql:executeSync('SELECT id FROM users WHERE id = ?', { 1 })[1].id)
             exports.ghmattimysql:execute('SELECT id FROM users', function(rows) print('ghmatti', #rows) end)
             exports.oxmysql:scalar('SELECT 7', {}, print)
             print(exports.oxmysql:scalar_async('SELECT 8'), exports.oxmysql:isReady(), GetResourceState('oxmysql'), GetResourceState('mysql-async'))
         end)",
        &["2", "2\t2", "async\t2", "id\t3", "1", "ghmatti\t3", "7", "8\ttrue\tstarted\tstarted"],
    );
}

#[test]
fn errors_name_the_query_and_the_line() {
    let ran = world(
        "MySQL.query('SELECT nothing FROM users', {}, function() print('never') end)
         local ok, problem = pcall(MySQL.query.await, 'SELEC 1')
         print(ok, (problem:gsub('syntax.*', '')))
         exports.oxmysql:query('SELECT x FROM missing', {})
         exports.oxmysql:query('SELECT x FROM missing', {}, function(rows, problem) print(rows, problem ~= nil) end, 'me', true)
         print(pcall(MySQL.query, 5))",
    )
    .run(10);
    let printed: Vec<_> = ran.lines.iter().filter_map(|line| line.strip_prefix("a: ")).collect();
    assert_eq!(printed.len(), 3, "{printed:?}");
    assert!(
        printed[0].starts_with(
            "false\ta was unable to execute a query!\nQuery: SELEC 1\nYou have an error in your SQL"
        ),
        "{printed:?}"
    );
    assert!(printed[1].starts_with("false\t") && printed[1].contains("expected string"), "{printed:?}");
    assert_eq!(printed[2], "nil\ttrue");
    let lines: Vec<_> = ran.outcome.errors.iter().map(|error| (error.file.as_str(), error.line)).collect();
    assert_eq!(lines, [("main.lua", 1), ("main.lua", 4)]);
    let first = &ran.outcome.errors[0].message;
    assert!(first.contains("Unknown column 'nothing' in 'field list'"), "{first}");
}

#[test]
fn answers_take_their_latency_and_the_clock_is_the_servers() {
    let mut world = world(
        "local begun = GetGameTimer()
         print(MySQL.scalar.await('SELECT NOW()'), GetGameTimer() - begun)
         print(MySQL.scalar.await('SELECT UNIX_TIMESTAMP()') == os.time(), GetGameTimer() - begun)",
    );
    world.config.database.latency = (Duration::from_millis(120), Duration::from_millis(140));
    let ran = world.run(20);
    let printed: Vec<_> = ran.lines.iter().filter_map(|line| line.strip_prefix("a: ")).collect();
    assert_eq!(printed, ["2026-01-01 00:00:00\t150", "true\t300"]);
}

#[test]
fn a_file_keeps_the_data_and_schemas_are_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world(
        "print(MySQL.insert.await('INSERT INTO users (identifier) VALUES (?)', { tostring(GetConvar('who', '')) }))",
    );
    world.config.database.file = Some(folder.path().join("data.sqlite"));
    for (who, expected) in [("x", "a: 3"), ("y", "a: 4")] {
        world.config.convars = vec![("who".into(), who.into())];
        let lines = world.run(5).lines;
        assert!(lines.iter().any(|line| line == expected), "{lines:?}");
    }
    world.config.database.file = Some(folder.path().join("no/such/folder/data.sqlite"));
    let ran = world.run(5);
    assert!(ran.outcome.errors[0].message.contains("data.sqlite"), "{:?}", ran.outcome.errors);
}

#[test]
fn schemas_can_be_left_alone() {
    let mut world = world("print(#MySQL.query.await('SHOW TABLES'))");
    world.config.convars = vec![("tickscope_sql".into(), "off".into())];
    assert_eq!(world.run(5).lines, ["a: 0"]);
}

#[test]
fn queries_are_spans_of_their_shape_linked_to_both_sides() {
    let world = world(
        "CreateThread(function() MySQL.query.await(\"SELECT * FROM users WHERE identifier = 'secret' LIMIT 3\") end)",
    );
    let (sink, _) = world.record(10);
    let names = &sink.dictionary;
    let begins: Vec<_> = sink
        .samples
        .iter()
        .filter_map(|sample| match sample.event {
            Event::Begin(begin) => Some((sample.track, begin)),
            _ => None,
        })
        .collect();
    let (track, query) = begins
        .iter()
        .find(|(_, begin)| {
            begin.category == CategoryId::SQL && names.symbol(begin.symbol).name.contains("SELECT")
        })
        .unwrap();
    let symbol = names.symbol(query.symbol);
    assert_eq!(&*symbol.name, "sql SELECT * FROM users WHERE identifier = ? LIMIT ?");
    assert_eq!(&*symbol.resource, "a");
    assert_eq!(query.link.unwrap().kind, LinkKind::Flow);
    let point = sink.samples.iter().find_map(|sample| match sample.event {
        Event::LinkPoint { id, .. } if sample.track == *track => {
            begins.iter().any(|(_, begin)| begin.link.is_some_and(|link| link.source == id)).then_some(id)
        }
        _ => None,
    });
    let awaited = begins.iter().find(|(_, begin)| {
        begin.link.is_some_and(|link| link.kind == LinkKind::Await && Some(link.source) == point)
    });
    assert!(point.is_some() && awaited.is_some());
    let end = sink.samples.iter().find_map(|sample| match sample.event {
        Event::End(end) if end.span == query.span => Some(end.args),
        _ => None,
    });
    let keys: Vec<_> = sink.as_batch().args(end.unwrap()).iter().map(|arg| names.key(arg.key)).collect();
    assert_eq!(keys, ["queued_ns", "ran_ns"]);
}

#[test]
fn two_runs_are_the_same() {
    let run = || {
        let mut world = world(
            "for player = 1, 5 do CreateThread(function()
                 for turn = 1, 3 do print(player, turn, MySQL.scalar.await('SELECT RAND() + ?', { player })) end
             end) end",
        );
        world.config.database.latency = (Duration::from_millis(1), Duration::from_millis(200));
        world.config.seed = 7;
        world.run(30).lines
    };
    let first = run();
    assert_eq!(first.iter().filter(|line| line.starts_with("a: ")).count(), 15);
    assert_eq!(first, run());
}

/// Statements of the forms that frameworks use, each answer written out.
const ALIKE: &str = r#"
local function told(value)
    if type(value) ~= 'table' then return tostring(value) end
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for at, key in ipairs(keys) do keys[at] = tostring(key) .. '=' .. told(value[key]) end
    return '{' .. table.concat(keys, ' ') .. '}'
end
local function ask(method, query, values)
    local ok, answer = pcall(MySQL[method].await, query, values)
    -- how many rows a server copies to change a table is its own affair
    local tells = ok and not tostring(query):find('^ALTER')
    print(method, ok, tells and told(answer) or '')
end
ask('query', [[CREATE TABLE IF NOT EXISTS users (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, identifier VARCHAR(60) NOT NULL,
    money INT NOT NULL DEFAULT 0, dead TINYINT(1) DEFAULT 0, price DECIMAL(10,2) DEFAULT NULL, born DATE DEFAULT NULL,
    kind ENUM('a','b') NOT NULL DEFAULT 'a', ratio DOUBLE DEFAULT 0.5, accounts LONGTEXT DEFAULT NULL, flags BIT(1) DEFAULT b'1',
    made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, picture BLOB DEFAULT NULL,
    UNIQUE KEY identifier (identifier), KEY money (money, dead)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4]])
ask('query', 'CREATE TABLE vehicles (plate VARCHAR(12) NOT NULL, owner INT, vehicle LONGTEXT, stored TINYINT(1) NOT NULL DEFAULT 1, PRIMARY KEY (plate), CONSTRAINT fk_owner FOREIGN KEY (owner) REFERENCES users (id) ON DELETE CASCADE)')
ask('insert', 'INSERT INTO users (identifier, money, price, born, accounts, picture) VALUES (?, ?, ?, ?, ?, ?)', { 'char1:a', 100, 12.5, '2000-02-29', '{"bank":50,"name":"x"}', 'bytes' })
ask('insert', 'INSERT INTO users (identifier, money) VALUES (?, ?), (?, ?)', { 'char1:b', 200, "it's \"q\" \\ ü", 300 })
ask('query', 'SELECT * FROM users ORDER BY id')
ask('prepare', 'SELECT * FROM users WHERE id = ?', { 1 })
ask('single', 'SELECT identifier, dead FROM users WHERE IDENTIFIER = ?', { 'CHAR1:A' })
ask('scalar', 'SELECT COUNT(*) FROM users WHERE identifier LIKE ?', { 'char1:%' })
ask('scalar', 'SELECT SUM(money) FROM users')
ask('query', 'SELECT dead, COUNT(*), MAX(money) AS top FROM users GROUP BY dead')
ask('update', 'UPDATE users SET money = money + ? WHERE id = ?', { 5, 1 })
ask('update', 'UPDATE users SET money = money WHERE id = 1')
ask('update', 'INSERT INTO users (identifier, money) VALUES (?, ?) ON DUPLICATE KEY UPDATE money = VALUES(money)', { 'char1:a', 7 })
ask('update', 'INSERT INTO users (identifier, money) VALUES (?, ?) ON DUPLICATE KEY UPDATE money = VALUES(money)', { 'char1:new', 8 })
ask('query', 'INSERT IGNORE INTO users (identifier) VALUES (?)', { 'char1:a' })
ask('insert', 'INSERT INTO users (identifier) VALUES (?)', { 'char1:a' })
ask('insert', 'INSERT INTO vehicles (plate, owner, vehicle) VALUES (?, ?, ?)', { 'ABC 123', 1, '{}' })
ask('insert', 'INSERT INTO vehicles (plate, owner) VALUES (?, ?)', { 'X', 999 })
ask('query', 'SELECT u.identifier, v.plate, v.stored FROM users u LEFT JOIN vehicles v ON v.owner = u.id WHERE u.id < 3 ORDER BY u.id')
ask('update', 'UPDATE vehicles v JOIN users u ON u.id = v.owner SET v.vehicle = u.identifier WHERE u.money > ?', { 0 })
ask('scalar', 'SELECT vehicle FROM vehicles')
ask('query', 'SELECT id FROM users WHERE id IN (?) ORDER BY id DESC LIMIT 1, 1', { { 1, 2, 3 } })
ask('query', 'SELECT id, JSON_VALUE(accounts, "$.bank") AS bank FROM users WHERE JSON_VALUE(accounts, "$.name") = "x"')
ask('query', "SELECT IF(money > 100, 'rich', 'poor') AS class, CONCAT(id, ':', kind) AS tag, IFNULL(born, 'none') AS p FROM users ORDER BY id")
ask('query', 'SELECT GROUP_CONCAT(id ORDER BY id SEPARATOR "-") AS ids FROM users')
ask('query', 'SELECT DATE_FORMAT(born, "%d.%m.%Y") AS d, DATEDIFF("2000-03-01", born) AS days FROM users WHERE born IS NOT NULL')
ask('scalar', 'SELECT UNIX_TIMESTAMP("2026-01-01 00:00:00")')
ask('scalar', 'SELECT DATE_ADD("2026-01-31 10:00:00", INTERVAL 1 MONTH)')
ask('query', 'SELECT SUBSTRING_INDEX(identifier, ":", -1) AS s, LPAD(id, 3, "0") AS l FROM users WHERE id = 1')
ask('scalar', 'SELECT CAST("12" AS UNSIGNED) + 1')
ask('query', 'ALTER TABLE users ADD COLUMN IF NOT EXISTS job VARCHAR(20) NOT NULL DEFAULT "none" AFTER money')
ask('query', 'ALTER TABLE users CHANGE COLUMN kind class VARCHAR(5) DEFAULT "z", ADD INDEX job (job)')
ask('single', 'SELECT job, class, dead FROM users WHERE id = 1')
ask('query', 'SHOW COLUMNS FROM vehicles LIKE "stored"')
ask('scalar', 'SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = "users" AND column_name = "job"')
ask('transaction', { 'UPDATE users SET money = 1', 'UPDATE nothing SET money = 2' })
ask('transaction', { { query = 'UPDATE users SET money = ? WHERE id = ?', values = { 11, 1 } }, { query = 'DELETE FROM users WHERE id = ?', values = { 2 } } })
ask('query', 'SELECT id, money FROM users ORDER BY id')
ask('update', 'DELETE FROM users ORDER BY id LIMIT 1')
ask('scalar', 'SELECT COUNT(*) FROM vehicles')
ask('query', 'SELECT nonsense FROM users')
"#;

#[test]
fn sqlite_and_mariadb_answer_alike() {
    let Some(server) = MariaDb::start() else {
        eprintln!(
            "skipped: sqlite_and_mariadb_answer_alike (mariadbd is not installed: Debian's mariadb-server)"
        );
        return;
    };
    let answers = |connection: Option<String>| {
        let files = [("a/fxmanifest.lua", MANIFEST), ("a/main.lua", ALIKE)];
        let mut world = World::new(&files);
        world.config.convars.extend(connection.map(|text| ("mysql_connection_string".to_owned(), text)));
        let ran = world.run(200);
        ran.lines.into_iter().filter(|line| line.starts_with("a: ")).collect::<Vec<_>>()
    };
    server.create("tickscope");
    let (embedded, real) = (answers(None), answers(Some(server.connection("tickscope"))));
    assert_eq!(embedded.len(), ALIKE.matches("\nask(").count(), "{embedded:#?}");
    for (embedded, real) in embedded.iter().zip(&real) {
        assert_eq!(embedded, real);
    }
    assert_eq!(embedded.len(), real.len());
}
