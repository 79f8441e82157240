//! Work cut to a budget, by a clock that goes when it is told to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use tickscope_scheduler::{ManualClock, Step, TaskError, TickBudget};

const MS: Duration = Duration::from_millis(1);

/// A piece of so many steps of so many milliseconds, which notes its number at each.
fn piece(
    clock: &ManualClock,
    notes: &Rc<RefCell<Vec<usize>>>,
    number: usize,
    steps: u32,
    cost: u32,
) -> impl FnMut() -> Step + 'static {
    let (clock, notes) = (clock.clone(), Rc::clone(notes));
    let mut left = steps;
    move || {
        clock.advance(MS * cost);
        notes.borrow_mut().push(number);
        left -= 1;
        if left == 0 { Step::Done } else { Step::More }
    }
}

#[test]
fn the_presets_are_a_frame_and_a_server_tick() {
    assert_eq!(TickBudget::FRAME.as_micros(), 16_666);
    assert_eq!(TickBudget::SERVER_TICK.as_millis(), 50);
}

#[test]
fn pieces_take_turns_and_the_next_tick_goes_on() {
    let (clock, notes) = (ManualClock::default(), Rc::default());
    let mut work = TickBudget::with_clock(3 * MS, clock.clone());
    let ids = [0, 1].map(|number| work.add(piece(&clock, &notes, number, 3, 1)));
    let report = work.tick();
    assert_eq!((report.steps, report.used, report.over), (3, 3 * MS, Duration::ZERO));
    assert_eq!(*notes.borrow(), [0, 1, 0]);
    let report = work.tick();
    assert_eq!(*notes.borrow(), [0, 1, 0, 1, 0, 1]);
    assert_eq!(report.done, ids);
    assert!(work.is_empty());
    assert_eq!(work.tick().steps, 0);
}

#[test]
fn a_tick_is_over_by_less_than_its_last_step() {
    let (clock, notes) = (ManualClock::default(), Rc::default());
    let mut work = TickBudget::with_clock(10 * MS, clock.clone());
    work.add(piece(&clock, &notes, 0, 10, 4));
    let report = work.tick();
    assert_eq!((report.steps, report.used, report.over), (3, 12 * MS, 2 * MS));
}

#[test]
fn a_used_up_budget_still_lets_everyone_come() {
    let (clock, notes) = (ManualClock::default(), Rc::default());
    let mut work = TickBudget::with_clock(Duration::ZERO, clock.clone());
    for number in 0..3 {
        work.add(piece(&clock, &notes, number, 2, 100));
    }
    for _ in 0..6 {
        assert_eq!(work.tick().steps, 1);
    }
    assert_eq!(*notes.borrow(), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn one_piece_may_have_a_limit_of_its_own() {
    let (clock, notes) = (ManualClock::default(), Rc::default());
    let mut work = TickBudget::with_clock(20 * MS, clock.clone());
    work.add_limited(2 * MS, piece(&clock, &notes, 0, 100, 1));
    work.add(piece(&clock, &notes, 1, 5, 1));
    let report = work.tick();
    assert_eq!((report.steps, report.used), (7, 7 * MS));
    assert_eq!(notes.borrow().iter().filter(|number| **number == 0).count(), 2);
}

#[test]
fn what_waits_for_the_next_tick_is_not_asked_again() {
    let clock = ManualClock::default();
    let mut work = TickBudget::with_clock(MS, clock);
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    work.add(move || {
        count.set(count.get() + 1);
        Step::NextTick
    });
    work.tick();
    work.tick();
    assert_eq!(asked.get(), 2);
}

#[test]
fn what_sleeps_comes_when_its_time_has() {
    let clock = ManualClock::default();
    let mut work = TickBudget::with_clock(MS, clock.clone());
    let mut slept = false;
    work.add(move || {
        if slept {
            return Step::Done;
        }
        slept = true;
        Step::After(30 * MS)
    });
    assert_eq!(work.tick().steps, 1);
    clock.advance(29 * MS);
    assert_eq!(work.tick().steps, 0);
    clock.advance(MS);
    assert_eq!(work.tick().done.len(), 1);
}

#[test]
fn something_every_ten_seconds() {
    let clock = ManualClock::default();
    let mut work = TickBudget::with_clock(MS, clock.clone());
    let times = Rc::new(RefCell::new(Vec::new()));
    let (noted, read) = (Rc::clone(&times), clock.clone());
    let id = work.every(Duration::from_secs(10), move || {
        noted.borrow_mut().push(tickscope_scheduler::Clock::now(&read).as_secs());
    });
    for _ in 0..65 {
        clock.advance(Duration::from_millis(500));
        work.tick();
    }
    assert_eq!(*times.borrow(), [10, 20, 30]);
    // A tick of 28 seconds leaves two out, and the next comes at its time.
    clock.advance(Duration::from_secs(28));
    work.tick();
    clock.advance(Duration::from_secs(10));
    work.tick();
    assert_eq!(*times.borrow(), [10, 20, 30, 60, 70]);
    assert!(work.cancel(id));
    clock.advance(Duration::from_secs(10));
    work.tick();
    assert_eq!(times.borrow().len(), 5);
    assert!(!work.cancel(id));
}

#[test]
fn a_panic_ends_its_piece_only() {
    let (clock, notes) = (ManualClock::default(), Rc::default());
    let mut work = TickBudget::with_clock(10 * MS, clock.clone());
    let bad = work.add(|| panic!("a bad step"));
    work.add(piece(&clock, &notes, 1, 2, 1));
    let report = work.tick();
    assert_eq!(report.panicked, [(bad, TaskError::Panicked { message: "a bad step".into() })]);
    assert_eq!(*notes.borrow(), [1, 1]);
}

#[test]
fn a_piece_for_each_item() {
    let mut work = TickBudget::new(TickBudget::FRAME);
    let sum = Rc::new(Cell::new(0));
    let add = Rc::clone(&sum);
    work.each(1..=1000, move |n| add.set(add.get() + n));
    while !work.is_empty() {
        work.tick();
    }
    assert_eq!(sum.get(), 500_500);
}

proptest! {
    /// Whatever the pieces and the budget: never over by a whole step, nobody a full round behind, all done in the end.
    #[test]
    fn budgets_hold(
        pieces in prop::collection::vec((1u32..20, 0u32..9), 1..12),
        budget in 0u32..30,
    ) {
        let (clock, notes) = (ManualClock::default(), Rc::default());
        let mut work = TickBudget::with_clock(MS * budget, clock.clone());
        for (number, (steps, cost)) in pieces.iter().enumerate() {
            work.add(piece(&clock, &notes, number, *steps, *cost));
        }
        let longest = pieces.iter().map(|(_, cost)| *cost).max().unwrap_or(0);
        let total: u32 = pieces.iter().map(|(steps, _)| *steps).sum();
        for _ in 0..=total {
            let report = work.tick();
            prop_assert!(report.over == Duration::ZERO || report.over < MS * longest || budget == 0);
            prop_assert!(report.used <= MS * (budget + longest));
            prop_assert!(report.steps > 0 || work.is_empty());
        }
        prop_assert!(work.is_empty());
        // Between two steps of one piece, no other that was not done had more than one turn.
        let mut turns = vec![0u32; pieces.len()];
        for number in notes.borrow().iter() {
            turns[*number] += 1;
            for (other, (steps, _)) in pieces.iter().enumerate() {
                prop_assert!(turns[other] == *steps || turns[other] + 1 >= turns[*number]);
            }
        }
    }
}
