//! What the compiler's instruments saw of the last input: which edges were taken and how often, and what was compared with
//! what. LLVM's SanitizerCoverage calls the functions at the end; this crate itself is built without instruments.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The counters: one byte an edge, in one stretch of memory. Found by the constructors, before `main`.
static FIRST: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static COUNTERS: AtomicUsize = AtomicUsize::new(0);
/// By counter: the classes of counts that were seen, as bits.
static SEEN: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());
static IS_WATCHING: AtomicBool = AtomicBool::new(false);

/// The latest comparisons; later ones take the place of earlier ones.
const COMPARISONS: usize = 512;
static COMPARED: [[AtomicU64; 3]; COMPARISONS] = [const { [const { AtomicU64::new(0) }; 3] }; COMPARISONS];
static COMPARISON: AtomicUsize = AtomicUsize::new(0);

/// From here on what happens is the input's doing.
pub fn begin() {
    counters().fill(0);
    COMPARISON.store(0, Relaxed);
    IS_WATCHING.store(true, Relaxed);
}

pub fn end() {
    IS_WATCHING.store(false, Relaxed);
}

/// Whether the input took an edge that none before it took, or took one in another class of times: once, twice, a few …
pub fn is_news() -> bool {
    look(class)
}

/// The same for edges only.
pub fn is_new_place() -> bool {
    look(|_| 1)
}

fn look(class: fn(u8) -> u8) -> bool {
    let mut seen = SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let counters = counters();
    seen.resize(counters.len(), 0);
    let mut is_news = false;
    // Nearly all are zero: eight at a time.
    for (part, seen) in counters.chunks(8).zip(seen.chunks_mut(8)) {
        if part.iter().all(|count| *count == 0) {
            continue;
        }
        for (count, seen) in part.iter().zip(seen) {
            let class = if *count == 0 { 0 } else { class(*count) };
            is_news |= class & !*seen != 0;
            *seen |= class;
        }
    }
    is_news
}

fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1..=3 => 1 << (count - 1),
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        128.. => 128,
    }
}

/// Edges that were ever taken.
pub fn places() -> usize {
    SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().filter(|seen| **seen != 0).count()
}

/// One of the comparisons that the last input led to: both sides, and how many bytes they have.
pub fn comparison(any: usize) -> Option<(u64, u64, usize)> {
    let count = COMPARISON.load(Relaxed).min(COMPARISONS);
    let [one, other, bytes] = &COMPARED[any.checked_rem(count)?];
    Some((one.load(Relaxed), other.load(Relaxed), bytes.load(Relaxed) as usize))
}

fn counters() -> &'static mut [u8] {
    let (first, count) = (FIRST.load(Relaxed), COUNTERS.load(Relaxed));
    assert!(!first.is_null(), "built without instruments: use scripts/fuzz");
    // SAFETY: the compiler made so many bytes of static memory for counters. Only this thread runs instrumented code while
    // it looks at them, and the slice does not outlive the look.
    unsafe { std::slice::from_raw_parts_mut(first, count) }
}

fn note(one: u64, other: u64, bytes: u64) {
    if IS_WATCHING.load(Relaxed) && one != other {
        let place = &COMPARED[COMPARISON.fetch_add(1, Relaxed) % COMPARISONS];
        place[0].store(one, Relaxed);
        place[1].store(other, Relaxed);
        place[2].store(bytes, Relaxed);
    }
}

/// Every module's constructor tells the same stretch: the linker puts all counters together.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(first: *mut u8, end: *mut u8) {
    FIRST.store(first, Relaxed);
    COUNTERS.store((end as usize).saturating_sub(first as usize), Relaxed);
}

macro_rules! comparisons {
    ($($name:ident: $kind:ty),*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name(one: $kind, other: $kind) {
                note(one.into(), other.into(), size_of::<$kind>() as u64);
            }
        )*
    };
}

comparisons!(
    __sanitizer_cov_trace_cmp1: u8,
    __sanitizer_cov_trace_cmp2: u16,
    __sanitizer_cov_trace_cmp4: u32,
    __sanitizer_cov_trace_cmp8: u64,
    __sanitizer_cov_trace_const_cmp1: u8,
    __sanitizer_cov_trace_const_cmp2: u16,
    __sanitizer_cov_trace_const_cmp4: u32,
    __sanitizer_cov_trace_const_cmp8: u64
);

/// `cases`: how many there are, how many bits they have, then the cases.
#[unsafe(no_mangle)]
unsafe extern "C" fn __sanitizer_cov_trace_switch(value: u64, cases: *const u64) {
    // SAFETY: the compiler passes a static array of this shape.
    let cases = unsafe { std::slice::from_raw_parts(cases.add(2), *cases as usize) };
    // SAFETY: likewise.
    let bits = unsafe { *cases.as_ptr().sub(1) };
    for case in cases.iter().take(8) {
        note(value, *case, bits.div_ceil(8));
    }
}
