//! The allocator, of the C libraries too, and how long it keeps what nobody uses.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of its `mimalloc.h`, which the bindings leave out.
const PURGE_DELAY: mi_option_t = 15;
/// After so many milliseconds unused memory goes back to the system, in place of 1,000: a load frees hundreds of MiB within a
/// second, several times what it holds.
const PURGE_DELAY_MS: c_long = 50;

/// To be called first of all.
#[expect(unsafe_code, reason = "the allocator is set by a C function")]
pub(crate) fn set_up() {
    // SAFETY: it writes a number into a table, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "the allocator is asked by a C function")]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: it reads a number from a table.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, 1_000, "its default");
        set_up();
        // SAFETY: as above.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, PURGE_DELAY_MS);
    }
}
