//! Rows, and what lies in them.

use crate::lanes::{Lanes, Open};

fn open(span: u64, begin_ns: u64) -> Open {
    Open { span, symbol: 0, category: 0, begin_ns }
}

/// Lane, time and span of each end.
fn ends(lanes: &mut Lanes, track: u32, span: u64, time_ns: u64) -> Vec<(usize, u64, u64)> {
    let mut ends = Vec::new();
    lanes.end(track, span, time_ns, |lane, time_ns, open| ends.push((lane, time_ns, open.span)));
    ends
}

#[test]
fn a_thread_keeps_its_row_and_others_share() {
    let mut lanes = Lanes::default();
    let place = lanes.begin(1, 10, true, open(1, 100)).unwrap();
    assert_eq!((place.lane, place.new, place.parent, place.time_ns), (0, true, 0, 100));
    let first = lanes.begin(1, 20, false, open(2, 110)).unwrap();
    let inner = lanes.begin(1, 20, false, open(3, 120)).unwrap();
    let second = lanes.begin(1, 21, false, open(4, 130)).unwrap();
    assert_eq!((first.lane, inner.lane, inner.parent, second.lane), (1, 1, 2, 2));
    assert_eq!(ends(&mut lanes, 20, 3, 140), [(1, 140, 3)]);
    assert_eq!(ends(&mut lanes, 20, 2, 150), [(1, 150, 2)]);
    // Another coroutine has its row now; one of another thread has not, whose times may lie elsewhere.
    let third = lanes.begin(1, 22, false, open(5, 160)).unwrap();
    assert_eq!((third.lane, third.new), (1, false));
    assert_eq!(lanes.begin(2, 23, false, open(6, 90)).unwrap().lane, 3);
    assert_eq!(ends(&mut lanes, 10, 1, 200), [(0, 200, 1)]);
    assert_eq!(lanes.begin(1, 10, true, open(7, 210)).unwrap().lane, 0);
}

#[test]
fn time_does_not_run_backwards_in_a_row() {
    let mut lanes = Lanes::default();
    lanes.begin(1, 10, true, open(1, 100)).unwrap();
    assert_eq!(ends(&mut lanes, 10, 1, 90), [(0, 100, 1)]);
    assert_eq!(lanes.begin(1, 10, true, open(2, 80)).unwrap().time_ns, 100);
}

#[test]
fn a_span_whose_end_is_lost_ends_with_the_one_around_it() {
    let mut lanes = Lanes::default();
    for span in 1..=3 {
        lanes.begin(1, 10, true, open(span, 100 + span)).unwrap();
    }
    assert_eq!(ends(&mut lanes, 10, 9, 150), []);
    assert_eq!(ends(&mut lanes, 11, 1, 150), []);
    assert_eq!(ends(&mut lanes, 10, 1, 200), [(0, 200, 3), (0, 200, 2), (0, 200, 1)]);
    lanes.begin(1, 20, false, open(4, 300)).unwrap();
    let mut forgotten = Vec::new();
    lanes.forget(|lane, time_ns, open| forgotten.push((lane, time_ns, open.span)));
    assert_eq!(forgotten, [(1, 300, 4)]);
    assert_eq!(ends(&mut lanes, 20, 4, 400), []);
}

#[test]
fn rows_of_threads_that_are_over_go_to_others() {
    let mut lanes = Lanes::default();
    for ring in 0..500 {
        let at_ns = 1_000 - u64::from(ring);
        let place = lanes.begin(ring, ring, false, open(7, at_ns)).unwrap();
        assert!(place.lane < 100 && place.time_ns >= at_ns, "{place:?}");
        assert_eq!(ends(&mut lanes, ring, 7, at_ns).len(), 1);
    }
    assert_eq!(lanes.skipped, 0);
}

#[test]
fn rows_and_depth_are_bounded_and_what_finds_no_room_is_counted() {
    let mut lanes = Lanes::default();
    for track in 0..150 {
        lanes.begin(1, track, false, open(u64::from(track) + 1, 0));
        lanes.begin(1, 1_000 + track, true, open(u64::from(track) + 1_000, 0));
    }
    assert_eq!(lanes.skipped, 100);
    let mut lanes = Lanes::default();
    for span in 1..=1_010 {
        lanes.begin(1, 1, true, open(span, 0));
    }
    assert_eq!(lanes.skipped, 10);
}
