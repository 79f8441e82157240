//! Scenarios: what they do to a server, what they expect, and how they end.

use tickscope_citizen::{Error, ErrorKind, ScenarioConfig};

use crate::world::{Ran, Transcript, World};

/// A server of one resource `a`, and a scenario.
fn world(script: &str, scenario: &str) -> World {
    let mut world = World::new(&[("a/main.lua", script), ("play.lua", scenario)]);
    world.config.scenario = Some(ScenarioConfig::file(world.folder.path().join("play.lua")));
    world
}

fn run(script: &str, scenario: &str, ticks: u64) -> Ran {
    world(script, scenario).run(ticks)
}

/// What both print within 100 ticks, five seconds; nothing may fail.
#[track_caller]
fn check(script: &str, scenario: &str, expected: &[&str]) {
    let ran = run(script, scenario, 100);
    assert_eq!(ran.lines, expected, "{scenario}");
    assert!(ran.outcome.scenario.unwrap().is_success());
}

/// The errors, as `file:line: message`, and the account.
#[track_caller]
fn check_failing(scenario: &str, expected: &[&str], (held, failed, errors): (u64, u64, u64)) {
    let ran = run("", scenario, 100);
    let told = ran.outcome.errors.iter().map(|error| {
        assert_eq!(error.resource, "scenario");
        format!("{}:{}: {}", error.file, error.line, error.message)
    });
    assert_eq!(told.collect::<Vec<_>>(), expected, "{scenario}");
    let outcome = ran.outcome.scenario.unwrap();
    assert_eq!((outcome.held, outcome.failed, outcome.errors), (held, failed, errors));
    assert!(!outcome.is_success());
}

#[test]
fn a_player_is_connected_acts_and_leaves() {
    check(
        "RegisterNetEvent('bank:pay', function(amount) print(source, 'pays', amount) end)
         AddEventHandler('playerDropped', function(reason) print(source, reason) end)
         RegisterCommand('me', function(source, args, raw) print(source, args[1], raw) end)",
        "local ada = Players.connect{ name = 'Ada', license = 'ff', identifiers = { 'steam:11' }, ping = 33 }
         log(ada, ada.name, ada.source, ada.ping, #Players.all(), GetPlayerIdentifierByType(1, 'license'))
         ada:trigger('bank:pay', 100)
         ada:trigger('nobody:listens', 1)
         log(ada:command('/me waves'), ada:command('nothing of that name'))
         ada.ping = 80
         log(ada.ping, ada.connected, GetPlayerIdentifier(1, 1))
         log(ada:drop('Bye'), ada.connected, ada:trigger('bank:pay', 1), ada:drop())",
        &[
            "scenario: player 1 (Ada) Ada 1 33 1 license:ff",
            "a: 1\tpays\t100",
            "a: 1\twaves\tme waves",
            "scenario: true false",
            "scenario: 80 true steam:11",
            "a: 1\tBye",
            "scenario: true false false false",
        ],
    );
}

#[test]
fn deferrals_are_waited_for() {
    check(
        "AddEventHandler('playerConnecting', function(name, _, deferrals)
            deferrals.defer()
            Wait(500)
            deferrals.done(name == 'Mallory' and 'not you' or nil)
         end)",
        "log(Players.connect('Ada') ~= nil, GetGameTimer())
         log(Players.connect('Mallory'))",
        &["scenario: true 550", "scenario: nil not you"],
    );
}

#[test]
fn what_the_server_sends_is_kept_waited_for_and_reacted_to() {
    check(
        "RegisterNetEvent('ask', function(answer)
            local me = source
            TriggerClientEvent('hello', me, 'you', { 1, 2 })
            CreateThread(function() Wait(200) TriggerClientEvent('later', -1, answer(20)) end)
            TriggerClientEvent('question', me, 7)
         end)
         RegisterNetEvent('answer', function(number) print(source, 'answers', number) end)",
        "local ada, bob = Players.connect('Ada'), Players.connect('Bob')
         ada:on('question', function(number) ada:trigger('answer', number * 2) end)
         ada:trigger('ask', function(number) return number + 1 end)
         log('later', ada:expect_event('later', '1s'))
         log('bob too', bob:wait_event('later'))
         log('again', bob:wait_event('later', '100ms'))
         for _, event in ipairs(ada:events()) do log(event.name, event.args.n, event.args[1]) end
         local who, list = ada:expect_event('hello', 0)
         log(who, list[2], #ada:events('hello'), #ada:events())
         ada:forget_events()
         log(#ada:events())",
        &[
            "a: 1\tanswers\t14",
            "scenario: later 21",
            "scenario: bob too true 21",
            "scenario: again false",
            "scenario: hello 2 you",
            "scenario: question 1 7",
            "scenario: you 2 0 1",
            "scenario: 0",
        ],
    );
}

#[test]
fn times_are_words_or_milliseconds() {
    check(
        "",
        "local beat = every('1s', function() log('beat', GetGameTimer()) end)
         at('2.5s', function() beat:stop() log('at', GetGameTimer()) end)
         wait('250ms') log(GetGameTimer())
         wait(100) log(GetGameTimer())
         for _, wrong in ipairs{ '5', 'soon', -1, {} } do
            local fine, problem = pcall(function() wait(wrong) end)
            log(fine, (tostring(problem):gsub('table: .*', 'a table')))
         end",
        &[
            "scenario: 250",
            "scenario: 350",
            "scenario: false @scenario/play.lua:6: expected a time such as '250ms', '10s', '5m' or milliseconds, got 5",
            "scenario: false @scenario/play.lua:6: expected a time such as '250ms', '10s', '5m' or milliseconds, got soon",
            "scenario: false @scenario/play.lua:6: expected a time such as '250ms', '10s', '5m' or milliseconds, got -1",
            "scenario: false @scenario/play.lua:6: expected a time such as '250ms', '10s', '5m' or milliseconds, got a table",
            "scenario: beat 1000",
            "scenario: beat 2000",
            "scenario: at 2500",
        ],
    );
}

#[test]
fn a_rush_connects_many_and_waits_for_their_stories() {
    check(
        "AddEventHandler('playerConnecting', function(name, refuse) if name == 'p3' then refuse('full') CancelEvent() end end)
         AddEventHandler('playerJoining', function() print(GetPlayerName(source), GetGameTimer()) end)",
        "local crowd = rush(4, { over = '3s', name = function(number) return 'p' .. number end,
            story = function(player, number) wait(number * 100) end })
         log(crowd:wait(), crowd.connected, crowd.refused, #GetPlayers(), GetGameTimer())",
        &[
            "a: p1\t50",
            "a: p2\t1000",
            "scenario: player 3 was refused: full",
            "a: p4\t3000",
            "scenario: true 3 1 0 3400",
        ],
    );
}

#[test]
fn random_numbers_follow_the_seed() {
    let scenario = "for _ = 1, 3 do log(random(1000), random(), random(1, 2.5), random{ 'a', 'b', 'c' }) end";
    let lines = |seed| {
        let mut world = world("", scenario);
        world.config.seed = seed;
        world.run(1).lines
    };
    assert_eq!(lines(7), lines(7));
    assert_ne!(lines(7), lines(8));
}

#[test]
fn the_number_of_players_and_exports_are_there() {
    let mut world = world(
        "exports('balance', function(who) return who * 10 end)",
        "log(PLAYERS, exports.a:balance(4), GetNumResources(), GetCurrentResourceName(), GetResourceState('scenario'))
         finish()",
    );
    world.config.scenario.as_mut().unwrap().players = Some(12);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    server.tick();
    assert!(server.is_finished());
    server.stop();
    assert_eq!(transcript.lines.take(), ["scenario: 12 40 1 scenario missing"]);
}

#[test]
fn expectations_are_counted_and_told_with_their_line() {
    check_failing(
        "expect(1 + 1 == 2)
         expect(false)
         expect(nil, 'a car')
         expect_equal(1, 1.0)
         expect_equal({ 1, { a = 2 } }, { 1, { a = 2 } })
         expect_equal({ 1 }, { 1, 2 }, 'the list')
         local ada = Players.connect('Ada')
         ada:expect_event('never', '1s')",
        &[
            "play.lua:2: an expectation did not hold",
            "play.lua:3: a car",
            "play.lua:6: the list: expected [1,2], got [1]",
            "play.lua:8: player 1 (Ada) got no event never within 1s",
        ],
        (3, 4, 0),
    );
}

#[test]
fn errors_name_the_line_and_the_server_goes_on() {
    check_failing(
        "at('1s', function() error('on purpose') end)
         at('2s', function() Players.connect(5) end)
         at('3s', function() expect(true) end)
         rush(1, 5)",
        &[
            "play.lua:4: expected rush(count, function(player, number) … end) or rush(count, { over = '10s', story = … })",
            "play.lua:1: on purpose",
            "play.lua:2: expected { name = '…' }, got 5",
        ],
        (1, 0, 3),
    );
    check_failing("wait(\n", &["play.lua:2: unexpected symbol near <eof>"], (0, 0, 1));
}

#[test]
fn stories_that_did_not_end_are_counted() {
    let ran = run("", "rush(3, function(player, number) wait(number == 2 and '1h' or 0) end)", 250);
    let outcome = ran.outcome.scenario.unwrap();
    assert_eq!((outcome.unfinished, outcome.errors), (1, 0));
}

#[test]
fn a_scenario_that_is_not_there_is_an_error() {
    let mut world = World::new(&[("a/main.lua", "")]);
    world.config.scenario = Some(ScenarioConfig::file("nowhere.lua"));
    let error = world.start(&Transcript::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Scenario { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.lua"));
}

#[test]
fn an_error_of_a_resource_is_not_the_scenarios() {
    let ran = run("CreateThread(function() error('x') end)", "expect(true)", 5);
    assert_eq!(ran.outcome.errors[0].kind, ErrorKind::Script);
    assert!(ran.outcome.scenario.unwrap().is_success());
}

#[test]
fn a_player_fills_in_cards_and_gives_up_when_nobody_decides() {
    check(
        "AddEventHandler('playerConnecting', function(name, _, deferrals)
           deferrals.handover({ theme = 'dark' }) deferrals.defer()
           if name == 'Mallory' then return end
           deferrals.presentCard({ type = 'AdaptiveCard', ask = 'password' }, function(data, raw)
             print(name, data.password, raw)
             if data.password == 'secret' then deferrals.done() else
               deferrals.presentCard('{\"ask\":\"again\"}', function(data) deferrals.done('wrong: ' .. data.password) end)
             end
           end)
         end)",
        "local function answer(with) return function(card, resource) log(resource, card.ask) return { password = with } end end
         log(Players.connect{ name = 'Ada', answer = answer('secret') }.name)
         log(Players.connect{ name = 'Bob', answer = answer('x') })
         log(Players.connect{ name = 'Mallory', patience = '500ms' })
         log(#GetPlayers(), Players.connect{ name = 'Carol', patience = '200ms' })",
        &[
            "scenario: a password",
            "a: Ada\tsecret\t{\"password\":\"secret\"}",
            "scenario: Ada",
            "scenario: a password",
            "a: Bob\tx\t{\"password\":\"x\"}",
            "scenario: a again",
            "scenario: nil wrong: x",
            "scenario: nil nobody let the player in: a: Deferring connection...\n",
            "scenario: 1 nil nobody let the player in: a: {\"ask\":\"password\",\"type\":\"AdaptiveCard\"}\n",
        ],
    );
}

#[test]
fn a_scenario_is_written_in_cfxlua() {
    check("", "local n, t = 1\nn += 1\nlog(n, `adder`, t?.x)", &["scenario: 2 -1216765807 nil"]);
    check_failing("local n = 1\n\nn +=", &["play.lua:3: unexpected symbol near <eof>"], (0, 0, 1));
}
