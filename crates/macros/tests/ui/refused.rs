//! What the attribute refuses. Compiled by the test beside, which compares what the compiler says.

use tickscope_macros::profile;

#[profile(rat = 0.1)]
fn unknown_option() {}

#[profile(name = "a", name = "b")]
fn given_twice() {}

#[profile(name = 7)]
fn name_is_no_text() {}

#[profile(rate = 1.5)]
fn rate_above_one() {}

#[profile(rate = 10)]
fn rate_is_no_share() {}

#[profile(min_duration = "5")]
fn duration_without_a_unit() {}

#[profile(min_duration = "1.5ms")]
fn duration_is_no_whole_number() {}

#[profile(min_duration = "99999999999999999999s")]
fn duration_beyond_time() {}

#[profile(min_duration = "1ms")]
async fn duration_of_a_future() {}

#[profile(skip)]
fn skipped_for_nothing() {}

#[profile]
struct Shop;

#[profile]
const MOST: u64 = 7;

#[profile]
const fn in_the_compiler() {}

trait Open {
    #[profile]
    fn without_a_body(&self);
}

#[profile(name = "all alike")]
impl Shop {}

#[profile(args(item))]
impl Shop {}

#[profile]
impl Open for [u8] {
    fn without_a_body(&self) {}
}

#[profile]
impl Shop {
    #[profile(args(self))]
    fn whole_of_it(&self) {}
}

#[profile]
impl Shop {
    #[profile(rat)]
    fn unknown_option(&self) {}
}

#[profile]
impl Shop {
    #[profile]
    const fn in_the_compiler() {}
}
