//! What the process knows of the addresses of Lua threads, and the multiplexer: a program's own hook beside ours.
//!
//! A Lua thread has one hook. The program's is the one that stands, unless ours stands: then the program's is kept in the
//! thread's record, which every OS thread of the process shares. So a hook set before we came, by a C library behind our
//! back, or inherited from its creator by a new thread is never lost, and a program's hook that is alone stands directly.
//!
//! Records are made in normal code and never freed: `lua_sethook` may be called by a signal handler, which finds the
//! record that was made before our hook was set. There are as many as addresses ever had a hooked Lua thread.

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::api::*;
use super::library::Lua;

const BUCKETS: usize = 4096;

static TABLE: [AtomicPtr<LuaThread>; BUCKETS] = [const { AtomicPtr::new(ptr::null_mut()) }; BUCKETS];

/// What is known of the Lua thread at an address, now.
pub(crate) struct LuaThread {
    address: usize,
    /// The next of its bucket; set before it is published.
    next: *const LuaThread,
    lua: AtomicPtr<Lua>,
    /// Counts the threads that began their lives here.
    generation: AtomicU32,
    /// The tracer that ran it last.
    owner: AtomicU64,
    /// What our hook wants, while it stands.
    own: AtomicI32,
    /// The program's hook, while ours stands.
    kept: Written,
    /// What the program set last, and how often it did.
    asked: Written,
    sets: AtomicU32,
}

// SAFETY: all fields are atomic or never change once published.
unsafe impl Sync for LuaThread {}

/// A program's own hook; `mask` 0 for none.
#[derive(Clone, Copy)]
pub(crate) struct UserHook {
    pub(crate) hook: Option<lua_Hook>,
    pub(crate) mask: c_int,
    pub(crate) count: c_int,
}

impl UserHook {
    /// A hook as Lua understands it: without events or function it is none, whatever the rest.
    pub(crate) fn new(hook: Option<lua_Hook>, mask: c_int, count: c_int) -> Self {
        if hook.is_none() || mask == 0 {
            return Self { hook: None, mask: 0, count };
        }
        Self { hook, mask: mask & 0xff, count }
    }
}

/// A hook that is written down.
#[derive(Default)]
struct Written {
    hook: AtomicPtr<()>,
    mask: AtomicI32,
    count: AtomicI32,
}

impl Written {
    fn get(&self) -> UserHook {
        let hook = self.hook.load(Relaxed);
        UserHook {
            // SAFETY: null, or stored by `set` from a hook.
            hook: unsafe { transmute::<*mut (), Option<lua_Hook>>(hook) },
            mask: self.mask.load(Relaxed),
            count: self.count.load(Relaxed),
        }
    }

    fn set(&self, user: UserHook) {
        self.hook.store(user.hook.map_or(ptr::null_mut(), |hook| hook as *mut ()), Relaxed);
        self.mask.store(user.mask, Relaxed);
        self.count.store(user.count, Relaxed);
    }
}

thread_local! {
    /// A hook is being exchanged: a signal's handler must not do the same.
    static BUSY: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, the signal handler of this thread leaves hooks alone. No destructor runs when Lua jumps over it, but
/// nothing that raises is called meanwhile.
struct Busy;

impl Busy {
    fn new() -> Self {
        BUSY.set(BUSY.get() + 1);
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(BUSY.get() - 1);
    }
}

/// Whether this thread is exchanging a hook.
pub(crate) fn is_busy() -> bool {
    BUSY.get() != 0
}

impl LuaThread {
    fn bucket(address: usize) -> &'static AtomicPtr<Self> {
        &TABLE[(address >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (usize::BITS - BUCKETS.trailing_zeros())]
    }

    /// The record of the address, if there is one. Async-signal-safe.
    pub(crate) fn find(thread: *mut lua_State) -> Option<&'static Self> {
        let mut at: *const Self = Self::bucket(thread as usize).load(Acquire); // pairs with the Release in `of`
        // SAFETY: published records are never freed.
        while let Some(record) = unsafe { at.as_ref() } {
            if record.address == thread as usize {
                return Some(record);
            }
            at = record.next;
        }
        None
    }

    pub(crate) fn of(lua: &'static Lua, thread: *mut lua_State) -> &'static Self {
        let record = Self::find(thread).unwrap_or_else(|| {
            let bucket = Self::bucket(thread as usize);
            let mut new = Box::new(Self {
                address: thread as usize,
                next: bucket.load(Acquire),
                lua: AtomicPtr::new(ptr::null_mut()),
                generation: AtomicU32::new(0),
                owner: AtomicU64::new(0),
                own: AtomicI32::new(0),
                kept: Written::default(),
                asked: Written::default(),
                sets: AtomicU32::new(0),
            });
            loop {
                // A Lua thread is made and run by one OS thread at a time: nobody else adds this address meanwhile.
                let next = new.next.cast_mut();
                let pointer = Box::into_raw(new);
                match bucket.compare_exchange(next, pointer, Release, Acquire) {
                    // SAFETY: just leaked.
                    Ok(_) => return unsafe { &*pointer },
                    Err(first) => {
                        // SAFETY: not published, so still only ours.
                        new = unsafe { Box::from_raw(pointer) };
                        new.next = first;
                    }
                }
            }
        });
        record.lua.store(ptr::from_ref(lua).cast_mut(), Relaxed);
        record
    }

    pub(crate) fn state(&self) -> *mut lua_State {
        self.address as *mut lua_State
    }

    pub(crate) fn lua(&self) -> &'static Lua {
        // SAFETY: set by `of` before anybody else sees the record, to what lives as long as the process.
        unsafe { &*self.lua.load(Relaxed) }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Says which tracer runs it from now on; whether that is the one that did before.
    pub(crate) fn run_by(&self, tracer: u64) -> bool {
        self.owner.swap(tracer, Relaxed) == tracer
    }

    /// A new thread lives here: what was known is of another.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Relaxed);
        self.own.store(0, Relaxed);
        self.kept.set(UserHook::new(None, 0, 0));
    }

    /// The program's hook.
    ///
    /// # Safety
    /// The thread is alive.
    pub(crate) unsafe fn user(&self) -> UserHook {
        let (lua, state) = (self.lua(), self.state());
        let _busy = Busy::new(); // what stands is read in three parts
        // SAFETY: passed on to the caller.
        unsafe {
            let hook = (lua.api.lua_gethook)(state);
            if lua.is_ours(hook) {
                self.kept.get()
            } else {
                let mask = (lua.api.lua_gethookmask)(state);
                UserHook::new(hook, mask, (lua.api.lua_gethookcount)(state))
            }
        }
    }

    /// The program sets its hook: `lua_sethook`. Its count begins anew.
    ///
    /// # Safety
    /// The thread is alive. Async-signal-safe.
    pub(crate) unsafe fn set_user(&self, user: UserHook) {
        let (lua, state) = (self.lua(), self.state());
        let _busy = Busy::new();
        self.asked.set(user);
        self.sets.fetch_add(1, Release);
        // SAFETY: passed on to the caller.
        unsafe {
            if !lua.is_ours((lua.api.lua_gethook)(state)) {
                (lua.api.lua_sethook)(state, user.hook, user.mask, user.count);
                return;
            }
            self.kept.set(user);
            let (hook, mask) = combine(lua, self.own.load(Relaxed), user);
            (lua.api.lua_sethook)(state, hook, mask, user.count);
        }
    }

    /// Keeps the program's hook and has `set` put one in its place that serves it too; again, where the program has set
    /// another meanwhile. A signal handler of its own may, that stops scripts.
    ///
    /// # Safety
    /// The thread is alive.
    unsafe fn exchange(&self, set: impl Fn(UserHook)) {
        let mut sets = self.sets.load(Acquire); // pairs with the Release in `set_user`
        // SAFETY: passed on to the caller.
        let mut user = unsafe { self.user() };
        loop {
            self.kept.set(user);
            set(user);
            let now = self.sets.load(Acquire); // as above
            if now == sets {
                return;
            }
            sets = now;
            user = self.asked.get();
        }
    }

    /// Our hook wants the events of `own` from now on, and nothing else: 0 for none.
    ///
    /// # Safety
    /// The thread is alive.
    pub(crate) unsafe fn want(&self, own: c_int) {
        let (lua, state) = (self.lua(), self.state());
        let api = &lua.api;
        let _busy = Busy::new();
        self.own.store(own, Relaxed);
        // SAFETY: passed on to the caller.
        unsafe {
            self.exchange(|user| {
                let (hook, mask) = combine(lua, own, user);
                let stands = (api.lua_gethook)(state).map_or(0, |hook| hook as usize)
                    == hook.map_or(0, |hook| hook as usize)
                    && (api.lua_gethookmask)(state) == mask
                    && (mask & LUA_MASKCOUNT == 0 || (api.lua_gethookcount)(state) == user.count);
                if !stands {
                    lua.set_hook(state, hook, mask, user.count, user.mask);
                }
            });
        }
    }

    /// Sets our general hook for the next event that comes, besides those wanted already.
    ///
    /// # Safety
    /// The thread is alive. Async-signal-safe, where [`is_busy`] says that this did not interrupt an exchange.
    pub(crate) unsafe fn once(&self) {
        let (lua, state) = (self.lua(), self.state());
        // SAFETY: passed on to the caller.
        unsafe {
            self.exchange(|user| {
                if user.mask & LUA_MASKLINE != 0 {
                    // Its next line will do.
                    lua.replace_function(state, lua.general);
                    return;
                }
                let mask = (lua.api.lua_gethookmask)(state) | LUA_MASKCALL | LUA_MASKRET;
                if user.mask & LUA_MASKCOUNT == 0 {
                    (lua.api.lua_sethook)(state, Some(lua.general), mask | LUA_MASKCOUNT, 1);
                } else if lua.keeps_count() {
                    // Its own count must go on undisturbed, so the next call, return or count has to do.
                    lua.set_hook(state, Some(lua.general), mask, user.count, LUA_MASKCOUNT);
                }
                // Else there is no way to look without the program's noticing: its count would begin anew.
            });
        }
    }

    /// Sets our general hook with a count, whatever the program counts.
    ///
    /// # Safety
    /// The thread is alive. Async-signal-safe, as [`LuaThread::once`] is.
    pub(crate) unsafe fn count_down(&self, instructions: c_int) {
        let (lua, state) = (self.lua(), self.state());
        let _busy = Busy::new();
        // SAFETY: passed on to the caller.
        unsafe {
            self.exchange(|_| {
                let mask = (lua.api.lua_gethookmask)(state) | LUA_MASKCOUNT;
                (lua.api.lua_sethook)(state, Some(lua.general), mask, instructions);
            });
        }
    }

    /// This thread was made by `parent`, whose hook Lua gave to it.
    ///
    /// # Safety
    /// Both are alive.
    pub(crate) unsafe fn inherit(&self, parent: *mut lua_State) {
        let lua = self.lua();
        self.renew();
        // SAFETY: passed on to the caller.
        unsafe {
            if !lua.is_ours((lua.api.lua_gethook)(self.state())) {
                return;
            }
            let own = Self::find(parent).map_or(0, |parent| {
                self.kept.set(parent.kept.get());
                parent.own.load(Relaxed)
            });
            // What is wanted once is not in `own`: it is the parent's alone.
            self.want(own);
        }
    }
}

/// The hook and mask that serve both.
fn combine(lua: &Lua, own: c_int, user: UserHook) -> (Option<lua_Hook>, c_int) {
    match (own, user.mask) {
        (0, _) => (user.hook, user.mask),
        (own, 0) if own == LUA_MASKCALL | LUA_MASKRET => (Some(lua.trace), own),
        (own, mask) => (Some(lua.general), own | mask),
    }
}
