//! What becomes of posts: spans, late ticks, causes.

use tickscope_analysis::Blame;
use tickscope_collect::Taken;

use super::*;

#[track_caller]
fn check(texts: &[(&str, u64)], expected: &str) {
    let (all, _) = Posting::new().taken(texts).end();
    assert_eq!(outline(&all), expected);
}

const OF_SHOPS: &str = "of shops 0\nname 2 event shops:open @shops/server/main.lua:88\n\
                        name 3 thread @shops/server/main.lua:5\nname 4 call bank.take\nname 5 timer @shops/x.lua:1\n";

#[test]
fn ticks_alone_are_ticks() {
    check(&[(&post(1, 90, "ticks 1 0 50000000 40000000\n"), 90)], "tick()tick()");
}

#[test]
fn what_lies_within_another_was_caused_by_it() {
    let rows = slices(&[(110, 20, 4, 7, 7), (102, 40, 2, 7, 0), (150, 10, 3, 8, 7), (170, 5, 5, 9, 7)]);
    let bank = format!("of bank 0\nname 2 export take @bank/main.lua:3\n{}", slices(&[(112, 10, 2, 1, 0)]));
    let lines = format!("ticks 1 0 100000000 100000000\nflight 0 200000000\n{OF_SHOPS}{rows}{bank}landed\n");
    check(
        &[(&post(1, 200, &lines), 200)],
        "tick()tick(shops:open(call bank.take(take()))→@shops/server/main.lua:5()→@shops/x.lua:1())",
    );
}

#[test]
fn a_flight_may_come_in_parts() {
    let first =
        format!("ticks 1 0 100000000\nflight 0 100000000\n{OF_SHOPS}{}", slices(&[(20, 10, 2, 1, 0)]));
    let second = format!("flight 0 100000000\n{OF_SHOPS}{}landed\n", slices(&[(10, 5, 3, 2, 0)]));
    check(
        &[(&post(1, 100, &first), 100), (&post(2, 150, &second), 150)],
        "tick(@shops/server/main.lua:5()shops:open())",
    );
}

#[test]
fn a_late_tick_is_blamed_on_who_did_it() {
    let rows = slices(&[(160, 20, 3, 8, 0), (52, 330, 2, 7, 0)]);
    let lines = format!(
        "ticks 8122 0 50000000 360000000\nflight 0 410000000\n{OF_SHOPS}{rows}landed\nheap 5000 shops\n"
    );
    let report = Posting::new()
        .taken(&[(&post(1, 410, &lines), 410), (&post(2, 500, "heap 7000 shops\n"), 500)])
        .report();
    let [late] = &report.late_ticks[..] else { panic!("{:#?}", report.late_ticks) };
    assert_eq!((late.tick, late.blame, late.duration_ns), (8123, Blame::Script, 360 * MS));
    let culprit = late.chains[0].culprit().unwrap();
    let symbol = &culprit.symbol;
    assert_eq!((culprit.kind.as_str(), culprit.total_ns), ("event", 330 * MS));
    assert_eq!(
        (&*symbol.resource, &*symbol.name, &*symbol.file, symbol.line),
        ("shops", "shops:open", "server/main.lua", 88)
    );
    let shops = report.resources.iter().find(|row| row.name == "shops").unwrap();
    assert_eq!((shops.heap_bytes, shops.heap_peak_bytes), (Some(7000), Some(7000)));
}

#[test]
fn a_late_tick_of_others_accuses_no_resource() {
    let lines =
        format!("ticks 1 0 400000000\nflight 0 400000000\n{OF_SHOPS}{}landed\n", slices(&[(10, 5, 3, 2, 0)]));
    let report = Posting::new().taken(&[(&post(1, 400, &lines), 400)]).report();
    let culprit = report.late_ticks[0].chains[0].culprit().unwrap();
    assert_eq!(&*culprit.symbol.name, "not measured: other resources, what is short and often, idle");
    assert_eq!((&*culprit.symbol.resource, culprit.total_ns), ("", 395 * MS));
}

#[test]
fn what_was_overwritten_is_counted_where_it_was() {
    let lines = format!(
        "ticks 1 0 400000000\nflight 0 400000000\nof shops 54000\nname 3 thread @shops/a.lua:5\n{}landed\n",
        slices(&[(200, 10, 3, 2, 0), (5, 395, 3, 1, 0)])
    );
    let (all, collector) = Posting::new().taken(&[(&post(1, 400, &lines), 400)]).end();
    assert_eq!(
        outline(&all),
        "tick(not measured: other resources, what is short and often, idle()@shops/a.lua:5(-54000@shops/a.lua:5()))"
    );
    assert_eq!((collector.counts().slices, collector.counts().slices_lost), (2, 54_000));
    for sample in &all.samples {
        if let Event::Account(account) = sample.event {
            assert!(account.holds(0), "{account:?}");
        }
    }
}

#[test]
fn totals_are_counters() {
    let lines = "period 0 5000000000\ntotal 20 250000000 9000000 shops event shops:open @shops/main.lua:88\n\
                 total 3 0 0 shops trigger x\nheap 48123904 shops\n";
    check(
        &[(&post(1, 5_000, lines), 5_000)],
        "lua.heap_bytes=Int(48123904)ms/s event shops:open @shops/main.lua:88=Float(50.0)",
    );
}

#[test]
fn a_post_that_comes_again_or_too_late_is_answered_and_left() {
    let first = post(1, 100, "ticks 1 0 50000000\n");
    let third = post(3, 200, "ticks 4 150000000 50000000\n");
    let mut posting = Posting::new().taken(&[(&first, 100), (&third, 200)]);
    assert_eq!(posting.post(&third, 210), Ok(Taken::Again));
    assert_eq!(posting.post(&post(2, 150, "ticks 2 50000000 50000000 50000000\n"), 220), Ok(Taken::Again));
    let (all, collector) = posting.end();
    let counts = collector.counts();
    assert_eq!((counts.posts, counts.again, counts.missing, counts.ticks_missing), (2, 2, 1, 2));
    assert_eq!(outline(&all), "tick()tick()");
}

#[test]
fn a_server_that_starts_again_goes_on_in_the_same_capture() {
    let before = post(7, 90_000, "ticks 100 89000000000 50000000\n");
    let after = of_run("65a2", 1, 40, "ticks 1 0 30000000\n");
    let mut posting = Posting::new().taken(&[(&before, 100_500), (&after, 100_800)]);
    let text = posting.post(&before, 100_900).unwrap_err().to_string();
    assert!(text.contains("65a1") && text.contains("a collector of its own"), "{text}");
    let (all, collector) = posting.end();
    assert_eq!(outline(&all), "tick()!the server, or its resource tickscope, started againtick()");
    let times: Vec<u64> = all.ticks.iter().map(|ns| ns / MS).collect();
    assert_eq!(times, [99_550, 100_790], "each run's clock is mapped onto one");
    assert_eq!((collector.counts().runs, collector.counts().refused), (2, 1));
}

#[test]
fn ticks_are_on_disk_after_a_minute_and_late_ones_at_once() {
    let mut posting = Posting::new();
    for number in 1..=30 {
        let begin = (number - 1) * 5_000;
        let ticks =
            format!("ticks {} {} {}\n", (number - 1) * 100 + 1, begin * MS, ["50000000"; 100].join(" "));
        posting = posting.taken(&[(&post(number, begin + 5_000, &ticks), begin + 5_000)]);
    }
    assert_eq!(
        posting.all.ticks.len(),
        3_000 - 1_401,
        "those of the last 70 s wait for who wants to know what ran in them"
    );
    let flight =
        format!("flight 145000000000 150000000000\n{OF_SHOPS}{}landed\n", slices(&[(149_960, 10, 3, 2, 0)]));
    posting = posting.taken(&[(&post(31, 150_000, &flight), 150_000)]);
    assert_eq!(posting.all.ticks.len(), 3_000);
    assert!(outline(&posting.all).ends_with("tick(@shops/server/main.lua:5())"));
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let mut posting = Posting::new();
    let error = posting.post(text, 100).unwrap_err().to_string();
    assert!(error.contains(expected), "{error:?} of {text:?}");
    assert_eq!(posting.collector.counts().refused, 1);
    let (all, _) = posting.end();
    assert_eq!(outline(&all), "", "nothing of it was used");
}

#[test]
fn what_is_no_post_is_refused_with_the_line() {
    check_refused("", "line 1: the post ends; expected `tickscope 1`");
    check_refused("GET / HTTP/1.1\r\n\r\n", "line 1: something else; expected `tickscope 1`");
    check_refused("tickscope 2\n", "of version 2, and this collector reads 1; install the resource");
    check_refused("tickscope 1\nfrom x! 1\n", "line 2: \"x!\"");
    check_refused("tickscope 1\nfrom 65a1 -1\n", "line 2: \"-1\"");
    check_refused(&post(1, 1, "ticks 1 0 1\nnonsense\n"), "line 6: \"nonsense\"");
    check_refused(&post(1, 1, "ticks 1 0 999999999999\n"), "line 5: 999999999999, above 600000000000");
    check_refused(&post(1, 1, "heap 99999999999999999999 shops\n"), "line 5: \"99999999999999999999\"");
    check_refused(&post(1, 1, "heap 9223372036854775808 shops\n"), "above 9223372036854775807");
    check_refused(&post(1, 1, "heap 1 sh%zzops\n"), "line 5: \"sh%zzops\"");
    check_refused(&post(1, 1, "flight 0 900000000000\n"), "line 5: 0 to 900000000000");
    check_refused(&post(1, 1, "slices\n"), "line 5: \"slices\"");
    check_refused(&post(1, 1, "flight 0 1\nslices\n1\n1\n1\n1\n"), "no `of`");
    check_refused(&post(1, 1, "flight 0 1\nof a 0\nslices\n1 2\n1 2\n1\n1 2\n"), "line 10: the line ends");
    check_refused(&post(1, 1, "flight 0 1\nof a 0\nname 70000 x\n"), "line 7: \"70000\"");
    check_refused(&(post(1, 1, "") + "more\n"), "more behind `over`");
    let whole = post(1, 100, "ticks 1 0 50000000\n");
    check_refused(&whole[..whole.len() - 1], "the post ends in a line");
    check_refused(whole.strip_suffix("over\n").unwrap(), "line 6: the post ends; expected `over`");
}
